package observe

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const (
	// restInterval is the pause between two looks at a subject that is not at rest. Each
	// is a whole one, which a large cluster feels.
	restInterval = 3 * time.Second
	// youth is how long after a pod became ready Prometheus may not have found it yet:
	// twice the five seconds for which its discovery gathers changes, and as much for
	// the EndpointSlice and the API server on the way.
	youth = 20 * time.Second
)

// lookAtRest looks until nothing that Prometheus scrapes is just coming or going, or
// until limit has passed: who rolled out pods returns before Prometheus has found the
// new ones. What does not come to rest is judged as it is.
func (p *pass) lookAtRest(ctx context.Context, limit time.Duration, look func(context.Context)) {
	_ = wait.For(ctx, "what Prometheus scrapes to be at rest", func(context.Context) (bool, string, error) {
		look(ctx) // whole, whatever is left of the limit
		moving := Unrest(p.o)
		return len(moving) == 0, strings.Join(moving, "; "), nil
	}, wait.Timeout(limit), wait.Interval(restInterval))
}

// Unrest says what of the targets was just coming or going: nothing of a subject that is
// wrong for good. It is the first of each kind that is named, and how many there are.
func Unrest(o Observation) []string {
	pods := map[string]*corev1.Pod{}
	for i := range o.Pods {
		pods[o.Pods[i].Namespace+"/"+o.Pods[i].Name] = &o.Pods[i]
	}
	expected := ExpectedTargets(o)
	going, unscraped, unfound, gone := &kind{what: "of a pod that is about to go"}, &kind{what: "not scraped yet"}, &kind{what: "not found yet"}, &kind{what: "of a pod that is gone"}
	for _, e := range expected {
		if pod := pods[e.Namespace+"/"+e.Pod]; pod != nil && pod.DeletionTimestamp != nil {
			going.add(e.URL)
		}
	}
	for _, r := range o.Replicas {
		wanted, has := map[string]bool{}, map[string]bool{} // by pool and URL
		own := ForReplica(o, expected, r.Pod)
		for _, e := range own {
			wanted[e.Pool+" "+e.URL] = true
		}
		for _, t := range r.Targets {
			has[t.Pool+" "+t.URL] = true
			switch name := t.Labels["namespace"] + "/" + t.Labels["pod"]; {
			case !wanted[t.Pool+" "+t.URL] && t.Labels["pod"] != "" && len(pods) > 0 && pods[name] == nil:
				gone.add(r.Pod + " has " + t.URL)
			case t.Health == string(promv1.HealthUnknown) && t.LastScrape.IsZero():
				unscraped.add(r.Pod + " has " + t.URL)
			}
		}
		for _, e := range own {
			if pod := pods[e.Namespace+"/"+e.Pod]; !has[e.Pool+" "+e.URL] && pod != nil && o.At.Sub(ReadySince(pod)) < youth {
				unfound.add(r.Pod + " lacks " + e.URL)
			}
		}
	}
	var all []string
	for _, k := range []*kind{going, unscraped, unfound, gone} {
		if k.n > 0 {
			all = append(all, fmt.Sprintf("%s (%s), %d in all", k.first, k.what, k.n))
		}
	}
	return all
}

// kind counts things of one kind.
type kind struct {
	what  string
	first string
	n     int
}

func (k *kind) add(one string) {
	k.first = cmp.Or(k.first, one)
	k.n++
}

// ReadySince is when a pod became ready; when it was made, if it is not.
func ReadySince(pod *corev1.Pod) time.Time {
	if at, ready := becameReady(pod); ready {
		return at
	}
	return pod.CreationTimestamp.Time
}

// becameReady is when a pod became ready, if it is.
func becameReady(pod *corev1.Pod) (at time.Time, ready bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time, true
		}
	}
	return time.Time{}, false
}
