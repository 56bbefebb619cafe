package conformance

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// scraperCertificateRotated is what the operator of such a Prometheus is told
// happens by itself: the sidecar renews the certificate, Prometheus takes the new
// one up, and the targets see it, past the end of the first one and without one
// scrape lost. The new file alone proves nothing: what counts is the serial that
// the target's proxy saw.
var scraperCertificateRotated = Check{
	ID:      "scraper-certificate-rotated",
	Title:   "Prometheus' certificate is renewed, used on the wire, and no scrape is missed",
	Profile: profileRotation,
	Level:   reports.Core,
	Reads:   reads("the up samples ", "the access log "),
	Assess: func(o *subject, f *finding) {
		if o.Watch == nil {
			f.unclear("nobody watched: a rotation takes time, one look does not show it")
			return
		}
		expected, _ := expect(o, f)
		if len(expected) == 0 {
			return
		}
		wantReplicas(o, f)
		targets := overTLS(expected)
		if len(targets) == 0 {
			f.unclear("no target is expected to be scraped over TLS, so no certificate is used")
		}
		for _, r := range o.Replicas {
			assessScrapes(o, r, targets, f)
			assessRenewals(o, r, targets, f)
		}
	},
}

// assessRenewals: enough renewals, past the first certificate's end, each new
// serial seen by a target.
func assessRenewals(o *subject, r observe.Replica, targets []observe.Expected, f *finding) {
	var own []observe.Sighting
	for _, s := range o.Watch.Certs {
		if s.Pod == r.Pod {
			own = append(own, s)
		}
	}
	if len(own) == 0 {
		f.fail("the certificate of %s was not seen during the watch, which ended: %s", r.Pod, o.Watch.Ended)
		return
	}
	first, last := own[0].Certificate, own[len(own)-1].Certificate
	if renewals := len(own) - 1; renewals < observe.Rotations {
		f.fail("the certificate of %s was renewed %d times in %s, %d were awaited: its file still has serial %s, valid to %s; the watch ended: %s",
			r.Pod, renewals, o.Watch.To.Sub(o.Watch.From).Round(time.Second), observe.Rotations, last.Serial, last.NotAfter.Format(time.DateTime), o.Watch.Ended)
		return
	}
	if !o.Watch.To.After(first.NotAfter) {
		f.fail("the watch of %s ended before the first certificate did (%s): that the old one is no longer needed is not shown", r.Pod, first.NotAfter.Format(time.TimeOnly))
		return
	}
	for _, s := range own {
		f.saw(sourceFiles, r.Pod, "at %s serial %s, valid from %s to %s", s.At.Format(time.TimeOnly), s.Certificate.Serial,
			s.Certificate.NotBefore.Format(time.TimeOnly), s.Certificate.NotAfter.Format(time.TimeOnly))
	}
	for _, e := range targets {
		assessSerials(o, r, e, own, f)
	}
}

// assessSerials: the target's proxy saw each certificate that had its time within
// the watch. The last one may have come after the last scrape.
func assessSerials(o *subject, r observe.Replica, e observe.Expected, own []observe.Sighting, f *finding) {
	i := slices.IndexFunc(o.Watch.Seen, func(p observe.ProxyTraffic) bool { return p.Pod == podName(e) })
	if i < 0 {
		f.unclear("what the proxy of %s saw during the watch was not read", podName(e))
		return
	}
	requests := o.Watch.Seen[i].Requests
	var seen []string // of this replica's certificates, in the order of their first use
	for _, q := range requests {
		mine := slices.ContainsFunc(own, func(s observe.Sighting) bool { return serial(s.Certificate.Serial) == serial(q.Serial) })
		if mine && q.Serial != "" && !slices.Contains(seen, serial(q.Serial)) {
			seen = append(seen, serial(q.Serial))
		}
	}
	if len(seen) == 0 {
		f.fail("the proxy of %s saw none of the certificates that %s had during the watch: it logged %d requests, none with one of them", podName(e), r.Pod, len(requests))
		return
	}
	long := 2 * replicaInterval(o, r.Pod)
	for i, s := range own[:len(own)-1] {
		if own[i+1].At.Sub(s.At) < long {
			continue // it had its time before the watch began: no scrape need have used it since
		}
		if !slices.Contains(seen, serial(s.Certificate.Serial)) {
			f.fail("%s had the certificate with serial %s from %s on, but the proxy of %s never saw it: Prometheus does not use what its sidecar writes", r.Pod, s.Certificate.Serial, s.At.Format(time.TimeOnly), podName(e))
		}
	}
	f.saw(sourceLog, podName(e), "%s came with serials %s", r.Pod, strings.Join(seen, ", "))
}

// assessScrapes reads what each scrape of the watch left: every sample 1, no gap
// beyond the interval.
func assessScrapes(o *subject, r observe.Replica, targets []observe.Expected, f *finding) {
	i := slices.IndexFunc(o.Watch.Up, func(u observe.ReplicaUp) bool { return u.Pod == r.Pod })
	if i < 0 {
		f.unclear("what %s stored during the watch was not read", r.Pod)
		return
	}
	index := o.targetsOf(r)
	up := indexSeries(o.Watch.Up[i].Series, seriesLabels)
	for _, e := range targets {
		var points []observe.Point
		for _, s := range up.of(index, e, seriesLabels) {
			points = append(points, s.Points...)
		}
		assessPoints(r.Pod, e, o.Watch, points, index.interval(e), f)
	}
}

func assessPoints(replica string, e observe.Expected, w *observe.Watch, points []observe.Point, interval time.Duration, f *finding) {
	if interval <= 0 {
		f.unclear("%s does not say how often it has to scrape %s", replica, podName(e))
		return
	}
	if len(points) == 0 {
		f.fail("%s stored no sample of %s during the watch", replica, podName(e))
		return
	}
	slices.SortFunc(points, func(a, b observe.Point) int { return a.At.Compare(b.At) })
	limit := interval + scrapeTolerance(interval)
	previous, largest := w.From, time.Duration(0)
	var missed []string
	for _, p := range points {
		if p.Value != 1 {
			missed = append(missed, p.At.Format("15:04:05.000"))
		}
		gap := p.At.Sub(previous)
		largest = max(largest, gap)
		if gap > limit {
			f.fail("%s did not scrape %s for %s before %s, its interval is %s", replica, podName(e), gap.Round(time.Millisecond), p.At.Format("15:04:05.000"), interval)
		}
		previous = p.At
	}
	if len(missed) > 0 {
		f.fail("%d of %d scrapes of %s by %s failed: %s", len(missed), len(points), podName(e), replica, strings.Join(missed, ", "))
		return
	}
	if gap := w.To.Sub(previous); gap > limit {
		f.fail("%s did not scrape %s for the last %s of the watch, its interval is %s", replica, podName(e), gap.Round(time.Millisecond), interval)
	}
	f.saw(sourceQuery, replica, "%d scrapes of %s in %s, each up, largest gap %s at an interval of %s", len(points), podName(e),
		w.To.Sub(w.From).Round(time.Second), largest.Round(time.Millisecond), interval)
}

// scrapeTolerance is how late a scrape may be: Prometheus starts each on a ticker
// of its own, and a busy machine delays it. Half an interval is less than a
// scrape that was left out.
func scrapeTolerance(interval time.Duration) time.Duration { return interval / 2 }
