package conformance

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// controlPlaneOutageSurvived: while istiod is away, no certificate can be
// renewed, but those that are there go on to serve. An outage that is longer than
// what remains of a certificate's life must break the scrapes, and does: the
// agent tries again, it cannot invent one.
var controlPlaneOutageSurvived = Check{
	ID:       "control-plane-outage-survived",
	Title:    "No scrape is missed while the mesh's control plane is away for less than a certificate's rest of life",
	Profile:  ProfileResilience,
	Level:    reports.Core,
	Disrupts: "istiod is taken away for some seconds",
	Assess: survival{
		disruption: ControlPlaneOutage,
		bound:      "no scrape, since the certificates outlive the outage",
	}.assess,
}
