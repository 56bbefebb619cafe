package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The files of a fleet, beside the folders of its clusters.
const (
	FleetFile     = "fleet.json"
	FleetHTMLFile = "fleet.html"
)

// FleetVersion is the version of fleet.json. It changes by the rule of [SchemaVersion].
const FleetVersion = "1.0"

// Member is one cluster of a fleet as its run left it: what a fleet is made from.
type Member struct {
	// Name is the cluster as the user named it.
	Name string
	// Dir is the folder of its run, below that of the fleet and with slashes; empty if
	// there is none.
	Dir string
	// Report is what the run wrote; nil if it wrote none.
	Report *Report
	// ExitCode is how the run ended.
	ExitCode ExitCode
	// Error says why there is no report, or what went wrong with writing it.
	Error string
}

// Fleet is what came of several clusters that were judged side by side. It is made by
// [FleetOf] and is all that fleet.json, the page and the terminal show.
type Fleet struct {
	SchemaVersion string    `json:"schemaVersion"`
	RunID         string    `json:"runId"`
	Suite         Suite     `json:"suite"`
	StartedAt     time.Time `json:"startedAt"`
	EndedAt       time.Time `json:"endedAt"`
	// ExitCode is the worst of the clusters'; see [Worst].
	ExitCode ExitCode `json:"exitCode"`
	// Clusters are in the order in which they were named.
	Clusters []FleetCluster `json:"clusters"`
	// Checks are those that at least one cluster does not pass, what fails and counts
	// first, and of these what concerns the most clusters.
	Checks []FleetCheck `json:"checks"`
}

// FleetCluster is one cluster of a fleet.
type FleetCluster struct {
	Name string `json:"name"`
	// Dir is the folder of its report below that of the fleet; empty if there is none.
	Dir      string   `json:"dir"`
	RunID    string   `json:"runId"`
	Verdict  Verdict  `json:"verdict"`
	ExitCode ExitCode `json:"exitCode"`
	// Outcome is the outcome in a few words, and Headline in a sentence.
	Outcome  string `json:"outcome"`
	Headline string `json:"headline"`
	// Passed, Failed and Skipped are those of [Report.Tally].
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	Skipped int      `json:"skipped"`
	Subject Subject  `json:"subject"`
	Claims  []string `json:"claims"`
	// Profiles are those that were asked for, in the order of the report.
	Profiles []Profile `json:"profiles"`

	tone Verdict // in whose colour it is shown
}

// FleetCheck is a check that not every cluster passes.
type FleetCheck struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Profile string `json:"profile"`
	// Counts says that it gates in at least one of the clusters.
	Counts bool `json:"counts"`
	// Results are those of the clusters that have the check, in their order.
	Results []FleetResult `json:"results"`
}

// FleetResult is a check in one cluster.
type FleetResult struct {
	Cluster string  `json:"cluster"`
	Verdict Verdict `json:"verdict"`
	// Reason is the first line of the check's.
	Reason string `json:"reason"`
	// Cause is the best of the causes; nil if none is known, or none is looked for.
	Cause *Cause `json:"cause,omitempty"`
}

// bySeverity are the exit codes of runs, the worst first: what ended before its end, for
// then nobody knows the rest; what is proven to be wrong; what kept a cluster from being
// judged, whether it is the cluster's fault or the user's; what was left behind; what is
// open.
var bySeverity = []ExitCode{ExitInterrupted, ExitCheckFailed, ExitSetupFailed, ExitUsage, ExitLeftovers, ExitInconclusive, ExitConformant}

// Worst is the exit code of several runs together, the first of 4, 1, 2, 5, 3, 6 and 0
// that one of them ended with. A code that is none of these is that of a program that
// broke and counts as 2; no run at all is inconclusive.
func Worst(codes ...ExitCode) ExitCode {
	if len(codes) == 0 {
		return ExitInconclusive
	}
	at := len(bySeverity) - 1
	for _, c := range codes {
		i := slices.Index(bySeverity, c)
		if i < 0 {
			i = slices.Index(bySeverity, ExitSetupFailed)
		}
		at = min(at, i)
	}
	return bySeverity[at]
}

// FleetOf puts the clusters of a fleet together. Of head it takes what says which run it
// was and when. It concludes the reports and believes neither what one says of itself nor
// how its process ended alone: of both the worse counts.
func FleetOf(head Fleet, members []Member) Fleet {
	f := Fleet{SchemaVersion: FleetVersion, RunID: head.RunID, Suite: head.Suite, StartedAt: head.StartedAt, EndedAt: head.EndedAt,
		Clusters: make([]FleetCluster, 0, len(members)), Checks: []FleetCheck{}}
	var codes []ExitCode
	at := map[string]int{}
	for _, m := range members {
		c, checks := clusterOf(m)
		f.Clusters = append(f.Clusters, c)
		codes = append(codes, c.ExitCode)
		for _, k := range checks {
			i, ok := at[k.ID]
			if !ok {
				i = len(f.Checks)
				at[k.ID] = i
				f.Checks = append(f.Checks, FleetCheck{ID: k.ID, Title: k.Title, Profile: k.Profile})
			}
			f.Checks[i].add(c.Name, k)
		}
	}
	f.ExitCode = Worst(codes...)
	f.Checks = slices.DeleteFunc(f.Checks, func(k FleetCheck) bool { return k.troubled() == 0 })
	slices.SortStableFunc(f.Checks, func(a, b FleetCheck) int {
		return cmp.Or(cmp.Compare(a.weight(), b.weight()), cmp.Compare(b.troubled(), a.troubled()))
	})
	return f
}

// clusterOf is a cluster of a fleet, and the checks of its report.
func clusterOf(m Member) (FleetCluster, []Check) {
	c := FleetCluster{Name: m.Name, Dir: m.Dir, ExitCode: Worst(m.ExitCode), Verdict: Inconclusive, Headline: m.Error, Failed: 1, Claims: []string{}, Profiles: []Profile{}}
	if m.ExitCode == ExitConformant && m.Report == nil {
		c.ExitCode = ExitInconclusive // it says that all is well, and shows nothing
	}
	if m.Report == nil {
		c.Outcome, c.tone = c.ExitCode.String(), Inconclusive
		return c, nil
	}
	r := *m.Report
	r.Conclude()
	c.ExitCode = Worst(c.ExitCode, r.ExitCode)
	c.RunID, c.Verdict, c.Outcome, c.Subject = r.RunID, r.Verdict, r.Word(), r.Subject
	c.Headline = strings.Trim(r.Headline()+"; "+m.Error, "; ")
	c.Profiles, c.tone = append(c.Profiles, r.Profiles...), r.tone()
	c.Claims = append(c.Claims, r.Claims()...)
	c.Passed, c.Failed, c.Skipped = r.Tally()
	if c.ExitCode != r.ExitCode {
		c.Outcome = c.ExitCode.String()
		if c.Verdict == Pass {
			c.Verdict, c.tone, c.Failed = Inconclusive, Inconclusive, max(1, c.Failed)
		}
	}
	return c, r.Checks
}

// add puts what came of the check in one cluster beside the others.
func (k *FleetCheck) add(cluster string, c Check) {
	first, _, _ := strings.Cut(c.Reason, "\n")
	r := FleetResult{Cluster: cluster, Verdict: c.outcome(), Reason: first}
	if len(c.Causes) > 0 && r.troubled() {
		r.Cause = &c.Causes[0]
	}
	k.Counts = k.Counts || c.Level.Gates()
	k.Results = append(k.Results, r)
}

// troubled reports whether the result needs a look.
func (r FleetResult) troubled() bool { return r.Verdict == Fail || r.Verdict == Inconclusive }

// troubled is in how many clusters the check needs a look.
func (k FleetCheck) troubled() int {
	n := 0
	for _, r := range k.Results {
		if r.troubled() {
			n++
		}
	}
	return n
}

// weight sorts as that of a check in one report does.
func (k FleetCheck) weight() int {
	w := 0
	if !k.Counts {
		w += 2
	}
	if !slices.ContainsFunc(k.Results, func(r FleetResult) bool { return r.Verdict == Fail }) {
		w++
	}
	return w
}

// of is what came of the check in a cluster; the zero result if the cluster does not
// have it.
func (k FleetCheck) of(cluster string) FleetResult {
	if i := slices.IndexFunc(k.Results, func(r FleetResult) bool { return r.Cluster == cluster }); i >= 0 {
		return k.Results[i]
	}
	return FleetResult{}
}

// profiles are the names of the profiles of all clusters, in the order in which they
// come.
func (f Fleet) profiles() []string {
	var names []string
	for _, c := range f.Clusters {
		for _, p := range c.Profiles {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

// profile is that of a cluster by its name; the zero profile if it does not have it.
func (c FleetCluster) profile(name string) Profile {
	if i := slices.IndexFunc(c.Profiles, func(p Profile) bool { return p.Name == name }); i >= 0 {
		return c.Profiles[i]
	}
	return Profile{}
}

// Word is the outcome in a few words, as that of a report.
func (f Fleet) Word() string {
	if f.ExitCode == ExitConformant && f.tone() != Pass {
		return asSeen
	}
	return f.ExitCode.String()
}

// Headline says in a sentence how many clusters there are, and names those that are not
// conformant.
func (f Fleet) Headline() string {
	by := map[string][]string{}
	var order []string
	for _, c := range f.Clusters {
		if by[c.Outcome] == nil {
			order = append(order, c.Outcome)
		}
		by[c.Outcome] = append(by[c.Outcome], c.Name)
	}
	parts := make([]string, 0, len(order))
	for _, outcome := range order {
		part := fmt.Sprintf("%d %s", len(by[outcome]), outcome)
		if outcome != ExitConformant.String() {
			part += " (" + some(by[outcome]) + ")"
		}
		parts = append(parts, part)
	}
	return count(len(f.Clusters), "cluster") + ": " + strings.Join(parts, ", ")
}

// tone is the verdict in whose colour the outcome is shown.
func (f Fleet) tone() Verdict {
	tones := make([]Check, 0, len(f.Clusters))
	for _, c := range f.Clusters {
		tones = append(tones, Check{Verdict: c.tone})
	}
	return cmp.Or(worst(tones), Inconclusive)
}

// Tally adds up those of the clusters; one without a report counts as one failure. So
// "0 failed" is only ever said of a fleet that exits with 0.
func (f Fleet) Tally() (passed, failed, skipped int) {
	for _, c := range f.Clusters {
		passed, failed, skipped = passed+c.Passed, failed+c.Failed, skipped+c.Skipped
	}
	if failed == 0 && f.ExitCode != ExitConformant {
		failed = 1
	}
	return passed, failed, skipped
}

// JSON is the content of fleet.json.
func (f Fleet) JSON() ([]byte, error) {
	f.StartedAt, f.EndedAt = utc(f.StartedAt), utc(f.EndedAt)
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot encode the fleet of run %q: %w", f.RunID, err)
	}
	return append(data, '\n'), nil
}
