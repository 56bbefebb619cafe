package conformance

import (
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// targetsUp asks for more than the word "up": a last scrape without error, and a
// recent one. A target that is no longer scraped keeps its health.
var targetsUp = Check{
	ID:      "targets-up",
	Title:   "Every target is up, without error, and was scraped within two intervals",
	Profile: profileScrape,
	Level:   reports.Core,
	Reads:   []string{"the Prometheus ", "service monitors", "services", "endpoint slices", "pods", "namespaces", "the targets of "},
	Assess: func(o observe.Observation, f *finding) {
		expected := observe.ExpectedTargets(o)
		if len(expected) == 0 {
			f.unclear("no target is expected, so none can be up")
			return
		}
		wantReplicas(o, f)
		for _, r := range o.Replicas {
			for _, e := range expected {
				t, ok := findTarget(r, e)
				if !ok {
					f.fail("%s does not scrape %s at all%s", r.Pod, e.URL, poolHint(r, e.Pool+" "))
					continue
				}
				age := o.At.Sub(t.LastScrape)
				switch {
				case t.Health != "up" || t.LastError != "":
					f.fail("%s: %s is %s: %s", r.Pod, e.URL, t.Health, t.LastError)
				case t.LastScrape.Before(o.Since):
					f.fail("%s: %s was last scraped at %s, before this run began to look at %s", r.Pod, e.URL, t.LastScrape.Format(time.TimeOnly), o.Since.Format(time.TimeOnly))
				case age > 2*time.Duration(t.Interval):
					f.fail("%s: %s was last scraped %s before it was looked at, its interval is %s", r.Pod, e.URL, age.Round(time.Millisecond), time.Duration(t.Interval))
				default:
					f.saw(sourceTargets, r.Pod, "%s is up, last scraped at %s", e.URL, t.LastScrape.Format(time.TimeOnly))
				}
			}
		}
	},
}

// findTarget returns what a replica has for an expected target.
func findTarget(r observe.Replica, e observe.Expected) (observe.Target, bool) {
	for _, t := range r.Targets {
		if t.Pool == e.Pool && t.URL == e.URL {
			return t, true
		}
	}
	return observe.Target{}, false
}
