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
	Profile: ProfileRotation,
	Level:   reports.Core,
	Reads:   reads("the up samples ", "the access log "),
	Assess: func(o *subject, f *finding) {
		if o.Watch == nil {
			f.Unclear("nobody watched: a rotation takes time, one look does not show it")
			return
		}
		targets, ok := tlsTargets(o, f, ", so no certificate is used")
		if !ok {
			return
		}
		for _, r := range o.Replicas {
			assessScrapes(o, r, o.of(r, targets), watchSpan(o.Watch), f)
			assessRenewals(o, r, o.of(r, targets), f)
			assessWrites(o, r, f)
		}
	},
}

// assessRenewals: enough renewals, past the first certificate's end, each new
// serial seen by a target.
func assessRenewals(o *subject, r observe.Replica, targets []observe.Expected, f *finding) {
	own := sightingsOf(o.Watch.Certs, r.Pod)
	if len(own) == 0 {
		f.Fail("the certificate of %s was not seen during the watch, which ended: %s", r.Pod, o.Watch.Ended)
		return
	}
	first, last := own[0].Certificate, own[len(own)-1].Certificate
	if renewals := len(own) - 1; renewals < observe.Rotations {
		f.Fail("the certificate of %s was renewed %d times in %s, %d were awaited: its file still has serial %s, valid to %s; the watch ended: %s",
			r.Pod, renewals, o.Watch.To.Sub(o.Watch.From).Round(time.Second), observe.Rotations, last.Serial, last.NotAfter.Format(time.DateTime), o.Watch.Ended)
		return
	}
	if !o.Watch.To.After(first.NotAfter) {
		f.Fail("the watch of %s ended before the first certificate did (%s): that the old one is no longer needed is not shown", r.Pod, first.NotAfter.Format(time.TimeOnly))
		return
	}
	for i, s := range own {
		text := "the proxy was not asked for its own"
		switch rest := own[i:]; {
		case s.Proxy == "":
		case slices.ContainsFunc(rest, func(x observe.Sighting) bool { return serial(x.Certificate.Serial) == serial(s.Proxy) }):
			text = "as in the proxy" // or the next one, if that came between the two looks
		default:
			f.Fail("at %s the file of %s had serial %s and its proxy used %s: the sidecar does not write what it is issued", s.At.Format(time.TimeOnly), r.Pod, s.Certificate.Serial, s.Proxy)
			continue
		}
		f.Saw(sourceFiles, r.Pod, "at %s serial %s, valid from %s to %s; %s", s.At.Format(time.TimeOnly), s.Certificate.Serial,
			s.Certificate.NotBefore.Format(time.TimeOnly), s.Certificate.NotAfter.Format(time.TimeOnly), text)
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
		f.Unclear("what the proxy of %s saw during the watch was not read", podName(e))
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
		f.Fail("the proxy of %s saw none of the certificates that %s had during the watch: it logged %d requests, none with one of them", podName(e), r.Pod, len(requests))
		return
	}
	long := 2 * replicaInterval(o, r.Pod)
	for i, s := range own[:len(own)-1] {
		if own[i+1].At.Sub(s.At) < long {
			continue // it had its time before the watch began: no scrape need have used it since
		}
		if !slices.Contains(seen, serial(s.Certificate.Serial)) {
			f.Fail("%s had the certificate with serial %s from %s on, but the proxy of %s never saw it: Prometheus does not use what its sidecar writes", r.Pod, s.Certificate.Serial, s.At.Format(time.TimeOnly), podName(e))
		}
	}
	f.Saw(sourceLog, podName(e), "%s came with serials %s", r.Pod, strings.Join(seen, ", "))
}

// assessWrites measures how torn a renewal is: the sidecar renames the key, the
// chain and the root into place one by one, and Prometheus reads all three at every
// scrape. A scrape in between would fail, once. It judges nothing: what was missed
// is judged above.
func assessWrites(o *subject, r observe.Replica, f *finding) {
	torn, renewals := time.Duration(0), 0
	for _, s := range sightingsOf(o.Watch.Certs, r.Pod) {
		if len(s.Written) == 0 {
			continue
		}
		var first, last time.Time
		for _, file := range observe.NamedFiles(o.Observation) {
			at, ok := s.Written[file.Path]
			if !ok || file.Role == observe.RoleCA { // written only when it changes
				continue
			}
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
		renewals++
		torn += last.Sub(first)
	}
	if renewals == 0 {
		return
	}
	whole := o.Watch.To.Sub(o.Watch.From)
	f.Saw(sourceFiles, r.Pod, "key and chain were written within %s of each other, %d times (the clock of the file system ticks every %s): at %.2g of all moments, at most, a scrape could have read a pair that does not fit",
		(torn / time.Duration(renewals)).Round(time.Microsecond), renewals, fileClock, (torn+time.Duration(renewals)*fileClock).Seconds()/whole.Seconds())
}

// fileClock is how finely Linux dates a change of a file: once a tick, of which
// there are 250 a second in the kernels of the distributions.
const fileClock = 4 * time.Millisecond
