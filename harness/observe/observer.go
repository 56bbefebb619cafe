package observe

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"golang.org/x/sync/errgroup"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// parallelReads is how many things are read at a time. It is small because the
// machine that is observed is often the one that observes.
const parallelReads = 8

// Observer reads one subject.
type Observer struct {
	client     klient.Client
	mesh       klient.Client // where Istio's own kinds are, if elsewhere; else nil
	kubernetes kubernetes.Interface
	config     *rest.Config
	namespace  string // of the Prometheus under test
	prometheus string // its name
	web        monitoring.Web
	since      time.Time
	requests   *atomic.Int64 // sent to the API server so far
}

// NewObserver prepares to read the named Prometheus and everything it scrapes.
func NewObserver(config *rest.Config, namespace, prometheus string) (*Observer, error) {
	requests := &atomic.Int64{}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counter{next, requests} })
	client, err := cluster.NewClient(config)
	if err != nil {
		return nil, err
	}
	if err := Teach(); err != nil {
		return nil, err
	}
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client to observe with: %w", err)
	}
	return &Observer{client: client, kubernetes: k, config: config, namespace: namespace, prometheus: prometheus, since: time.Now().UTC(), requests: requests}, nil
}

// Anew is the same observer as if it were made now: only what happens from here on counts
// to it. Its clients are the same, which is cheaper than a new observer is.
func (o *Observer) Anew() *Observer {
	anew := *o
	anew.since = time.Now().UTC()
	return &anew
}

// MeshElsewhere has what is Istio's own read in another cluster: that of a control plane
// which somebody else runs. Its webhooks, its configuration and its roots are looked for
// there only where this one does not have them.
func (o *Observer) MeshElsewhere(config *rest.Config) error {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counter{next, o.requests} })
	client, err := cluster.NewClient(config)
	if err != nil {
		return err
	}
	o.mesh = client
	return nil
}

// Teach teaches every client the types of the mesh and of the Operator: they all
// share client-go's scheme, which may not be written to while any of them reads.
var Teach = sync.OnceValue(func() error {
	for _, add := range []func(*runtime.Scheme) error{
		monitoringv1.AddToScheme, monitoringv1alpha1.AddToScheme, securityv1.AddToScheme, networkingv1.AddToScheme,
	} {
		if err := add(scheme.Scheme); err != nil {
			return err
		}
	}
	return nil
})

// pass is one observation being made.
type pass struct {
	*Observer
	texts texts      // of what there is much of
	mu    sync.Mutex // held by whoever writes to o, or takes all of it, while reads run side by side
	o     Observation
}

// seen is what was observed so far, for a read that is made beside others.
func (p *pass) seen() Observation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.o
}

// unread records what could not be read. Nothing else is done about it: the
// checks that need it say so.
func (p *pass) unread(what string, err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.Unread = append(p.o.Unread, Unread{What: what, Reason: withRule(what, err)})
}

// each runs the reads side by side and waits for all of them.
func each(ctx context.Context, reads ...func(context.Context)) {
	var g errgroup.Group
	g.SetLimit(parallelReads)
	for _, read := range reads {
		g.Go(func() error {
			if ctx.Err() == nil {
				read(ctx)
			}
			return nil
		})
	}
	_ = g.Wait() // reads record their own errors
}

// Observe makes one pass over the subject. It fails only if the context ends:
// what could not be read is part of what was seen.
func (o *Observer) Observe(ctx context.Context) (Observation, error) {
	p := &pass{Observer: o, o: Observation{FormatVersion: FormatVersion, Since: o.since, At: time.Now().UTC()}}
	before := o.requests.Load()
	p.readObjects(ctx)
	p.readMesh(ctx)
	p.readRunning(ctx)
	p.probe(ctx)
	p.sort()
	p.o.Requests = o.requests.Load() - before
	return p.o, ctx.Err()
}

// PrometheusLabel is by what the Operator marks the pods of a Prometheus.
const PrometheusLabel = "operator.prometheus.io/name"

// Replicas lists the pods of the Prometheus under test, by name.
func Replicas(o Observation) []corev1.Pod {
	var pods []corev1.Pod
	if o.Prometheus == nil {
		return nil
	}
	for _, p := range o.Pods {
		if p.Namespace == o.Prometheus.Namespace && p.Labels[PrometheusLabel] == o.Prometheus.Name {
			pods = append(pods, p)
		}
	}
	return pods
}

func (p *pass) replica(pod string) (*monitoring.Replica, error) {
	return monitoring.NewReplica(p.config, p.namespace, pod, p.web)
}

// counter counts requests: an observer that asks too much is no guest to have.
type counter struct {
	next  http.RoundTripper
	count *atomic.Int64
}

func (c counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.count.Add(1)
	return c.next.RoundTrip(r)
}
