package conformance

import (
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// workloadRolloutSurvived: every pod of the scraped workload is replaced. A pod
// that ends or has only begun may fail to answer; one that is ready may not.
var workloadRolloutSurvived = Check{
	ID:       "workload-rollout-survived",
	Title:    "No scrape of a ready pod is missed while the scraped workload is rolled out anew",
	Profile:  ProfileResilience,
	Level:    reports.Core,
	Disrupts: "productpage is rolled out anew",
	Assess:   workloadRolloutBound.assess,
	Excuses:  workloadRolloutBound.covers,
}

var workloadRolloutBound = survival{
	disruption: WorkloadRollout,
	bound:      "old pods from the beginning of the rollout on, new pods until they are ready",
	excused: func(e observe.Episode, _, pod string, at time.Time) bool {
		for _, p := range e.Pods {
			switch {
			case p.Name != pod:
			case !p.Before:
				// Kubernetes tells times in whole seconds.
				return at.Before(p.Ready.Add(time.Second))
			case !p.After:
				return at.After(markOf(e, disrupt.Begins))
			}
		}
		return false
	},
}

func baseName(namespaced string) string { return namespaced[strings.LastIndex(namespaced, "/")+1:] }
