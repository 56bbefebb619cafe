package conformance

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// targetCertificateRotated is the other end of the scrape. A connection that is
// kept alive outlives the certificate that it began with, on either side, so a
// target's new certificate proves nothing until somebody makes a new handshake:
// a client in the cluster does all the time, and Prometheus does whenever its own
// certificate changes.
var targetCertificateRotated = Check{
	ID:      "target-certificate-rotated",
	Title:   "The targets' certificates are renewed, shown in new handshakes, and no scrape is missed",
	Profile: ProfileRotation,
	Level:   reports.Core,
	Reads:   reads("the up samples ", "the access log ", "the certificates of the targets "),
	Assess: func(o *subject, f *finding) {
		if o.Watch == nil {
			f.Unclear("nobody watched: a rotation takes time, one look does not show it")
			return
		}
		targets, ok := tlsTargets(o, f, ", so none shows a certificate")
		if !ok {
			return
		}
		for _, e := range targets {
			own := sightingsOf(o.Watch.Shown, podName(e))
			if len(own) == 0 {
				f.Unclear("nobody made handshakes with %s during the watch: which certificate it shows is not known", podName(e))
				continue
			}
			assessShown(o, e, own, f)
		}
		for _, r := range o.Replicas {
			assessScrapes(o, r, o.of(r, targets), watchSpan(o.Watch), f)
		}
	},
}

// assessShown: enough renewals, past the first certificate's end, each with the
// target's own name, and a handshake of every replica's after the first.
func assessShown(o *subject, e observe.Expected, own []observe.Sighting, f *finding) {
	first, last := own[0].Certificate, own[len(own)-1].Certificate
	if renewals := len(own) - 1; renewals < observe.Rotations {
		f.Fail("the certificate of %s was renewed %d times in %s, %d were awaited: it still shows serial %s, valid to %s",
			podName(e), renewals, o.Watch.To.Sub(o.Watch.From).Round(time.Second), observe.Rotations, last.Serial, last.NotAfter.Format(time.DateTime))
		return
	}
	if !o.Watch.To.After(first.NotAfter) {
		f.Fail("the watch of %s ended before its first certificate did (%s): that the old one is no longer needed is not shown", podName(e), first.NotAfter.Format(time.TimeOnly))
		return
	}
	identity := observe.IdentityOf(o.Observation, targetPod(o, e))
	for _, s := range own {
		c := s.Certificate
		switch {
		case identity == "":
			f.Unclear("the name that the mesh gives to %s is not known", podName(e))
		case !slices.Contains(c.URIs, identity):
			f.Fail("at %s %s showed a certificate of %s, its own name is %s", s.At.Format(time.TimeOnly), podName(e), strings.Join(c.URIs, ", "), identity)
		}
		if s.At.After(c.NotAfter) {
			f.Fail("at %s %s showed a certificate that had ended at %s", s.At.Format(time.TimeOnly), podName(e), c.NotAfter.Format(time.TimeOnly))
		}
		f.Saw(sourceHandshake, podName(e), "at %s serial %s, valid from %s to %s", s.At.Format(time.TimeOnly), c.Serial, c.NotBefore.Format(time.TimeOnly), c.NotAfter.Format(time.TimeOnly))
	}
	for _, r := range o.scrapers(e) {
		assessNewHandshake(o, r, e, own[1].At, f)
	}
}

// assessNewHandshake: after the target had a new certificate, the replica came over
// a new connection. It does so whenever its own certificate changes; its serial in
// the target's log tells.
func assessNewHandshake(o *subject, r observe.Replica, e observe.Expected, since time.Time, f *finding) {
	i := slices.IndexFunc(o.Watch.Seen, func(p observe.ProxyTraffic) bool { return p.Pod == podName(e) })
	if i < 0 {
		f.Unclear("what the proxy of %s saw during the watch was not read", podName(e))
		return
	}
	for _, s := range sightingsOf(o.Watch.Certs, r.Pod) {
		uses := func(q observe.Request) bool { return serial(q.Serial) == serial(s.Certificate.Serial) }
		j := slices.IndexFunc(o.Watch.Seen[i].Requests, uses) // its first use is a new handshake
		if j >= 0 && o.Watch.Seen[i].Requests[j].At.After(since) && s.At.After(o.Watch.From.Add(time.Second)) {
			f.Saw(sourceLog, podName(e), "%s came over a new connection at %s, with its serial %s", r.Pod, o.Watch.Seen[i].Requests[j].At.Format(clock), s.Certificate.Serial)
			return
		}
	}
	f.Unclear("%s made no new connection to %s that is known of since that had a new certificate at %s: its scrapes say nothing of it", r.Pod, podName(e), since.Format(time.TimeOnly))
}
