package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// variantTimeout bounds the way of a new monitor through the Operator and the
// kubelet to Prometheus. With the kubelet nudged it was measured at 3 s.
const variantTimeout = 20 * time.Second

// Variant waits until every replica scrapes a job that was just added. At every
// look nudge is called, which makes the kubelet hurry. That it is not scraped in
// time is part of what was seen.
func (o *Observer) Variant(ctx context.Context, before Observation, job string, nudge func(context.Context) error) *Variant {
	p := &pass{Observer: o, o: before}
	v, begun := &Variant{Job: job}, time.Now()
	err := wait.For(ctx, "every replica to scrape the job "+job, func(ctx context.Context) (bool, string, error) {
		if err := nudge(ctx); err != nil {
			return false, "", err
		}
		var waiting []string
		for _, r := range before.Replicas {
			api, err := p.replica(r.Pod)
			if err != nil {
				return false, "", err
			}
			samples, err := newest(ctx, api, fmt.Sprintf("up{job=%q}", job))
			if err != nil {
				return false, "", err
			}
			if !slices.ContainsFunc(samples, func(s Sample) bool { return s.At.After(begun) }) {
				waiting = append(waiting, r.Pod+" has no sample of it")
			}
		}
		return len(waiting) == 0, strings.Join(waiting, "; "), nil
	}, wait.Timeout(variantTimeout), wait.Interval(500*time.Millisecond))
	v.Since = time.Now().UTC()
	if err != nil {
		v.Error = err.Error()
	}
	return v
}
