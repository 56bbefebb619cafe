package conformance

import (
	"net"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// mutualTLSOnTheWire takes the word of the other side. What Prometheus is
// configured to do, and what it has in its files, is one thing; what arrived at
// the target, from whom and with which certificate, is another.
var mutualTLSOnTheWire = Check{
	ID:      "mutual-tls-on-the-wire",
	Title:   "The targets' proxies see TLS with Prometheus' own certificate",
	Profile: ProfileScrape,
	Level:   reports.Core,
	Reads:   reads("the certificate files of ", "the certificate of ", "the mesh configuration", "the access log "),
	Assess: func(o *subject, f *finding) {
		targets, ok := tlsTargets(o, f, "")
		if !ok {
			return
		}
		targets = asked(o, targets, f)
		for _, e := range targets {
			proxy, ok := o.proxy(podName(e))
			if !ok {
				f.Unclear("the proxy of %s was not asked what it saw", podName(e))
				continue
			}
			for _, r := range o.scrapers(e) {
				if !assessServed(o, r, e, proxy, f) {
					assessWire(o, r, e, proxy, f)
				}
			}
		}
	},
}

// assessWire judges what one proxy saw of one replica: the requests that came from
// its pod's address.
func assessWire(o *subject, r observe.Replica, e observe.Expected, proxy observe.Proxy, f *finding) {
	pod := replicaPod(o, r)
	identity := observe.IdentityOf(o.Observation, pod)
	if pod == nil || identity == "" || pod.Status.PodIP == "" {
		f.Unclear("the address or the name of %s is not known, so its requests cannot be told from others", r.Pod)
		return
	}
	known := knownSerials(o, r)
	requests, proven := 0, 0
	var last observe.Request
	// A request with an earlier certificate is as it should be, if a later one had that of
	// the file: the log reaches back to before the renewal.
	var stale *observe.Request
	for _, q := range proxy.Requests {
		host, _, _ := net.SplitHostPort(q.Remote)
		_, port, _ := net.SplitHostPort(q.Local)
		if host != pod.Status.PodIP || port != e.Port || q.Path != e.Path {
			continue
		}
		requests++
		last = q
		switch {
		case q.TLS == "":
			f.Fail("the proxy of %s took a scrape of %s at %s in plain text; %s", podName(e), r.Pod, q.At.Format(clock), modeOf(o, e))
			return
		case q.Peer != identity:
			f.Fail("the proxy of %s took a scrape of %s at %s from %q, it must be from %s", podName(e), r.Pod, q.At.Format(clock), q.Peer, identity)
			return
		case known[serial(q.Serial)], !o.May(cluster.Exec):
			proven++
			stale = nil
		case r.Certificate != nil && !q.Ends.IsZero() && !q.Ends.After(r.Certificate.NotAfter):
			stale = &q
		}
	}
	switch {
	case stale != nil:
		f.Fail("the proxy of %s saw serial %s (valid to %s) from %s at %s, but the file of %s had %s (valid to %s): Prometheus does not use what its sidecar writes",
			podName(e), stale.Serial, stale.Ends.Format(time.TimeOnly), r.Pod, stale.At.Format(clock), r.Pod, r.Certificate.Serial, r.Certificate.NotAfter.Format(time.TimeOnly))
	case requests == 0:
		f.Unclear("the proxy of %s logged no scrape by %s among %d lines: whether and how it was reached was not seen", podName(e), r.Pod, len(proxy.Requests))
	case proven == 0:
		f.Unclear("the proxy of %s saw serial %q from %s, which was not in its file when that was read", podName(e), last.Serial, r.Pod)
	default:
		f.Saw(sourceLog, podName(e), "%d scrapes by %s: %s, %s, serial %s%s", requests, r.Pod, last.TLS, identity, last.Serial, had(o))
	}
}

// had says what is known of a serial in Prometheus' file.
func had(o *subject) string {
	if o.May(cluster.Exec) {
		return ", which its file had"
	}
	return "; its file was not looked at"
}

// knownSerials are those of the certificates that a replica was seen to have.
func knownSerials(o *subject, r observe.Replica) map[string]bool {
	known := map[string]bool{}
	for _, c := range []*observe.Certificate{r.Certificate, r.Renewed} {
		if c != nil {
			known[serial(c.Serial)] = true
		}
	}
	for _, c := range r.ProxyCertificates {
		known[serial(c.Serial)] = true
	}
	if o.Watch != nil {
		for _, s := range sightingsOf(o.Watch.Certs, r.Pod) {
			known[serial(s.Certificate.Serial)] = true
		}
	}
	delete(known, "")
	return known
}
