package faults

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// Parallel is how many subjects stand at a time, if nobody says otherwise. Each is
// two pods, of which a node takes 110; those that are going still count.
const Parallel = 12

// The bounds of a subject's life. On two cores, a dozen of them starting at once
// were estimated at a minute.
const (
	startLimit   = 90 * time.Second // until its workloads are ready
	unreadyLimit = 30 * time.Second // the same, where they are not meant to be
	nobodyLimit  = 8 * time.Second  // for the Operator to make a StatefulSet, where it may not mean to
	faultSettle  = 15 * time.Second // until the scrapes are well, which with a fault they are not
	feltLimit    = 15 * time.Second // until a later change is felt
	expiryLimit  = 90 * time.Second // until a certificate of 20 s has ended, that may be renewed once more
	// What Prometheus knows from before somebody looks does not count.
	rescrapeLimit = 10 * time.Second
	watchLimit    = 30 * time.Second // two rotations of such certificates, and some more
)

// Runner tries faults on a cluster.
type Runner struct {
	Client   klient.Client
	Config   *rest.Config
	RunID    string
	Images   map[string]string // by upstream's reference
	Parallel int
	Settle   time.Duration // for the good set-up
	Dir      string        // where observations are kept
	Record   string        // where recordings for the tests are kept; empty for none
	Keep     bool          // leave subjects that were not as the catalogue says
}

// Run tries faults, as many at a time as is allowed, those that must be alone after
// the others, and calls done with each outcome, one at a time.
func (r *Runner) Run(ctx context.Context, faults []Fault, done func(Outcome)) {
	outcomes := make(chan Outcome)
	go func() {
		defer close(outcomes)
		var g errgroup.Group
		g.SetLimit(max(r.Parallel, 1))
		for _, f := range faults {
			if !f.alone() {
				g.Go(func() error {
					outcomes <- r.try(ctx, f)
					return nil
				})
			}
		}
		_ = g.Wait() // outcomes have their own errors
		for _, f := range faults {
			if f.alone() {
				outcomes <- r.try(ctx, f)
			}
		}
	}()
	for o := range outcomes {
		if o.Error == nil || ctx.Err() == nil { // what an interrupt kept from being tried has no outcome
			done(o)
		}
	}
}

// try makes one subject, looks at it, judges it and takes it away.
func (r *Runner) try(ctx context.Context, f Fault) (o Outcome) {
	begun := time.Now()
	o.Fault = f
	defer func() { o.Took = time.Since(begun) }()
	if ctx.Err() != nil {
		o.Error = ctx.Err()
		return o
	}
	s, err := NewSubject(f)
	if err != nil {
		o.Error = err
		return o
	}
	if taken, err := r.taken(ctx, s.Namespace); err != nil || taken {
		o.Error = err
		o.Skipped = fmt.Sprintf("the namespace %s, which it is about, is there already and is not the suite's to change", s.Namespace)
		return o
	}
	a := &attempt{Runner: r, fault: f, subject: s}
	observed, err := a.observe(ctx)
	if err == nil {
		o.Result, err = r.judge(f, s, observed)
	}
	o.Error, o.Remark = err, a.remark
	if r.Keep && !o.good() {
		return o
	}
	if err := r.remove(context.WithoutCancel(ctx), a.applied); err != nil && o.Error == nil {
		o.Error = fmt.Errorf("removing what was made for it: %w", err)
	}
	return o
}

// judge keeps what was seen, and judges it.
func (r *Runner) judge(f Fault, s *Subject, o observe.Observation) (Result, error) {
	if err := observe.Write(filepath.Join(r.Dir, f.ID+".json"), o); err != nil {
		return Result{}, err
	}
	result := Compare(f, Judge(f, o))
	if r.Record == "" {
		return result, nil
	}
	return result, Record(r.Record, f, Shrink(o, s.Namespace), result)
}

// client is what several goroutines may use at a time: the framework's own keeps the
// namespace that it was last asked for, whoever asked.
func (r *Runner) client() crclient.Client { return r.Client.Resources().GetControllerRuntimeClient() }

// taken reports whether a namespace is there that no subject made.
func (r *Runner) taken(ctx context.Context, name string) (bool, error) {
	var ns corev1.Namespace
	err := r.client().Get(ctx, crclient.ObjectKey{Name: name}, &ns)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && ns.Labels[faultLabel] == "", err
}

// attempt is a fault being tried.
type attempt struct {
	*Runner
	fault   Fault
	subject *Subject
	applied []*unstructured.Unstructured // what the cluster has of the subject
	remark  string
}

// observe brings the fault about and looks at it.
func (a *attempt) observe(ctx context.Context) (o observe.Observation, err error) {
	look := func(ctx context.Context) (err error) {
		if err = a.later(ctx); err == nil {
			o, err = a.look(ctx)
		}
		return err
	}
	whole := func(ctx context.Context) error {
		if err := a.stand(ctx); err != nil {
			return err
		}
		return look(ctx)
	}
	if a.fault.Mesh == nil {
		err = whole(ctx)
		return o, err
	}
	d, err := a.fault.Mesh.Make(a.Client)
	if err != nil {
		return o, err
	}
	if !a.fault.Mesh.Late {
		err = disrupt.While(ctx, d, func(string) {}, whole)
	} else if err = a.stand(ctx); err == nil {
		err = disrupt.While(ctx, d, func(string) {}, look)
	}
	return o, err
}

// stand applies the set-up and waits until it stands, as far as it will.
func (a *attempt) stand(ctx context.Context) error {
	if err := a.apply(ctx); err != nil {
		return err
	}
	if err := a.awaitWorkloads(ctx); err != nil {
		return err
	}
	limit := faultSettle
	if len(a.fault.Change) == 0 && (a.fault.Mesh == nil || a.fault.Mesh.Late) {
		limit = a.Settle // it is good, and what comes later comes to a good one
	}
	return a.settle(ctx, limit)
}

// apply brings the cluster to what the subject is now.
func (a *attempt) apply(ctx context.Context) error {
	wanted := a.subject.Manifests(a.RunID, a.Images)
	changed, gone := difference(a.applied, wanted)
	// Whatever is applied in part must be removed in whole.
	a.applied = slices.Concat(gone, wanted)
	if err := cluster.Apply(ctx, a.Client, changed...); err != nil {
		return err
	}
	if err := a.remove(ctx, gone); err != nil {
		return err
	}
	a.applied = wanted
	return nil
}

// difference is what has to be applied, and what removed, to get from some objects
// to others.
func difference(from, to []*unstructured.Unstructured) (changed, gone []*unstructured.Unstructured) {
	for _, u := range to {
		if i := place(from, u); i < 0 || !reflect.DeepEqual(from[i], u) {
			changed = append(changed, u)
		}
	}
	for _, u := range from {
		if place(to, u) < 0 {
			gone = append(gone, u)
		}
	}
	return changed, gone
}

func place(all []*unstructured.Unstructured, u *unstructured.Unstructured) int {
	return slices.IndexFunc(all, func(x *unstructured.Unstructured) bool {
		return x.GroupVersionKind() == u.GroupVersionKind() && crclient.ObjectKeyFromObject(x) == crclient.ObjectKeyFromObject(u)
	})
}

// workloads lists those of the subject.
func (a *attempt) workloads(ctx context.Context) (w workloads, err error) {
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	var pods corev1.PodList
	var warnings corev1.EventList
	c, in := a.client(), crclient.InNamespace(a.subject.Namespace)
	err = errors.Join(c.List(ctx, &deployments, in), c.List(ctx, &sets, in), c.List(ctx, &pods, in),
		c.List(ctx, &warnings, in, crclient.MatchingFields{"type": corev1.EventTypeWarning}))
	return workloads{deployments.Items, sets.Items, pods.Items, warnings.Items}, err
}

// awaitWorkloads waits until everything is ready or, where that is not to be, until
// it is plain. That a good set-up is not ready in time is remarked upon: what is
// then seen tells more.
func (a *attempt) awaitWorkloads(ctx context.Context) error {
	limit := startLimit
	if a.fault.Unready {
		limit = unreadyLimit
	}
	var waited time.Time // for the Operator, since when all others have done their part
	err := wait.For(ctx, "the workloads in "+a.subject.Namespace+" to be ready", func(ctx context.Context) (bool, string, error) {
		w, err := a.workloads(ctx)
		if err != nil {
			return false, "", err
		}
		s := w.standing()
		if s.ready || a.fault.Unready && s.stuck {
			return true, s.text, nil
		}
		if s.text != noSet {
			waited = time.Time{}
		} else if waited.IsZero() {
			waited = time.Now()
		}
		return a.fault.Unready && !waited.IsZero() && time.Since(waited) > nobodyLimit, s.text, nil
	}, wait.Timeout(limit), wait.Interval(time.Second))
	if err != nil && !a.fault.Unready {
		a.remark = err.Error()
	}
	return ctx.Err()
}

// settle waits for the scrapes to be well, if Prometheus runs.
func (a *attempt) settle(ctx context.Context, limit time.Duration) error {
	w, err := a.workloads(ctx)
	if err != nil {
		return fmt.Errorf("looking at the pods in %s: %w", a.subject.Namespace, err)
	}
	if w.running() == nil {
		return ctx.Err()
	}
	o, err := a.observer()
	if err != nil {
		return err
	}
	if settled, note := o.Settle(ctx, limit); !settled && a.fault.ID == Control {
		a.remark = note
	}
	return ctx.Err()
}

func (a *attempt) observer() (*observe.Observer, error) {
	return observe.NewObserver(a.Config, a.subject.Namespace, prometheusName)
}

// later makes the later changes and gives them time to be felt.
func (a *attempt) later(ctx context.Context) error {
	if len(a.fault.Later) > 0 {
		if err := a.subject.Make(a.fault.Later); err != nil {
			return err
		}
		if err := a.apply(ctx); err != nil {
			return err
		}
	}
	switch {
	case a.fault.Expires:
		return a.awaitExpiry(ctx)
	case a.fault.Age > 0:
		return a.awaitAge(ctx)
	case a.fault.late():
		return a.awaitHarm(ctx)
	}
	return nil
}

// awaitExpiry waits until the certificate in the files has ended.
func (a *attempt) awaitExpiry(ctx context.Context) error {
	o, err := a.observer()
	if err != nil {
		return err
	}
	if ended, note := o.AwaitExpiry(ctx, expiryLimit); !ended {
		a.remark = note
	}
	return ctx.Err()
}

// awaitAge waits until Prometheus has run for a while.
func (a *attempt) awaitAge(ctx context.Context) error {
	return wait.For(ctx, fmt.Sprintf("Prometheus in %s to have run for %s", a.subject.Namespace, a.fault.Age), func(ctx context.Context) (bool, string, error) {
		w, err := a.workloads(ctx)
		if err != nil {
			return false, "", err
		}
		since := w.running()
		if since == nil {
			return false, "it does not run", nil
		}
		return time.Since(since.StartedAt.Time) > a.fault.Age, "it runs since " + since.StartedAt.Format(time.TimeOnly), nil
	}, wait.Timeout(a.fault.Age+startLimit), wait.Interval(time.Second))
}

// awaitHarm waits until some target is no longer as it was. A change that does no
// such harm has had its time then.
func (a *attempt) awaitHarm(ctx context.Context) error {
	deadline := time.Now().Add(feltLimit)
	for ctx.Err() == nil && time.Now().Before(deadline) {
		o, err := a.observer()
		if err != nil {
			return err
		}
		if well, _ := o.Settle(ctx, scrapesIn); !well {
			break
		}
	}
	return ctx.Err()
}

// scrapesIn is how long the next scrape of every target may take: three intervals.
const scrapesIn = 6 * time.Second

// look observes the subject as it is now, and over a time if its fault is about
// rotation.
func (a *attempt) look(ctx context.Context) (observe.Observation, error) {
	o, err := a.observer()
	if err != nil {
		return observe.Observation{}, err
	}
	w, err := a.workloads(ctx)
	if err != nil {
		return observe.Observation{}, fmt.Errorf("looking at the pods in %s: %w", a.subject.Namespace, err)
	}
	if w.running() != nil {
		o.Rescraped(ctx, rescrapeLimit)
	}
	seen, err := o.Observe(ctx)
	if err != nil || !a.fault.Watch {
		return seen, err
	}
	return o.Watch(ctx, seen, watchLimit)
}
