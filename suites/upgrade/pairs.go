package upgrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// pair is the versions of the proxies at the two ends of a scrape: the one that has
// the certificate renewed which Prometheus shows, and the one that asks for it.
type pair struct{ prometheus, target string }

func (p pair) String() string { return p.prometheus + " scrapes " + p.target }

// allPairs are those of an old and a new proxy.
func (r Record) allPairs() []pair {
	return []pair{{r.From, r.From}, {r.From, r.To}, {r.To, r.From}, {r.To, r.To}}
}

// pairs counts the scrapes that succeeded after a step, by their pair. Only what came
// after the step is counted: then each pod is the one that was observed.
func (s Step) pairs() map[pair]int {
	o, e := s.Observation, s.episode()
	settled := settledAt(e)
	seen := map[pair]int{}
	if settled.IsZero() || o.Prometheus == nil {
		return seen
	}
	for _, u := range e.Up {
		prometheus, ok := proxyVersion(observe.FindPod(o, o.Prometheus.Namespace, u.Pod))
		if !ok {
			continue
		}
		for _, series := range u.Series {
			target, ok := proxyVersion(observe.FindPod(o, series.Labels["namespace"], series.Labels["pod"]))
			if !ok {
				continue // outside the mesh
			}
			for _, p := range series.Points {
				if p.Value == 1 && p.At.After(settled) {
					seen[pair{prometheus, target}]++
				}
			}
		}
	}
	return seen
}

// settledAt is when the change of an episode had taken effect; the zero time if it
// never did.
func settledAt(e observe.Episode) time.Time {
	i := slices.IndexFunc(e.Marks, func(m observe.Mark) bool { return m.Step == disrupt.InEffect })
	if i < 0 {
		return time.Time{}
	}
	return e.Marks[i].At
}

func proxyVersion(p *corev1.Pod) (string, bool) {
	s, ok := observe.SidecarOf(p)
	return s.Version(), ok
}

// others are the pods of the subject whose proxies are not of a version, by
// "namespace/name", each with the version that it has. Pods that are going are left out.
func others(o observe.Observation, version string) map[string]string {
	names := observe.ExpectedPods(o)
	for _, r := range observe.Replicas(o) {
		names = append(names, r.Namespace+"/"+r.Name)
	}
	found := map[string]string{}
	for i := range o.Pods {
		p := &o.Pods[i]
		name := p.Namespace + "/" + p.Name
		if v, ok := proxyVersion(p); ok && v != version && p.DeletionTimestamp == nil && slices.Contains(names, name) {
			found[name] = v
		}
	}
	return found
}

// listed is a map in words, as in "a has 1.30.4, b has 1.30.4".
func listed(versions map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		words = append(words, fmt.Sprintf("%s has %s", name, versions[name]))
	}
	return strings.Join(words, ", ")
}
