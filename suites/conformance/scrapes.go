package conformance

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// span is a time over which every scrape was read afterwards.
type span struct {
	what     string // as in "the watch"
	from, to time.Time
	up       []observe.ReplicaUp
}

func watchSpan(w *observe.Watch) span { return span{"the watch", w.From, w.To, w.Up} }

// assessScrapes reads what each scrape of a span left: every sample 1, no gap
// beyond the interval.
func assessScrapes(o *subject, r observe.Replica, targets []observe.Expected, s span, f *finding) {
	i := slices.IndexFunc(s.up, func(u observe.ReplicaUp) bool { return u.Pod == r.Pod })
	if i < 0 {
		f.Unclear("what %s stored during %s was not read", r.Pod, s.what)
		return
	}
	index := o.targetsOf(r)
	up := indexSeries(s.up[i].Series, seriesLabels)
	for _, e := range targets {
		var points []observe.Point
		for _, series := range up.of(index, e, seriesLabels) {
			points = append(points, series.Points...)
		}
		assessPoints(r.Pod, e, s, points, index.interval(e), f)
	}
}

func assessPoints(replica string, e observe.Expected, s span, points []observe.Point, interval time.Duration, f *finding) {
	if interval <= 0 {
		f.Unclear("%s does not say how often it has to scrape %s", replica, podName(e))
		return
	}
	if len(points) == 0 {
		f.Fail("%s stored no sample of %s during %s", replica, podName(e), s.what)
		return
	}
	slices.SortFunc(points, func(a, b observe.Point) int { return a.At.Compare(b.At) })
	limit := interval + scrapeTolerance(interval)
	previous, largest := s.from, time.Duration(0)
	var missed []string
	for _, p := range points {
		if p.Value != 1 {
			missed = append(missed, p.At.Format(clock))
		}
		gap := p.At.Sub(previous)
		largest = max(largest, gap)
		if gap > limit {
			f.Fail("%s did not scrape %s for %s before %s, its interval is %s", replica, podName(e), gap.Round(time.Millisecond), p.At.Format(clock), interval)
		}
		previous = p.At
	}
	if len(missed) > 0 {
		f.Fail("%d of %d scrapes of %s by %s failed: %s", len(missed), len(points), podName(e), replica, strings.Join(missed, ", "))
		return
	}
	if gap := s.to.Sub(previous); gap > limit {
		f.Fail("%s did not scrape %s for the last %s of %s, its interval is %s", replica, podName(e), gap.Round(time.Millisecond), s.what, interval)
	}
	f.Saw(sourceQuery, replica, "%d scrapes of %s in %s, each up, largest gap %s at an interval of %s", len(points), podName(e),
		s.to.Sub(s.from).Round(time.Second), largest.Round(time.Millisecond), interval)
}

// scrapeTolerance is how late a scrape may be: Prometheus starts each on a ticker
// of its own, and a busy machine delays it. Half an interval is less than a
// scrape that was left out.
func scrapeTolerance(interval time.Duration) time.Duration { return interval / 2 }
