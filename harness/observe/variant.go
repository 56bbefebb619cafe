package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// variantTimeout bounds the way of a monitor that comes or goes through the Operator
// and the kubelet to Prometheus. With the kubelet nudged it was measured at 3 s.
const variantTimeout = 20 * time.Second

// Variant waits until every replica scrapes a job that was just added. At every
// look nudge is called, which makes the kubelet hurry. That it is not scraped in
// time is part of what was seen.
func (o *Observer) Variant(ctx context.Context, before Observation, job string, nudge func(context.Context) error) *Variant {
	p := &pass{Observer: o, o: before}
	v, begun := &Variant{Job: job}, time.Now()
	err := awaitReplicas(ctx, "every replica to scrape the job "+job, before.Replicas, nudge, func(ctx context.Context, pod string) (string, error) {
		api, err := p.replica(pod)
		if err != nil {
			return "", err
		}
		samples, err := newest(ctx, api, fmt.Sprintf("up{job=%q}", job))
		if err != nil || slices.ContainsFunc(samples, func(s Sample) bool { return s.At.After(begun) }) {
			return "", err
		}
		return pod + " has no sample of it", nil
	})
	v.Since = time.Now().UTC()
	if err != nil {
		v.Error = err.Error()
	}
	return v
}

// VariantGone waits until no replica has a target of such a job, whose monitor was just
// removed: whoever looks next is not to find it.
func (o *Observer) VariantGone(ctx context.Context, before Observation, job string, nudge func(context.Context) error) error {
	p := &pass{Observer: o, o: before}
	return awaitReplicas(ctx, "no replica to have a target of the job "+job, before.Replicas, nudge, func(ctx context.Context, pod string) (string, error) {
		targets, err := p.targetsOf(ctx, pod)
		if err != nil || !slices.ContainsFunc(targets, func(t Target) bool { return t.Labels["job"] == job }) {
			return "", err
		}
		return pod + " still has one", nil
	})
}

// awaitReplicas nudges and looks until nothing is amiss at any of the replicas.
func awaitReplicas(ctx context.Context, what string, replicas []Replica, nudge func(context.Context) error, amiss func(ctx context.Context, pod string) (string, error)) error {
	return wait.For(ctx, what, func(ctx context.Context) (bool, string, error) {
		if err := nudge(ctx); err != nil {
			return false, "", err
		}
		var waiting []string
		for _, r := range replicas {
			text, err := amiss(ctx, r.Pod)
			if err != nil {
				return false, "", err
			}
			if text != "" {
				waiting = append(waiting, text)
			}
		}
		return len(waiting) == 0, strings.Join(waiting, "; "), nil
	}, wait.Timeout(variantTimeout), wait.Interval(500*time.Millisecond))
}
