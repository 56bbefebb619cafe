package upgrade

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// upgradePrometheus brings one replica after the other to another version of
// Prometheus. In between, the old one runs with the configuration that the Operator made
// for the new one, and both read the same certificates; on the way back it is the other
// way round.
var upgradePrometheus = Check{
	ID:     "upgrade-prometheus",
	Way:    "prometheus",
	Title:  "Prometheus is upgraded replica by replica and rolled back, and every scrape goes on at each step",
	Level:  reports.Core,
	Begins: prometheusBegins,
	Assess: func(r Record, f *finding) {
		f.sideBySide(r, Forward, Back)
		f.runs(r, Forward, r.To)
		f.runs(r, Back, r.From)
	},
}

func prometheusBegins(r Record, f *finding) { f.runs(r, Before, r.From) }
