package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// leaveGrace is how long a pod may be asked that is being ended: its grace period, which
// is 30 s unless its owner says otherwise, and what the discovery takes beyond it.
const leaveGrace = 45 * time.Second

// Watched is a check for other catalogues than this one: that during an episode, in which
// somebody else changed whatever he wanted, no scrape was missed that the pods which he
// replaced need not miss. When he ended which is not known, so the bound goes by what is
// stored of each.
func Watched(id, title, profile, episode string) Check {
	bound := survival{
		disruption: episode,
		bound: fmt.Sprintf("old pods in the last %s that they were scraped, new pods until they are ready, "+
			"a new replica of Prometheus until %s after it is ready", leaveGrace, startGrace),
		excused: excusedWhileWatched,
	}
	return Check{
		ID: id, Title: title, Profile: profile, Level: reports.Extended,
		Assess: func(o *subject, f *finding) {
			bound.assess(o, f)
			for _, e := range o.Episodes {
				if e.Disruption == episode && e.Error == "" {
					assessBeginning(o, e, f)
					assessPassing(e, f)
				}
			}
		},
		Excuses: bound.covers,
	}
}

func excusedWhileWatched(e observe.Episode, replica, pod string, at time.Time) bool {
	for _, p := range e.Pods {
		switch {
		case baseName(p.Name) == replica && p.After && !p.Before:
			if at.Before(p.Ready.Add(startGrace)) {
				return true
			}
		case p.Name != pod:
		case !p.Before:
			return at.Before(p.Ready.Add(time.Second)) // Kubernetes tells times in whole seconds
		case !p.After:
			return at.After(lastScrape(e, replica, pod).Add(-leaveGrace))
		}
	}
	return false
}

// lastScrape is when a replica last stored a scrape of a pod.
func lastScrape(e observe.Episode, replica, pod string) time.Time {
	var last time.Time
	for _, u := range e.Up {
		points := pointsOf(u.Series, pod)
		if u.Pod == replica && len(points) > 0 {
			last = points[len(points)-1].At
		}
	}
	return last
}

// assessBeginning requires that some replica stored what was scraped from the beginning
// on. One that is replaced may lose its volume, and with it whatever was lost before.
func assessBeginning(o *subject, e observe.Episode, f *finding) {
	for _, u := range e.Up {
		interval := replicaInterval(o, u.Pod)
		limit := e.From.Add(interval + scrapeTolerance(interval))
		for _, s := range u.Series {
			if interval > 0 && len(s.Points) > 0 && !s.Points[0].At.After(limit) {
				f.Saw(sourceQuery, u.Pod, "it has stored what it scraped from the beginning on")
				return
			}
		}
	}
	f.Unclear("no replica has stored what it scraped at the beginning, %s: each was replaced, and its volume with it. What was lost until then is not known",
		e.From.Format(time.DateTime))
}

// assessPassing judges the pods that came and went in between, of which no more is known
// than what is stored: they may miss scrapes at their beginning and at their end.
func assessPassing(e observe.Episode, f *finding) {
	for _, u := range e.Up {
		names := map[string]bool{}
		for _, s := range u.Series {
			name := s.Labels["namespace"] + "/" + s.Labels["pod"]
			known := slices.ContainsFunc(e.Pods, func(p observe.EpisodePod) bool { return p.Name == name })
			if s.Labels["pod"] == "" || known || names[name] {
				continue
			}
			names[name] = true
			points := pointsOf(u.Series, name)
			if lost := lostBetween(points); len(lost) > 0 {
				f.Fail("%s missed scrapes of %s, which came and went meanwhile: %s", u.Pod, name, strings.Join(lost, ", "))
			}
			f.Saw(sourceQuery, u.Pod, "%d scrapes of %s, which came and went meanwhile, %d of them in vain", len(points), name, failedOf(points))
		}
	}
}

func failedOf(points []observe.Point) (n int) {
	for _, p := range points {
		if p.Value != 1 {
			n++
		}
	}
	return n
}

// lostBetween are the scrapes that failed after the first that succeeded, and longer
// before the last than a pod may be asked that is being ended.
func lostBetween(points []observe.Point) []string {
	first := slices.IndexFunc(points, func(p observe.Point) bool { return p.Value == 1 })
	if first < 0 {
		return nil
	}
	end := points[len(points)-1].At.Add(-leaveGrace)
	var lost []string
	for _, p := range points[first:] {
		if p.Value != 1 && p.At.Before(end) {
			lost = append(lost, p.At.Format(clock))
		}
	}
	return lost
}
