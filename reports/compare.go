package reports

import (
	"encoding/json"
	"fmt"
	"time"
)

// Change is what became of a check from one report to the next.
type Change string

const (
	// Worse says that what held, or was not judged, fails now, or that what held was
	// not proven again.
	Worse Change = "worse"
	// Better says that what did not hold, or was not judged, holds now.
	Better Change = "better"
	// Appeared says that only the later report has the check.
	Appeared Change = "appeared"
	// Vanished says that only the earlier report has the check.
	Vanished Change = "vanished"
	// Changed says that the verdict is another one, but that it is no better and no
	// worse: what failed does not hold because it could not be judged.
	Changed Change = "changed"
	// Unchanged says that the verdict is the same.
	Unchanged Change = "unchanged"
)

// ComparisonVersion is the version of the JSON form of a comparison. It changes by
// the rule of [SchemaVersion].
//
// 1.1 added the lost scrapes that nothing excuses.
const ComparisonVersion = "1.1"

// Comparison is what two reports differ in. Every list is in the order of the later
// report.
type Comparison struct {
	SchemaVersion string `json:"schemaVersion"`
	Before        Side   `json:"before"`
	After         Side   `json:"after"`
	// ExitCode is 0 if nothing is worse that may not be; see [Compare].
	ExitCode ExitCode `json:"exitCode"`
	// Findings are the sentences that made the exit code what it is.
	Findings []string `json:"findings"`
	// Checks are all checks of either report.
	Checks []CheckChange `json:"checks"`
	// Subject lists what is different about the subject.
	Subject []FieldChange `json:"subject"`
	// Phases are those of either report.
	Phases []PhaseChange `json:"phases"`
	// Lost are the lanes in which either report missed scrapes.
	Lost []LostChange `json:"lost"`
	// Expired and Unused are entries of the allow-list that should go: they count no
	// more, or nothing is worse that they would allow.
	Expired []Allowance `json:"expired"`
	Unused  []Allowance `json:"unused"`
}

// Side is one of the two reports.
type Side struct {
	RunID     string    `json:"runId"`
	StartedAt time.Time `json:"startedAt"`
	Verdict   Verdict   `json:"verdict"`
	ExitCode  ExitCode  `json:"exitCode"`
	Suite     Suite     `json:"suite"`
	// Seconds is how long the run took.
	Seconds float64 `json:"seconds"`
	// LostScrapes is how many scrapes were missed in all.
	LostScrapes int `json:"lostScrapes"`
	// Unexcused is how many of them are covered by the bound of no check that passed.
	Unexcused int `json:"unexcused"`
}

// CheckChange is what became of one check.
type CheckChange struct {
	ID      string `json:"id"`
	Profile string `json:"profile"`
	Change  Change `json:"change"`
	// Before and After are the verdicts, empty where a report does not have the check.
	Before Verdict `json:"before"`
	After  Verdict `json:"after"`
	// Reason is the later report's, of a check that vanished the earlier's.
	Reason string `json:"reason"`
	// Counts says that the check gates in either report.
	Counts bool `json:"counts"`
	// Allowed is why the allow-list lets it be worse; empty if it does not.
	Allowed string `json:"allowed"`
	// BeforeSeconds and AfterSeconds are how long it took.
	BeforeSeconds float64 `json:"beforeSeconds"`
	AfterSeconds  float64 `json:"afterSeconds"`
}

// FieldChange is a field of the subject, or the suite, that is another one.
type FieldChange struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// PhaseChange is how long a phase took, 0 where a report does not have it.
type PhaseChange struct {
	Name          string  `json:"name"`
	BeforeSeconds float64 `json:"beforeSeconds"`
	AfterSeconds  float64 `json:"afterSeconds"`
}

// LostChange is how many scrapes were missed in a lane.
type LostChange struct {
	Subject string `json:"subject"`
	Before  int    `json:"before"`
	After   int    `json:"after"`
}

// Compare says what became of each check of two reports of the same subject. It
// concludes both and believes neither what it says of itself; whether one contradicts
// itself is for [Report.Validate] to say first, as [CompareFiles] does.
//
// The exit code, the first that applies, is that of what is new in the later report:
//
//	4 interrupted    it was stopped before its end.
//	1 worse          a check that counts fails and did not, or more scrapes were
//	                 missed that nothing excuses.
//	2 set-up failed
//	3 leftovers
//	6 unproven       a check that counts was not judged, was skipped or vanished
//	                 though it passed, or could not be judged at its first try.
//	0                nothing is worse, or the allow-list lets it be.
//
// What excuses a missed scrape is that a check, of which a disruption is the subject,
// passed in the same report, and that its stated bound covers that very scrape; see
// [Point.ExcusedBy]. The sums of both runs are compared and not the lanes, since the pods
// that a lane is named after are others in every run: what one target misses anew is
// not seen where another misses that much less. A report from before version 1.2 excuses
// nothing, so that as the earlier one it lets the later one miss as many scrapes as it
// missed in its disruptions.
//
// An entry of the allow-list concerns checks and lost scrapes, never how a run ended.
// One that has expired by now does not count.
func Compare(before, after Report, allow []Allowance, now time.Time) Comparison {
	before.Conclude()
	after.Conclude()
	c := Comparison{
		SchemaVersion: ComparisonVersion, Before: side(before), After: side(after),
		Checks: checkChanges(before, after), Subject: subjectChanges(before, after), Phases: phaseChanges(before, after), Lost: lostChanges(before, after),
		Findings: []string{}, Expired: []Allowance{}, Unused: []Allowance{},
	}
	allowed := map[string]Allowance{}
	for _, a := range allow {
		if a.expired(now) {
			c.Expired = append(c.Expired, a)
			continue
		}
		allowed[a.ID] = a
	}
	used := c.judge(before, after, allowed)
	for _, a := range allow {
		if !a.expired(now) && !used[a.ID] {
			c.Unused = append(c.Unused, a)
		}
	}
	return c
}

// judge finds what makes the exit code, and returns which entries of the allow-list
// were of use.
func (c *Comparison) judge(before, after Report, allowed map[string]Allowance) (used map[string]bool) {
	used = map[string]bool{}
	codes := map[ExitCode]bool{}
	find := func(code ExitCode, format string, args ...any) {
		codes[code] = true
		c.Findings = append(c.Findings, fmt.Sprintf(format, args...))
	}
	if after.Interrupted && !before.Interrupted {
		find(ExitInterrupted, "the later run was stopped before its end")
	}
	for i := range c.Checks {
		k := &c.Checks[i]
		code := k.class()
		if code == ExitConformant {
			continue
		}
		if a, ok := allowed[k.ID]; ok {
			used[k.ID], k.Allowed = true, a.Reason
			continue
		}
		find(code, "%s", k.sentence())
	}
	if more := c.After.Unexcused - c.Before.Unexcused; more > 0 {
		if _, ok := allowed[LostScrapes]; ok {
			used[LostScrapes] = true
		} else {
			find(ExitCheckFailed, "%s missed that no check excuses, %d before", count(c.After.Unexcused, "scrape"), c.Before.Unexcused)
		}
	}
	if after.Error != nil && before.Error == nil {
		find(ExitSetupFailed, "the set-up of the later run failed in phase %q: %s", after.Error.Phase, firstLine(after.Error.Message))
	}
	if len(after.Leftovers) > 0 && len(before.Leftovers) == 0 {
		find(ExitLeftovers, "the later run left %s behind (%s)", count(len(after.Leftovers), "thing"), some(after.Leftovers))
	}
	for _, code := range []ExitCode{ExitInterrupted, ExitCheckFailed, ExitSetupFailed, ExitLeftovers, ExitInconclusive} {
		if codes[code] {
			c.ExitCode = code
			break
		}
	}
	return used
}

// class is the exit code that a change calls for by itself.
func (k CheckChange) class() ExitCode {
	switch {
	case !k.Counts || k.Change == Unchanged || k.Change == Changed || k.Change == Better:
		return ExitConformant
	case k.Change == Vanished && k.Before != Pass:
		return ExitConformant
	case k.After == Fail:
		return ExitCheckFailed
	case k.Change == Appeared && k.After != Inconclusive:
		return ExitConformant
	}
	return ExitInconclusive
}

// sentence says what is worse about a check.
func (k CheckChange) sentence() string {
	past := map[Verdict]string{Pass: "passed", Fail: "failed", Skip: "was skipped", Inconclusive: "could not be judged", "": "is new"}[k.Before]
	if k.Change == Vanished {
		return fmt.Sprintf("%s %s and was not run again", k.ID, past)
	}
	present := map[Verdict]string{Fail: "fails", Skip: "is skipped", Inconclusive: "cannot be judged"}[k.After]
	if k.Change != Appeared {
		present = "now " + present
	}
	return fmt.Sprintf("%s %s and %s: %s", k.ID, past, present, firstLine(k.Reason))
}

// CompareFiles compares two reports by the files or directories that hold them. allow
// names an allow-list, or is empty. The error is the user's: a file that is not there
// or no report, or a report that contradicts itself and proves nothing.
func CompareFiles(before, after, allow string, now time.Time) (Comparison, error) {
	var read [2]Report
	for i, path := range []string{before, after} {
		r, err := Read(path)
		if err == nil {
			err = r.Validate()
		}
		if err != nil {
			return Comparison{}, fmt.Errorf("cannot compare with %s: %s", path, oneLine(err.Error()))
		}
		read[i] = r
	}
	var list []Allowance
	if allow != "" {
		var err error
		if list, err = ReadAllowances(allow); err != nil {
			return Comparison{}, err
		}
	}
	return Compare(read[0], read[1], list, now), nil
}

// JSON is the comparison for a machine.
func (c Comparison) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(c, "", "  ")
	return append(data, '\n'), err
}

// Headline is the outcome in a few words.
func (c Comparison) Headline() string {
	words := map[ExitCode]string{
		ExitConformant: "nothing is worse", ExitCheckFailed: "worse than before", ExitSetupFailed: "the later run could not be set up",
		ExitLeftovers: "the later run left something behind", ExitInterrupted: "the later run was stopped", ExitInconclusive: "less is proven than before",
	}
	return words[c.ExitCode]
}

// of are the checks with a change.
func (c Comparison) of(change Change) []CheckChange {
	var list []CheckChange
	for _, k := range c.Checks {
		if k.Change == change {
			list = append(list, k)
		}
	}
	return list
}
