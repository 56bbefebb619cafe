package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// The bounds of a subject's life. On two cores, half a dozen of them start within
// half a minute, and a dozen were seen to need more than a minute and a half.
const (
	startLimit   = 3 * time.Minute  // until its workloads are ready
	unreadyLimit = 90 * time.Second // the same, where they are not meant to be, and nobody says so
	nobodyLimit  = 8 * time.Second  // for the Operator to make a StatefulSet, where it may not mean to
	faultSettle  = 8 * time.Second  // four scrapes: until they are well, which with a fault they are not
	feltLimit    = 15 * time.Second // until a later change is felt
	expiryLimit  = 90 * time.Second // until a certificate of 20 s has ended, that may be renewed once more
	// What Prometheus knows from before somebody looks does not count.
	rescrapeLimit = 10 * time.Second
	watchLimit    = 30 * time.Second // two rotations of such certificates, and some more
	endedLimit    = 12 * time.Second // one, where a certificate has ended already
)

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
	}, wait.Timeout(limit), wait.Interval(2*time.Second))
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

// observer is one to which only what happens from now on counts.
func (a *attempt) observer() (*observe.Observer, error) {
	if a.observes == nil {
		o, err := observe.NewObserver(a.Config, a.subject.Namespace, prometheusName)
		if err != nil {
			return nil, err
		}
		a.observes = o
	}
	return a.observes.Anew(), nil
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
