package foreign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Trial is one run of the binary that an owner runs.
type Trial struct {
	Name       string
	Prometheus string       // namespace/name
	Without    observe.Rule // the one that his role lacks; the zero value if none
	ExitCode   int
	Report     reports.Report
	Said       string // what the binary printed, if it wrote no report
}

func (t Trial) note() string {
	return fmt.Sprintf("exit code %d, %d checks, %d requests", t.ExitCode, len(t.Report.Checks), t.Report.APIRequests)
}

// said is what the run told of itself, if anything.
func (t Trial) said() string {
	if t.Report.Error != nil {
		return t.Report.Error.Message
	}
	return strings.Join(append(t.Report.Leftovers, t.Said), " ")
}

// guest is who tries.
type guest struct {
	binary     string
	dir        string // where the reports go, a folder each
	kubeconfig string
}

// attach judges a Prometheus by reading alone.
func (g guest) attach(ctx context.Context, name, prometheus string) (Trial, error) {
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	return g.try(ctx, name, prometheus, "-mode=attach", "-prom="+prometheus, "-settle=20s",
		"-skip=past-rotations-survived=the Prometheus objects were made a minute ago")
}

// sandbox judges the guide's set-up in a namespace of its own. The nodes have the images
// that were built from packages.
func (g guest) sandbox(ctx context.Context) (Trial, error) {
	ctx, cancel := context.WithTimeout(ctx, sandboxTimeout)
	defer cancel()
	return g.try(ctx, "sandbox", sandbox.Namespace+"/"+sandbox.Prometheus, "-mode=sandbox", "-images=packages")
}

// try runs the binary as an owner would.
func (g guest) try(ctx context.Context, name, prometheus string, arguments ...string) (Trial, error) {
	t := Trial{Name: name, Prometheus: prometheus}
	out := filepath.Join(g.dir, name)
	cmd := exec.CommandContext(ctx, g.binary, append(arguments, "-kubeconfig="+g.kubeconfig, "-out="+out)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // what it made it removes
	cmd.WaitDelay = time.Minute
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return t, fmt.Errorf("running %s on %s: %w", name, prometheus, context.Cause(ctx))
	case errors.As(err, &exit):
		t.ExitCode = exit.ExitCode()
	case err != nil:
		return t, fmt.Errorf("running %s on %s: %w", name, prometheus, err)
	}
	report := filepath.Join(out, "latest", reports.FileName)
	if _, err := os.Stat(report); errors.Is(err, os.ErrNotExist) {
		t.Said = string(said)
		return t, nil
	}
	t.Report, err = reports.Read(report)
	return t, err
}

// impersonate writes a kubeconfig by which its user is the guest. It has the cluster's
// own credentials in it and belongs beside them.
func impersonate(kubeconfig, path, user string) error {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig of the cluster: %w", err)
	}
	for _, a := range config.AuthInfos {
		a.Impersonate = user
	}
	return clientcmd.WriteToFile(*config, path)
}

// grant applies a role of manifests/certify, less some rules, as its own words say for
// this cluster: the account lives in the owner's namespace, and the control plane's
// configuration is called after its revision.
func grant(ctx context.Context, client klient.Client, role string, less ...observe.Rule) error {
	objects, err := manifests.Read(manifests.Certify)
	if err != nil {
		return err
	}
	objects = slices.DeleteFunc(objects, func(u *unstructured.Unstructured) bool { return u.GetName() != role })
	for _, u := range manifests.Apply(objects, manifests.InNamespace(namespace)) {
		if u.GetKind() != "ClusterRole" {
			continue
		}
		if err := edit(u, less); err != nil {
			return err
		}
	}
	return cluster.Apply(ctx, client, objects...)
}

func edit(u *unstructured.Unstructured, less []observe.Rule) error {
	var r rbacv1.ClusterRole
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &r); err != nil {
		return fmt.Errorf("reading the role of manifests/certify: %w", err)
	}
	for i := range r.Rules {
		if slices.Contains(r.Rules[i].ResourceNames, "istio") {
			r.Rules[i].ResourceNames = append(r.Rules[i].ResourceNames, mesh.Named("istio", Setting.Revision))
		}
		for _, l := range less {
			withhold(&r.Rules[i], l)
		}
	}
	// A rule without resources grants nothing, and the API server refuses it.
	r.Rules = slices.DeleteFunc(r.Rules, func(p rbacv1.PolicyRule) bool { return len(p.Resources) == 0 })
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&r)
	u.Object = object
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return err
}

// withhold takes out of a policy what a rule stands for.
func withhold(p *rbacv1.PolicyRule, l observe.Rule) {
	if !slices.Contains(p.APIGroups, l.Group) || !slices.Contains(p.Verbs, l.Verb) || !slices.Contains(p.Resources, l.Resource) {
		return
	}
	if l.Name == "" {
		p.Resources = slices.DeleteFunc(slices.Clone(p.Resources), func(s string) bool { return s == l.Resource })
		return
	}
	p.ResourceNames = slices.DeleteFunc(slices.Clone(p.ResourceNames), func(s string) bool {
		return s == l.Name || l.Name == "istio" && s == mesh.Named("istio", Setting.Revision)
	})
}
