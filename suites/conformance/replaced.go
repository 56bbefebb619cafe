package conformance

import (
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// PodsReplaced is a check for other catalogues than this one: that during an episode,
// in which pods of targets and of Prometheus may be made anew, no scrape is missed
// that those pods themselves need not miss. What they may miss is what the checks of a
// rollout and of a restart allow. Where Prometheus' configuration is regenerated, a
// target's scrapes may move within the interval.
func PodsReplaced(id, profile, episode string, regenerated bool) Check {
	text := "targets: " + workloadRolloutBound.bound + "; Prometheus: " + prometheusRestartBound.bound
	if regenerated {
		text += "; all: two intervals between two scrapes, since a new configuration may move them within the interval"
	}
	bound := survival{
		disruption: episode, bound: text, regenerated: regenerated,
		excused: func(e observe.Episode, replica, pod string, at time.Time) bool {
			return workloadRolloutBound.excused(e, replica, pod, at) || prometheusRestartBound.excused(e, replica, pod, at)
		},
	}
	return Check{
		ID: id, Title: "No scrape is missed but by pods that are made anew", Profile: profile, Level: reports.Core,
		Assess: bound.assess, Excuses: bound.covers,
	}
}
