package conformance

import (
	"maps"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// targetIndex finds what a replica has for an expected target. Several targets of
// one pool may have one URL, as when two Services lead to the same pod.
type targetIndex map[string][]observe.Target

func indexTargets(r observe.Replica) targetIndex {
	index := targetIndex{}
	for _, t := range r.Targets {
		index[t.Pool+" "+t.URL] = append(index[t.Pool+" "+t.URL], t)
	}
	return index
}

func (i targetIndex) find(e observe.Expected) []observe.Target { return i[e.Pool+" "+e.URL] }

// interval is how often a target is to be scraped, 0 if it is not known.
func (i targetIndex) interval(e observe.Expected) time.Duration {
	for _, t := range i.find(e) {
		return time.Duration(t.Interval)
	}
	return 0
}

// owns reports whether labels are those of a target. Where Prometheus lists the
// target, its labels decide, so that relabelled ones are recognised; else those
// that the Operator gives every target.
func (i targetIndex) owns(e observe.Expected, labels map[string]string) bool {
	targets := i.find(e)
	if len(targets) == 0 {
		return labels["namespace"] == e.Namespace && labels["pod"] == e.Pod && labels["instance"] == e.Address
	}
	for _, t := range targets {
		if len(t.Labels) > 0 && includes(labels, t.Labels) {
			return true
		}
	}
	return false
}

func includes(all, some map[string]string) bool {
	for name := range maps.Keys(some) {
		if all[name] != some[name] {
			return false
		}
	}
	return true
}

// seriesIndex finds the samples of a target among many, by what nearly every
// target differs in.
type seriesIndex[T any] map[string][]T

func indexSeries[T any](all []T, labels func(T) map[string]string) seriesIndex[T] {
	index := seriesIndex[T]{}
	for _, x := range all {
		index[labels(x)["instance"]] = append(index[labels(x)["instance"]], x)
	}
	return index
}

// of returns what belongs to a target.
func (s seriesIndex[T]) of(targets targetIndex, e observe.Expected, labels func(T) map[string]string) []T {
	instances := map[string]bool{e.Address: true}
	for _, t := range targets.find(e) {
		instances[t.Labels["instance"]] = true
	}
	var own []T
	for instance := range instances {
		for _, x := range s[instance] {
			if targets.owns(e, labels(x)) {
				own = append(own, x)
			}
		}
	}
	return own
}

func sampleLabels(s observe.Sample) map[string]string { return s.Labels }
func seriesLabels(s observe.Series) map[string]string { return s.Labels }
