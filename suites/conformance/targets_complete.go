package conformance

import (
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// targetsComplete compares what each replica scrapes with what the monitors, the
// Services and the EndpointSlices say it must. Prometheus' own word for it would
// be worth nothing: a job that it failed to make has no target that could be down.
var targetsComplete = Check{
	ID:      "targets-complete",
	Title:   "Every replica has exactly the targets that the monitors select",
	Profile: ProfileScrape,
	Level:   reports.Core,
	Reads:   reads("the targets of ", "the own metrics of "),
	Assess: func(o *subject, f *finding) {
		expected, open := expect(o, f)
		if len(expected) == 0 {
			return
		}
		wantReplicas(o, f)
		for _, r := range o.Replicas {
			var want []string
			for _, e := range o.of(r, expected) {
				want = append(want, e.Pool+" "+e.URL)
			}
			if !unread(o, "the targets of "+r.Pod) {
				assessSet(o, r, want, open, f)
			}
		}
	},
}

func assessSet(o *subject, r observe.Replica, want []string, open []observe.Open, f *finding) {
	before := f.Failures()
	if r.Metrics.ReloadSuccessful == 0 && !unread(o, "the own metrics of "+r.Pod) {
		f.Fail("%s could not load its configuration (prometheus_config_last_reload_successful is 0): it goes on with an older one, whatever the monitors say now", r.Pod)
	}
	var have []string
	for _, t := range r.Targets {
		if !slices.ContainsFunc(open, func(u observe.Open) bool { return u.Covers(t.Pool) }) {
			have = append(have, t.Pool+" "+t.URL)
		}
	}
	for _, w := range without(want, have) {
		f.Fail("%s lacks the target %s%s", r.Pod, w, poolHint(r, w))
	}
	for _, h := range without(have, want) {
		f.Fail("%s has the target %s, which nothing asks for", r.Pod, h)
	}
	if f.Failures() == before {
		f.Saw(sourceTargets, r.Pod, "%d targets, exactly those expected: %s", len(have), some(have))
	}
}

// poolHint tells a job that Prometheus could not make from one without endpoints.
func poolHint(r observe.Replica, target string) string {
	pool, _, _ := strings.Cut(target, " ")
	if slices.Contains(r.ScrapePools, pool) {
		return ""
	}
	if r.Metrics.ScrapePoolsFailed > 0 {
		return ": Prometheus could not make the scrape pool (prometheus_target_scrape_pools_failed_total is not 0), most often because a file that the monitor names cannot be read"
	}
	return ": the job is not in its configuration, or not yet"
}

// without returns the elements of a that are not in b, each as often as it is
// missing.
func without(a, b []string) []string {
	left := map[string]int{}
	for _, x := range b {
		left[x]++
	}
	var missing []string
	for _, x := range a {
		if left[x]--; left[x] < 0 {
			missing = append(missing, x)
		}
	}
	return missing
}

// some lists the first of many.
func some(names []string) string {
	const enough = 20
	if len(names) > enough {
		return strings.Join(names[:enough], ", ") + " and so on"
	}
	return strings.Join(names, ", ")
}
