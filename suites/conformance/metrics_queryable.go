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
	Profile: ProfileScrape,
	Level:   reports.Core,
	Reads:   reads("the guide's query ", "process start times ", "the numbers of samples ", "the application in "),
	Assess: func(o *subject, f *finding) {
		expected, _ := expect(o, f)
		if len(expected) == 0 {
			return
		}
		wantReplicas(o, f)
		if o.Attached != nil {
			assessStored(o, f)
			return
		}
		for _, r := range o.Replicas {
			if !unread(o, "the guide's query at "+r.Pod) && !unread(o, "process start times at "+r.Pod) {
				assessMetrics(o, r, o.of(r, expected), len(expected), f)
			}
		}
	},
}

// assessMetrics judges one replica. The guide's metric is Python's: a job whose
// targets do not serve it is judged by the start time alone, but where one target
// of a job serves it, all must.
func assessMetrics(o *subject, r observe.Replica, expected []observe.Expected, all int, f *finding) {
	targets := o.targetsOf(r)
	guide, starts := indexSeries(r.Guide, sampleLabels), indexSeries(r.StartTimes, sampleLabels)
	python := map[string]bool{}
	for _, e := range expected {
		if len(guide.of(targets, e, sampleLabels)) > 0 {
			python[e.Pool] = true
		}
	}
	if len(python) == 0 && len(expected) == all { // another shard may have those that answer
		f.Fail("%s answers %s with nothing from any of the targets", r.Pod, observe.GuideQuery)
	}
	for _, e := range expected {
		own := guide.of(targets, e, sampleLabels)
		stored := starts.of(targets, e, sampleLabels)
		asked := observe.GuideQuery
		switch {
		case python[e.Pool] && len(own) == 0:
			f.Fail("%s answers %s with nothing from %s", r.Pod, observe.GuideQuery, podName(e))
			continue
		case len(own) == 0:
			own, asked = stored, "process_start_time_seconds"
		}
		if len(own) == 0 {
			f.Unclear("%s has of %s neither %s nor process_start_time_seconds: which of its metrics to ask for is not known", r.Pod, podName(e), observe.GuideQuery)
			continue
		}
		interval := targets.interval(e)
		if interval <= 0 {
			f.Unclear("%s does not say how often it has to scrape %s, so it is open whether the value of %s is fresh", r.Pod, podName(e), asked)
			continue
		}
		if age := o.At.Sub(own[0].At); age > 2*interval {
			f.Fail("%s: the value of %s from %s was scraped %s before it was asked for", r.Pod, asked, podName(e), age.Round(time.Millisecond))
			continue
		}
		f.Saw(sourceQuery, r.Pod, "%s: %d series from %s", asked, len(own), podName(e))
		if e.Scheme == "https" && e.Pod != "" {
			assessOrigin(o, r, e, stored, len(targets.find(e)), f)
		}
	}
}

// assessOrigin compares a stored process start time with the process' own word.
func assessOrigin(o *subject, r observe.Replica, e observe.Expected, stored []observe.Sample, targets int, f *finding) {
	name := podName(e)
	own := o.startTimes(name)
	if len(stored) != max(targets, 1) {
		f.Fail("%s has %d values of process_start_time_seconds for %s, there must be %d", r.Pod, len(stored), name, max(targets, 1))
		return
	}
	if len(own) == 0 {
		f.Unclear("%s was not asked behind its proxy, so it is open whose values Prometheus stored", name)
		return
	}
	for _, s := range stored {
		if !slices.Contains(own, s.Value) {
			f.Fail("%s stored a process start of %.3f under the name of %s, whose process says %.3f: the values come from somewhere else", r.Pod, s.Value, name, own[0])
			return
		}
	}
	f.Saw("application behind its proxy", name, "process start %.3f, the same as %s stored", stored[0].Value, r.Pod)
}
