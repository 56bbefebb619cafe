package conformance

import (
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// targetsUp asks for more than the word "up": a last scrape without error, and a
// recent one. A target that is no longer scraped keeps its health.
var targetsUp = Check{
	ID:      "targets-up",
	Title:   "Every target is up, without error, and was scraped within two intervals",
	Profile: ProfileScrape,
	Level:   reports.Core,
	Reads:   reads("the targets of "),
	Assess: func(o *subject, f *finding) {
		expected, _ := expect(o, f)
		if len(expected) == 0 {
			return
		}
		wantReplicas(o, f)
		for _, r := range o.Replicas {
			if unread(o, "the targets of "+r.Pod) {
				continue
			}
			index := o.targetsOf(r)
			for _, e := range o.of(r, expected) {
				if len(index.find(e)) == 0 {
					f.Fail("%s does not scrape %s at all%s", r.Pod, e.URL, poolHint(r, e.Pool+" "))
				}
				for _, t := range index.find(e) {
					assessUp(o, r, t, f)
				}
			}
		}
	},
}

// assessUp judges the last scrape of one target.
func assessUp(o *subject, r observe.Replica, t observe.Target, f *finding) {
	age := o.At.Sub(t.LastScrape)
	switch {
	case t.Health == string(promv1.HealthUnknown) && t.LastScrape.IsZero():
		f.Unclear("%s has not scraped %s yet, which it has to every %s: look again after that", r.Pod, t.URL, time.Duration(t.Interval))
	case t.Health != string(promv1.HealthGood) || t.LastError != "":
		f.Fail("%s: %s is %s: %s", r.Pod, t.URL, t.Health, t.LastError)
	case t.LastScrape.Before(o.Since):
		f.Fail("%s: %s was last scraped at %s, before this run began to look at %s", r.Pod, t.URL, t.LastScrape.Format(time.TimeOnly), o.Since.Format(time.TimeOnly))
	case t.LastScrape.IsZero() || t.Interval <= 0:
		f.Unclear("%s does not say when it last scraped %s, or how often it has to", r.Pod, t.URL)
	case age > 2*time.Duration(t.Interval):
		f.Fail("%s: %s was last scraped %s before it was looked at, its interval is %s", r.Pod, t.URL, age.Round(time.Millisecond), time.Duration(t.Interval))
	default:
		f.Saw(sourceTargets, r.Pod, "%s is up, last scraped at %s", t.URL, t.LastScrape.Format(time.TimeOnly))
	}
}
