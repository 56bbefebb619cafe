package faults

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// Parallel is how many subjects stand at a time, if nobody says otherwise. Two cores
// are busy with as many; a dozen take no less time in all, and so long each that
// reads and waits run into their bounds.
const Parallel = 6

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
