package run

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// sandboxConfig is what a user chooses of the namespace of our own in a cluster that is
// not ours.
type sandboxConfig struct {
	Revision    string   // of the mesh, or a tag; empty for the only one
	Registry    string   // below which nodes find every image; empty for upstream's references
	PodSecurity string   // level that the namespace enforces; empty for the cluster's own
	Disruptions []string // of parts that others use as well, which their owner allows
}

// restrictedLevel is the one level of the Pod Security Standards that takes an effort.
const restrictedLevel = "restricted"

func (c *sandboxConfig) defineSandbox(flags *flag.FlagSet) {
	flags.StringVar(&c.Revision, "revision", "", "sandbox: revision or tag of the mesh that injects sidecars (default the only one)")
	flags.Func("registry", "sandbox: where nodes pull every image from: host:port/path (default upstream's references)", func(s string) (err error) {
		if c.Registry = s; s != "" {
			c.Registry, err = image.ParsePrefix(s)
		}
		return err
	})
	flags.Func("pod-security", "sandbox: level of the Pod Security Standards that the namespace enforces: restricted (default the cluster's)", func(s string) error {
		if s != "" && s != restrictedLevel {
			return errors.New("use " + restrictedLevel)
		}
		c.PodSecurity = s
		return nil
	})
	flags.Func("allow-disruption", "sandbox: disruptions of what others use as well, separated by commas: control-plane-outage, root-rotated, operator-restart", func(s string) error {
		c.Disruptions = nil
		if s != "" {
			c.Disruptions = strings.Split(s, ",")
		}
		return nil
	})
}

// sandboxSettings are those for the report.
func (c *sandboxConfig) sandboxSettings() map[string]string {
	return map[string]string{
		"revision": c.Revision, "registry": c.Registry, "pod-security": c.PodSecurity, "allow-disruption": strings.Join(c.Disruptions, ","),
	}
}

// REST is how to reach the cluster of the subject.
func (r *Run) REST() (*rest.Config, error) {
	if r.Mode == Sandbox {
		return r.Sandbox.Config, nil
	}
	return r.Stack.Cluster.REST()
}

// SubjectNamespace is where the Prometheus under test is that the run made.
func (r *Run) SubjectNamespace() string {
	if r.Mode == Sandbox {
		return sandbox.Namespace
	}
	return stack.Namespace
}

// sandbox finds the cluster and who injects sidecars in it. As with a guest, what the
// user has to name is his to correct, and the rest is kept for the report.
func (r *Run) sandbox() error {
	config, err := cluster.ExistingWithin(r.Kubeconfig, r.Context, sandbox.Namespace)
	if err != nil {
		return UsageError{err}
	}
	r.Guest = &Guest{Config: config, Prometheus: types.NamespacedName{Namespace: sandbox.Namespace, Name: sandbox.Prometheus}}
	ctx, cancel := context.WithTimeout(r.ctx, lookTimeout)
	defer cancel()
	if r.Guest.missing = r.openSandbox(ctx, config); errors.As(r.Guest.missing, new(*sandbox.ChoiceError)) {
		return UsageError{r.Guest.missing}
	}
	return nil
}

func (r *Run) openSandbox(ctx context.Context, config *rest.Config) (err error) {
	if r.Shared, err = sandbox.FindShared(ctx, config, r.Revision); err != nil {
		return err
	}
	if len(r.Disruptions) > 0 { // the owner's word for what is beyond the namespace
		namespaces := []string{sandbox.Namespace, mesh.RootNamespace, r.Shared.ControlPlane.Namespace, r.Shared.Operator.Namespace}
		if config, err = cluster.ExistingWithin(r.Kubeconfig, r.Context, namespaces...); err != nil {
			return err
		}
	}
	if r.Sandbox, err = sandbox.Open(sandbox.Options{
		Config: config, RunID: r.ID, Revision: r.Revision, Registry: r.Registry, Prometheus: r.Prometheus, PodSecurity: r.PodSecurity, Variant: stack.Default,
	}); err != nil {
		return err
	}
	r.Stack = &stack.Stack{Client: r.Sandbox.Client, Source: r.imagesThere()}
	return r.Sandbox.Choose(ctx)
}

// imagesThere says where the nodes of a cluster that is not ours have the images from.
func (r *Run) imagesThere() string {
	switch {
	case r.Registry != "":
		return "registry " + r.Registry + ", by tag"
	case r.Images == image.Packages: // the user's word: such images have upstream's references
		return string(image.Packages)
	}
	return "by tag, as the nodes have or pull them"
}

// setUpSandbox takes the namespace and fills it.
func (r *Run) setUpSandbox() error {
	if err := r.phase("claim", func(ctx context.Context) (string, error) {
		if r.Guest.missing != nil {
			return "", r.Guest.missing
		}
		return r.Sandbox.Claim(ctx, func(err error) {
			r.Terminal.Note(err.Error())
			r.cancel()
		})
	}); err != nil {
		return err
	}
	return r.phase("workloads", r.Sandbox.Deploy)
}

// finishSandbox takes evidence if anything calls for it, and then removes the namespace
// and looks for what is left.
func (r *Run) finishSandbox(ctx context.Context) error {
	if !r.Sandbox.Stands() {
		return nil
	}
	if r.unsound() {
		r.takeEvidence(ctx)
	}
	if r.Keep {
		r.Terminal.Note(fmt.Sprintf("the namespace %s stays; `make clean CONTEXT=` removes it, and so does the next run there", sandbox.Namespace))
		return r.Sandbox.Release(ctx)
	}
	return r.removal(func() (string, error) { return r.Sandbox.Remove(ctx) })
}

// cleanSandbox removes what runs left in a cluster that is not ours.
func cleanSandbox(c Config) int {
	config, err := cluster.ExistingToClean(c.Kubeconfig, c.Context)
	if err != nil {
		return usage(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	removed, err := sandbox.Clean(ctx, config)
	for _, r := range removed {
		fmt.Println("removed", r)
	}
	switch {
	case errors.As(err, new(*sandbox.LeftError)):
		fmt.Fprintln(os.Stderr, err)
		return int(reports.ExitLeftovers)
	case err != nil: // nothing was removed, since a run is there or nobody answers
		fmt.Fprintln(os.Stderr, err)
		return int(reports.ExitSetupFailed)
	case len(removed) == 0:
		fmt.Println("nothing to remove")
	}
	return int(reports.ExitConformant)
}
