package conformance

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// operatorRestartSurvived: the Operator writes configuration and takes no part in
// scraping. A restarted one that wrote a different configuration would show here.
var operatorRestartSurvived = Check{
	ID:       "operator-restart-survived",
	Title:    "No scrape is missed while the Prometheus Operator restarts",
	Profile:  ProfileResilience,
	Level:    reports.Core,
	Disrupts: "the Prometheus Operator is restarted",
	Shared:   OperatorRestart,
	Assess: survival{
		disruption: OperatorRestart,
		bound:      "no scrape, since the Operator takes no part in scraping",
	}.assess,
}
