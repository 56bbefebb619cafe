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
	Profile: profileScrape,
	Level:   reports.Core,
	Reads:   []string{"the Prometheus ", "service monitors", "services", "endpoint slices", "pods", "namespaces", "the targets of ", "the own metrics of "},
	Assess: func(o observe.Observation, f *finding) {
		expected := observe.ExpectedTargets(o)
		if len(expected) == 0 {
			f.unclear("no target is expected: no ServiceMonitor that the Prometheus selects selects a Service with endpoints")
			return
		}
		wantReplicas(o, f)
		for _, r := range o.Replicas {
			before := len(f.failures)
			if r.Metrics.ReloadSuccessful == 0 {
				f.fail("%s could not load its configuration (prometheus_config_last_reload_successful is 0): it goes on with an older one, whatever the monitors say now", r.Pod)
			}
			var have, want []string
			for _, t := range r.Targets {
				have = append(have, t.Pool+" "+t.URL)
			}
			for _, e := range expected {
				want = append(want, e.Pool+" "+e.URL)
			}
			for _, w := range without(want, have) {
				f.fail("%s lacks the target %s%s", r.Pod, w, poolHint(r, w))
			}
			for _, h := range without(have, want) {
				f.fail("%s has the target %s, which nothing asks for", r.Pod, h)
			}
			if len(f.failures) == before {
				f.saw(sourceTargets, r.Pod, "%d targets, exactly those expected: %s", len(have), strings.Join(have, ", "))
			}
		}
	},
}

// wantReplicas fails for each replica that is asked for and does not run.
func wantReplicas(o observe.Observation, f *finding) {
	want := 1
	if o.Prometheus != nil && o.Prometheus.Spec.Replicas != nil {
		want = int(*o.Prometheus.Spec.Replicas)
	}
	if len(o.Replicas) != want {
		f.fail("%d replicas of Prometheus run, %d are asked for", len(o.Replicas), want)
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
	left := slices.Clone(b)
	var missing []string
	for _, x := range a {
		if i := slices.Index(left, x); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			missing = append(missing, x)
		}
	}
	return missing
}
