package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// survival is what the resilience checks have in common: something was taken
// away and came back, and no scrape was missed beyond what the thing itself must
// miss.
type survival struct {
	disruption string
	// bound says what may be missed and why. It is part of the evidence.
	bound string
	// excused reports whether a scrape of a pod by a replica may be missing or have
	// failed at a moment. Nil excuses nothing.
	excused func(e observe.Episode, replica, pod string, at time.Time) bool
	// regenerated says that Prometheus gets a configuration which somebody generates
	// anew. What tells a target's scrapes apart may differ in it, and they then begin anew
	// at another moment of the interval, which is worked out from it: between the last
	// before and the first after may be up to two intervals, and none is missed.
	regenerated bool
}

func (s survival) assess(o *subject, f *finding) {
	i := slices.IndexFunc(o.Episodes, func(e observe.Episode) bool { return e.Disruption == s.disruption })
	if i < 0 {
		f.Unclear("nobody tried: the %s was not brought about", s.disruption)
		return
	}
	e := o.Episodes[i]
	if e.Error != "" {
		f.Unclear("the %s could not be brought about or undone: %s", s.disruption, e.Error)
		return
	}
	if markOf(e, disrupt.Begins).IsZero() {
		f.Unclear("when the %s began was not noted, so what it excuses is open", s.disruption)
		return
	}
	var steps []string
	for _, m := range e.Marks {
		steps = append(steps, m.Step+" at "+m.At.Format(clock))
	}
	f.Saw("the disruption", s.disruption, "%s: %s. Bound: %s", e.Title, strings.Join(steps, ", "), s.bound)
	for _, p := range e.Pods {
		if !p.Before || !p.After || isReplica(o, p.Name) {
			continue
		}
		for _, u := range e.Up {
			s.assessSeries(o, e, u, p.Name, f)
		}
	}
	s.assessChanged(o, e, f)
	if !slices.ContainsFunc(e.Pods, func(p observe.EpisodePod) bool { return !isReplica(o, p.Name) }) {
		f.Unclear("no target was there to be scraped during the %s", s.disruption)
	}
	if len(o.Replicas) == 0 {
		f.Unclear("no replica of Prometheus was seen")
	}
	for _, r := range o.Replicas {
		if !slices.ContainsFunc(e.Up, func(u observe.ReplicaUp) bool { return u.Pod == r.Pod }) {
			f.Unclear("what %s stored during the %s was not read", r.Pod, s.disruption)
		}
	}
	if !e.Recovered {
		f.Fail("after the %s the scrapes did not come back: %s", s.disruption, e.Settled)
	}
}

const clock = "15:04:05.000"

// assessSeries judges every sample of one target that was there all the time.
func (s survival) assessSeries(o *subject, e observe.Episode, u observe.ReplicaUp, pod string, f *finding) {
	interval := replicaInterval(o, u.Pod)
	points := pointsOf(u.Series, pod)
	limit := interval + scrapeTolerance(interval)
	if s.regenerated {
		limit = 2 * interval
	}
	previous, largest, excused := e.From, time.Duration(0), 0
	var missed []string
	for _, p := range append(points, observe.Point{At: e.To, Value: 1}) {
		gap := p.At.Sub(previous)
		switch {
		case p.Value != 1 && s.excuses(e, u.Pod, pod, p.At), gap > limit && s.excuses(e, u.Pod, pod, previous):
			excused++
		case p.Value != 1:
			missed = append(missed, p.At.Format(clock))
		case gap > limit:
			missed = append(missed, fmt.Sprintf("none for %s before %s", gap.Round(time.Millisecond), p.At.Format(clock)))
		default:
			largest = max(largest, gap)
		}
		previous = p.At
	}
	if len(missed) > 0 {
		f.Fail("during the %s, %s missed scrapes of %s: %s", s.disruption, u.Pod, pod, strings.Join(missed, ", "))
		return
	}
	f.Saw(sourceQuery, u.Pod, "%d scrapes of %s in %s, %d excused by the bound, largest other gap %s at an interval of %s",
		len(points), pod, e.To.Sub(e.From).Round(time.Second), excused, largest.Round(time.Millisecond), interval)
}

// assessChanged judges the targets that went or came: what failed of them must be
// within the bound.
func (s survival) assessChanged(o *subject, e observe.Episode, f *finding) {
	for _, p := range e.Pods {
		if p.Before && p.After || isReplica(o, p.Name) {
			continue
		}
		for _, u := range e.Up {
			points := pointsOf(u.Series, p.Name)
			var missed []string
			good := 0
			for _, x := range points {
				switch {
				case x.Value == 1:
					good++
				case !s.excuses(e, u.Pod, p.Name, x.At):
					missed = append(missed, x.At.Format(clock))
				}
			}
			if len(missed) > 0 {
				f.Fail("during the %s, %s missed scrapes of %s: %s", s.disruption, u.Pod, p.Name, strings.Join(missed, ", "))
			}
			if good == 0 && p.After {
				f.Fail("after the %s, %s scraped the new target %s not once", s.disruption, u.Pod, p.Name)
			}
			f.Saw(sourceQuery, u.Pod, "%d of %d scrapes of %s succeeded", good, len(points), p.Name)
		}
	}
}

// covers is what a check with this bound [Check.Excuses].
func (s survival) covers(o observe.Observation, m missed) bool {
	return slices.ContainsFunc(o.Episodes, func(e observe.Episode) bool {
		return e.Disruption == s.disruption && !m.at.Before(markOf(e, disrupt.Begins)) && s.excuses(e, m.replica, m.pod(), m.at)
	})
}

func (s survival) excuses(e observe.Episode, replica, pod string, at time.Time) bool {
	return s.excused != nil && s.excused(e, replica, pod, at)
}

// markOf is when a step took effect; the zero time if it never did.
func markOf(e observe.Episode, step string) time.Time {
	for _, m := range e.Marks {
		if m.Step == step {
			return m.At
		}
	}
	return time.Time{}
}

// pointsOf are the samples of one target, in order of time. A target whose labels
// changed is several series.
func pointsOf(all []observe.Series, pod string) []observe.Point {
	var points []observe.Point
	for _, s := range all {
		if s.Labels["namespace"]+"/"+s.Labels["pod"] == pod {
			points = append(points, s.Points...)
		}
	}
	slices.SortFunc(points, func(a, b observe.Point) int { return a.At.Compare(b.At) })
	return points
}

func isReplica(o *subject, pod string) bool {
	return o.Prometheus != nil && slices.ContainsFunc(o.Replicas, func(r observe.Replica) bool { return o.Prometheus.Namespace+"/"+r.Pod == pod })
}

// replicaInterval is the longest scrape interval of a replica.
func replicaInterval(o *subject, pod string) time.Duration {
	longest := time.Duration(0)
	for _, r := range o.Replicas {
		for _, t := range r.Targets {
			if r.Pod == pod {
				longest = max(longest, time.Duration(t.Interval))
			}
		}
	}
	return longest
}
