package faults

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
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
// are busy with as many; half as many again take no less time in all, and so long each
// that reads and waits run into their bounds.
const Parallel = 8

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
		var standing, alone []*trial
		for _, f := range patientFirst(faults) {
			t := r.begin(ctx, f)
			switch {
			case !f.alone():
				g.Go(func() error {
					outcomes <- t.end(ctx)
					return nil
				})
			case f.Mesh.Late:
				standing = append(standing, t)
			default:
				alone = append(alone, t)
			}
		}
		for _, t := range standing { // what comes later comes to what can stand before
			g.Go(func() error {
				t.stand(ctx)
				return nil
			})
		}
		_ = g.Wait() // outcomes have their own errors
		for _, t := range append(standing, alone...) {
			outcomes <- t.end(ctx)
		}
	}()
	for o := range outcomes {
		if o.Error == nil || ctx.Err() == nil { // what an interrupt kept from being tried has no outcome
			done(o)
		}
	}
}

// patientFirst puts those in front that wait more than they work: they then do it
// beside others, and not at the end, when nobody else is left.
func patientFirst(faults []Fault) []Fault {
	patient := func(f Fault) bool { return f.Unready || f.Watch || f.Expires || f.Age > 0 }
	return slices.SortedStableFunc(slices.Values(faults), func(a, b Fault) int { return btoi(patient(b)) - btoi(patient(a)) })
}

// trial is a fault that is being tried: a subject is made, looked at, judged and taken
// away.
type trial struct {
	Outcome
	attempt *attempt // nil if there is none to be made
}

// begin makes nothing yet. Why a fault cannot be tried is in its outcome.
func (r *Runner) begin(ctx context.Context, f Fault) *trial {
	t := &trial{Outcome: Outcome{Fault: f}}
	s, err := NewSubject(f)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		t.Error = err
		return t
	}
	taken, err := r.taken(ctx, s.Namespace)
	if err != nil {
		t.Error = err
		return t
	}
	if taken {
		t.Skipped = fmt.Sprintf("the namespace %s, which it is about, is there already and is not the suite's to change", s.Namespace)
		return t
	}
	t.attempt = &attempt{Runner: r, fault: f, subject: s}
	return t
}

// stand has the subject stand ahead of time.
func (t *trial) stand(ctx context.Context) {
	if t.attempt == nil || ctx.Err() != nil {
		return
	}
	begun := time.Now()
	t.Error = t.attempt.stand(ctx)
	t.Took += time.Since(begun)
}

// end does all that is left to be done.
func (t *trial) end(ctx context.Context) (o Outcome) {
	begun := time.Now()
	defer func() { o.Took += time.Since(begun) }()
	a := t.attempt
	if a == nil {
		return t.Outcome
	}
	if t.Error == nil {
		t.Error = ctx.Err()
	}
	if t.Error == nil {
		var observed observe.Observation
		if observed, t.Error = a.observe(ctx); t.Error == nil {
			t.Result, t.Error = a.judge(t.Fault, a.subject, observed)
		}
	}
	t.Remark = a.remark
	if a.Keep && !t.good() {
		return t.Outcome
	}
	if err := a.remove(context.WithoutCancel(ctx), a.applied); err != nil && t.Error == nil {
		t.Error = fmt.Errorf("removing what was made for it: %w", err)
	}
	return t.Outcome
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

// client is the one below the framework's, whose lists take more than labels to go by.
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
