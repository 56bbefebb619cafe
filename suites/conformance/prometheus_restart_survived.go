package conformance

import (
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// prometheusRestartSurvived: the replica that restarts misses what it is away
// for, and its twin misses nothing. From the moment it is ready, its very first
// scrape must succeed: a Prometheus that starts before its certificates are there
// makes no scrape pool and does not try again by itself.
var prometheusRestartSurvived = Check{
	ID:       "prometheus-restart-survived",
	Title:    "A replica that restarts scrapes again once it is ready, and the other misses no scrape",
	Profile:  ProfileResilience,
	Level:    reports.Core,
	Disrupts: "a replica of Prometheus is deleted",
	Assess:   prometheusRestartBound.assess,
	Excuses:  prometheusRestartBound.covers,
}

var prometheusRestartBound = survival{
	disruption: PrometheusRestart,
	bound:      "the restarted replica only, from its deletion until two intervals after it is ready",
	excused: func(e observe.Episode, replica, _ string, at time.Time) bool {
		for _, p := range e.Pods {
			if p.After && !p.Before && baseName(p.Name) == replica {
				// The volume went with the pod: it has no samples from before.
				return at.Before(markOf(e, disrupt.InEffect).Add(startGrace))
			}
		}
		return false
	},
}

// startGrace is how long a ready replica may take to its first scrapes: each
// target is first scraped at a moment of its own within an interval.
const startGrace = 5 * time.Second
