package conformance

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// sidecarRestartSurvived: Prometheus scrapes past its own proxy, which is there
// for its certificates only. A new one writes new files while the old ones still
// hold. If scrapes went through the proxy, they would fail here.
var sidecarRestartSurvived = Check{
	ID:       "sidecar-restart-survived",
	Title:    "No scrape is missed while the sidecar of a Prometheus replica restarts",
	Profile:  ProfileResilience,
	Level:    reports.Core,
	Disrupts: "the sidecar of a replica is ended",
	Assess: survival{
		disruption: SidecarRestart,
		bound:      "no scrape, since scrapes do not pass Prometheus' own proxy and the files outlive it",
	}.assess,
}
