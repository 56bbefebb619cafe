package conformance

import (
	"cmp"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// controlPlaneOutageSurvived: while istiod is away, no certificate can be
// renewed, but those that are there go on to serve. That no scrape is missed does
// not show it: a connection that is kept open outlives the certificate that it
// began with, and the first new one is refused. So the certificates are judged
// beside the scrapes.
var controlPlaneOutageSurvived = Check{
	ID:       "control-plane-outage-survived",
	Title:    "No scrape is missed and no certificate ends while the mesh's control plane is away",
	Profile:  ProfileResilience,
	Level:    reports.Core,
	Disrupts: "istiod is taken away for some seconds",
	Shared:   ControlPlaneOutage,
	Assess: func(o *subject, f *finding) {
		survival{
			disruption: ControlPlaneOutage,
			bound:      "no scrape, since the certificates outlive the outage",
		}.assess(o, f)
		for _, e := range o.Episodes {
			if e.Disruption == ControlPlaneOutage && e.Error == "" {
				for _, r := range o.Replicas {
					assessValidity(e, r.Pod, f)
				}
			}
		}
	},
}

// assessValidity: each certificate of a replica was there before the one before it
// ended.
func assessValidity(e observe.Episode, replica string, f *finding) {
	own := sightingsOf(e.Certs, replica)
	if len(own) == 0 {
		f.Unclear("which certificate %s had during the %s was not seen", replica, e.Disruption)
		return
	}
	for i, s := range own {
		until, text := e.To, "to the end"
		if i+1 < len(own) {
			// It may have been replaced as soon as it was seen last: there is a second
			// between two looks.
			until = cmp.Or(own[i+1].Former, own[i+1].At)
			text = "until " + until.Format(clock)
		}
		if ends := s.Certificate.NotAfter; until.After(ends) {
			f.Fail("the certificate of %s ended at %s and was in its files %s: for %s every new connection would have been refused, and scrapes went on only over those from before",
				replica, ends.Format(time.TimeOnly), text, until.Sub(ends).Round(time.Second))
			return
		}
	}
	f.Saw(sourceFiles, replica, "it had %d certificates, each replaced before it ended", len(own))
}
