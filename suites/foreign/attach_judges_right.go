package foreign

import (
	"maps"
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// The point of it all: somebody else's Prometheus is judged as it is. Of a bad one the
// cause has to be named from what a guest can read.
var attachJudgesRight = Check{
	ID:    "attach-judges-right",
	Title: "Every Prometheus of a cluster that the suite did not set up gets the right verdict by reading alone",
	Assess: func(r Record, f *reports.Assessment) {
		for _, t := range r.Attached {
			for _, w := range wanted() {
				if w.Name == t.Name {
					w.compare(t, f)
				}
			}
		}
	},
}

// want is what must come of attaching to a Prometheus.
type want struct {
	Name       string
	Prometheus string
	Title      string
	TLS        bool // on its web port
	ExitCode   int
	Red        []string // the checks that must fail, and no others
	Cause      string   // the code that must come first for the first of them
	Passed     []string // checks that must pass
}

// judged are the checks that a guest without permits must come to a verdict about.
var judged = []string{"prometheus-sidecar-injected", "monitors-accepted", "targets-complete", "targets-up", "mutual-tls-on-the-wire"}

// wanted says what stands in the cluster of manifests/foreign.
func wanted() []want {
	return []want{
		{Name: "sharded", Prometheus: namespace + "/fleet", Title: "two shards, files from a scrape class, targets by Services and by pods", Passed: judged},
		{Name: "web-tls", Prometheus: namespace + "/secure", Title: "its web port speaks TLS, below a path", TLS: true, Passed: judged},
		{
			Name: "wrong-file", Prometheus: namespace + "/typo", Title: "its monitor names a file that is not there",
			ExitCode: int(reports.ExitCheckFailed), Red: []string{"monitors-accepted", "targets-complete", "targets-up", "metrics-queryable"}, Cause: "certificate-path-elsewhere",
			Passed: []string{"prometheus-sidecar-injected"},
		},
		{
			Name: "plain-text", Prometheus: namespace + "/plain", Title: "its monitor scrapes in plain text",
			ExitCode: int(reports.ExitCheckFailed), Red: []string{"targets-up"}, Cause: "scheme-http-on-strict",
			Passed: []string{"prometheus-sidecar-injected", "monitors-accepted", "targets-complete"},
		},
	}
}

// compare says where a trial came to something else.
func (w want) compare(t Trial, f *reports.Assessment) {
	if t.ExitCode != w.ExitCode {
		f.Fail("%s, %s: the exit code is %d, not %d %s", w.Prometheus, w.Title, t.ExitCode, w.ExitCode, t.Said)
	}
	checks := map[string]reports.Check{}
	for _, c := range t.Report.Checks {
		checks[c.ID] = c
	}
	for _, id := range w.Passed {
		if c := checks[id]; c.Verdict != reports.Pass {
			f.Fail("%s, %s: %s is %q, not passed: %s", w.Prometheus, w.Title, id, c.Verdict, c.Reason)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(checks)) {
		c := checks[id]
		if red := slices.Contains(w.Red, id); red != (c.Verdict == reports.Fail) {
			f.Fail("%s, %s: %s is %q: %s", w.Prometheus, w.Title, id, c.Verdict, c.Reason)
		}
	}
	if len(w.Red) > 0 {
		first := "none"
		if causes := checks[w.Red[0]].Causes; len(causes) > 0 {
			first = causes[0].Code
		}
		if first != w.Cause {
			f.Fail("%s, %s: the first cause of %s is %s, not %s", w.Prometheus, w.Title, w.Red[0], first, w.Cause)
		}
	}
	f.Saw(sourceReport, w.Prometheus, "%s: exit code %d, %d checks, %d requests to the API server", w.Title, t.ExitCode, len(checks), t.Report.APIRequests)
}
