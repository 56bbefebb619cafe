package conformance

import (
	"slices"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// metricsQueryable is the guide's last step, from each replica, and goes one
// further: the value that Prometheus stored under a pod's name must be the one
// that the pod's own process gives when it is asked behind its proxy. The start
// time of the process serves as the mark, which no two processes share and
// nothing needs to be added for. Without it, a proxy that answered for every
// target would look like a perfect scrape.
var metricsQueryable = Check{
	ID:      "metrics-queryable",
	Title:   "The guide's query is answered, fresh, and with the values of the pods it names",
	Profile: profileScrape,
	Level:   reports.Core,
	Reads:   []string{"the Prometheus ", "service monitors", "services", "endpoint slices", "pods", "namespaces", "the guide's query ", "process start times ", "the application in "},
	Assess: func(o observe.Observation, f *finding) {
		expected := observe.ExpectedTargets(o)
		if len(expected) == 0 {
			f.unclear("no target is expected, so no metric of any can be asked for")
			return
		}
		wantReplicas(o, f)
		for _, r := range o.Replicas {
			for _, e := range expected {
				guide := samplesOf(r.Guide, e)
				if len(guide) == 0 {
					f.fail("%s answers %s with nothing from %s/%s", r.Pod, observe.GuideQuery, e.Namespace, e.Pod)
					continue
				}
				if age := o.At.Sub(guide[0].At); age > 2*intervalOf(r, e) {
					f.fail("%s: the value of %s from %s/%s was scraped %s before it was asked for", r.Pod, observe.GuideQuery, e.Namespace, e.Pod, age.Round(time.Millisecond))
					continue
				}
				f.saw(sourceQuery, r.Pod, "%s: %d series from %s/%s", observe.GuideQuery, len(guide), e.Namespace, e.Pod)
				assessOrigin(o, r, e, f)
			}
		}
	},
}

// assessOrigin compares a stored process start time with the process' own word.
func assessOrigin(o observe.Observation, r observe.Replica, e observe.Expected, f *finding) {
	name := e.Namespace + "/" + e.Pod
	stored := samplesOf(r.StartTimes, e)
	i := slices.IndexFunc(o.Direct, func(d observe.Direct) bool { return d.Pod == name })
	switch {
	case len(stored) != 1:
		f.fail("%s has %d values of process_start_time_seconds for %s, there must be one", r.Pod, len(stored), name)
	case i < 0 || len(o.Direct[i].StartTimes) == 0:
		f.unclear("%s was not asked behind its proxy, so it is open whose values Prometheus stored", name)
	case !slices.Contains(o.Direct[i].StartTimes, stored[0].Value):
		f.fail("%s stored a process start of %.3f under the name of %s, whose process says %.3f: the values come from somewhere else", r.Pod, stored[0].Value, name, o.Direct[i].StartTimes[0])
	default:
		f.saw("application behind its proxy", name, "process start %.3f, the same as %s stored", stored[0].Value, r.Pod)
	}
}

// samplesOf are the samples whose labels name an expected target.
func samplesOf(samples []observe.Sample, e observe.Expected) []observe.Sample {
	var own []observe.Sample
	for _, s := range samples {
		if s.Labels["namespace"] == e.Namespace && s.Labels["pod"] == e.Pod && s.Labels["instance"] == e.Address {
			own = append(own, s)
		}
	}
	return own
}

func intervalOf(r observe.Replica, e observe.Expected) time.Duration {
	t, _ := findTarget(r, e)
	return time.Duration(t.Interval)
}
