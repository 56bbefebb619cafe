package run

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/preflight"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Guest is a run's way into a cluster that is not ours.
type Guest struct {
	Config     *rest.Config         // only reads
	Mesh       *rest.Config         // of the mesh's control plane, if its API is elsewhere; only reads
	Prometheus types.NamespacedName // under test
	missing    error                // why there is none
}

// attachConfig is what a user chooses of a cluster that is not ours.
type attachConfig struct {
	Kubeconfig string // file, empty for the user's own
	Context    string // of the kubeconfig, empty for its current one
	// Contexts are those of several clusters to be judged side by side, in place of Context.
	Contexts []FleetCluster
	// MeshKubeconfig and MeshContext are those of the mesh's own API, both empty if it is
	// that of the cluster.
	MeshKubeconfig, MeshContext string
	Namespace                   string // where to look for the Prometheus, empty for everywhere
	Prom                        string // its name, or namespace/name; empty for the only one
	Permit                      []cluster.Permission
	History                     time.Duration // how far to look back in what Prometheus has stored
	For                         time.Duration // how long to watch, zero for until something else ends it
	Until                       string        // file that ends the watch when it appears
}

// reads reports whether a run of the mode does nothing but read.
func (m Mode) reads() bool { return m == Attach || m == Doctor || m == WatchOver }

// defaultHistory is a little longer than Istio's certificates live by default.
const defaultHistory = 25 * time.Hour

// lookTimeout bounds the search for the Prometheus, which is one request.
const lookTimeout = 20 * time.Second

func (c *attachConfig) define(flags *flag.FlagSet) {
	flags.StringVar(&c.Kubeconfig, "kubeconfig", "", "attach, sandbox, clean: kubeconfig of the cluster (default as kubectl finds it)")
	flags.StringVar(&c.Context, "context", "", "attach, sandbox, clean: context of the kubeconfig (default its current one)")
	flags.Func("contexts", "attach: several contexts to judge side by side, as in a,b=namespace/prometheus: each with -prom or its own", func(s string) (err error) {
		c.Contexts, err = parseContexts(s)
		return err
	})
	flags.StringVar(&c.MeshKubeconfig, "mesh-kubeconfig", "", "attach: kubeconfig of the mesh's own API, if its control plane is elsewhere (default none)")
	flags.StringVar(&c.MeshContext, "mesh-context", "", "attach: context of that kubeconfig (default its current one)")
	flags.StringVar(&c.Namespace, "namespace", "", "attach: namespace of the Prometheus object (default any)")
	flags.StringVar(&c.Prom, "prom", "", "attach: name of the Prometheus object, or namespace/name (default the only one)")
	flags.Func("permit", "attach: what is permitted beyond reading: exec, portforward, or both separated by a comma", func(s string) error {
		c.Permit = nil
		for _, name := range strings.Split(s, ",") {
			p, err := cluster.ParsePermission(name)
			if err != nil {
				return err
			}
			c.Permit = append(c.Permit, p)
		}
		return nil
	})
	c.History = defaultHistory
	flags.Var((*span)(&c.History), "history", "attach: how far to look back in what Prometheus has stored")
	flags.Var((*span)(&c.For), "for", "watch: how long to watch (default until a signal, or the file of -until)")
	flags.StringVar(&c.Until, "until", "", "watch: file that ends the watch when it appears")
}

// settings are those for the report.
func (c *attachConfig) settings() map[string]string {
	var permit []string
	for _, p := range c.Permit {
		permit = append(permit, string(p))
	}
	var contexts []string
	for _, f := range c.Contexts {
		contexts = append(contexts, f.String())
	}
	return map[string]string{
		"kubeconfig": c.Kubeconfig, "context": c.Context, "contexts": strings.Join(contexts, ","), "mesh-kubeconfig": c.MeshKubeconfig, "mesh-context": c.MeshContext, "namespace": c.Namespace, "prom": c.Prom,
		"permit": strings.Join(permit, ","), "history": c.History.String(),
		"for": c.For.String(), "until": c.Until,
	}
}

// guest finds the cluster and the Prometheus in it. What the user has to name is his to
// correct; that the cluster does not answer is a set-up that failed, and is kept for
// the report.
func (r *Run) guest() error {
	config, err := cluster.Existing(r.Kubeconfig, r.Context, r.Permit...)
	if err != nil {
		return UsageError{err}
	}
	r.Guest = &Guest{Config: config}
	if r.MeshKubeconfig != "" || r.MeshContext != "" {
		if r.Guest.Mesh, err = cluster.Existing(r.MeshKubeconfig, r.MeshContext); err != nil {
			return UsageError{fmt.Errorf("the mesh's own API: %w", err)}
		}
	}
	ctx, cancel := context.WithTimeout(r.ctx, lookTimeout)
	defer cancel()
	found, err := observe.Prometheuses(ctx, config, r.Namespace)
	if err != nil {
		r.Guest.missing = err
		return nil
	}
	r.Guest.Prometheus, err = choose(found, r.Namespace, r.Prom)
	return err
}

// choose takes the Prometheus that is named, or the only one.
func choose(found []types.NamespacedName, namespace, name string) (types.NamespacedName, error) {
	if n, rest, ok := strings.Cut(name, "/"); ok {
		namespace, name = n, rest
	}
	var fitting []types.NamespacedName
	var all, several []string
	for _, f := range found {
		all = append(all, f.String())
		if (namespace == "" || f.Namespace == namespace) && (name == "" || f.Name == name) {
			fitting, several = append(fitting, f), append(several, f.String())
		}
	}
	switch {
	case len(fitting) == 1:
		return fitting[0], nil
	case len(found) == 0:
		return types.NamespacedName{}, UsageError{errors.New("the cluster has no Prometheus object there: it is one that the Prometheus Operator runs that is judged")}
	case len(fitting) == 0:
		return types.NamespacedName{}, UsageError{fmt.Errorf("there is no such Prometheus object: there are %s", strings.Join(all, ", "))}
	}
	return types.NamespacedName{}, UsageError{fmt.Errorf("there are %d Prometheus objects, name one with PROM=namespace/name: %s", len(fitting), strings.Join(several, ", "))}
}

// openGuest is the set-up of a run in a cluster that is not ours: nothing is made.
func (r *Run) openGuest() error {
	BoundMemory()
	if err := r.phase("open", func(context.Context) (string, error) {
		return "Prometheus " + r.Guest.Prometheus.String(), r.Guest.missing
	}); err != nil {
		return err
	}
	return r.phase("preflight", func(ctx context.Context) (string, error) {
		results, err := r.preflight(ctx)
		for _, result := range results {
			if result.State != preflight.OK {
				r.Terminal.Note(line(result))
			}
		}
		if failed := preflight.Failed(results); err == nil && failed != "" {
			err = errors.New(failed)
		}
		return fmt.Sprintf("%d looks", len(results)), err
	})
}

func (r *Run) preflight(ctx context.Context) ([]preflight.Result, error) {
	return preflight.Run(ctx, preflight.Subject{Config: r.Guest.Config, Mesh: r.Guest.Mesh, Prometheus: r.Guest.Prometheus, Next: r.Next}, r.Skip)
}

func line(r preflight.Result) string { return fmt.Sprintf("%-4s %s: %s", r.State, r.Name, r.Text) }

// doctor only looks, and says what it found. Its code is that of a set-up that failed
// if anything would make a run worthless.
func (r *Run) doctor() int {
	err := r.Guest.missing
	var results []preflight.Result
	if err == nil {
		results, err = r.preflight(r.ctx)
	}
	for _, result := range results {
		fmt.Println(line(result))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || preflight.Failed(results) != "" {
		return int(reports.ExitSetupFailed)
	}
	return int(reports.ExitConformant)
}

// ChecksToSkip are those of the skip list that are no looks of the preflight.
func (c Config) ChecksToSkip() map[string]string {
	skip := maps.Clone(c.Skip)
	for _, name := range preflight.Names() {
		delete(skip, name)
	}
	return skip
}
