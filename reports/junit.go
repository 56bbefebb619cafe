package reports

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// JUnitFile is the file that CI systems read to show single tests.
const JUnitFile = "junit.xml"

// junitPackage begins every class name, so that a CI system that shows several
// suites groups the tests of this one.
const junitPackage = "mtls-scrape-conformance"

// JUnit renders a report as JUnit XML: a test suite for each profile, one for the
// phases if the set-up failed, and one for the run if it did not end in order.
//
// It has a failure or an error exactly if the verdict of the run is not pass, since
// that is what a CI system looks at. So a check that could not be judged is an error,
// and one on trial is a skipped test that says how it went.
func JUnit(r Report) ([]byte, error) {
	r.Conclude()
	all := junit.Testsuites{Name: junitPackage, Time: junitTime(r.EndedAt.Sub(r.StartedAt))}
	add := func(name string, took time.Duration, cases []junit.Testcase) {
		if len(cases) > 0 {
			all.AddSuite(junitSuite(r, len(all.Suites), name, took, cases))
		}
	}
	var phases time.Duration
	for _, p := range r.Phases {
		phases += span(p.Seconds)
	}
	add("phases", phases, junitPhases(r))
	for _, p := range r.Profiles {
		add(p.Name, r.took(p.Name), junitProfile(r, p.Name))
	}
	rest := junitRun(r)
	if r.Verdict != Pass && len(rest) == 0 && all.Errors+all.Failures == 0 {
		rest = append(rest, junitError("verdict", string(r.Verdict), r.Headline()))
	}
	add("run", 0, rest)

	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := all.WriteXML(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func junitSuite(r Report, id int, name string, took time.Duration, cases []junit.Testcase) junit.Testsuite {
	s := junit.Testsuite{ID: id, Name: oneLine(name), Time: junitTime(took)}
	if !r.StartedAt.IsZero() {
		s.SetTimestamp(utc(r.StartedAt))
	}
	s.AddProperty("runId", oneLine(r.RunID))
	s.AddProperty("suite.version", oneLine(r.Suite.Version))
	s.AddProperty("suite.commit", oneLine(r.Suite.Commit))
	s.AddProperty("outcome", r.Word())
	s.AddProperty("claims", oneLine(strings.Join(r.Claims(), ", ")))
	for _, f := range r.Subject.fields() {
		if f.Value != "" {
			s.AddProperty("subject."+f.Name, oneLine(f.Value))
		}
	}
	if r.Repetitions != nil {
		s.AddProperty("repetitions", oneLine(r.Repetitions.String()))
	}
	for _, c := range cases {
		c.Classname = junitPackage + "." + s.Name
		s.AddTestcase(c)
	}
	return s
}

// took is how long the checks of a profile took together.
func (r Report) took(profile string) time.Duration {
	var sum time.Duration
	for _, c := range r.Checks {
		if c.Profile == profile {
			sum += span(c.DurationSeconds)
		}
	}
	return sum
}

// junitPhases are the phases of a run whose set-up failed; else they are no tests.
func junitPhases(r Report) []junit.Testcase {
	if r.Error == nil {
		return nil
	}
	failed := junitError(cmp.Or(r.Error.Phase, "set-up"), "set-up failed", r.Error.Message)
	var cases []junit.Testcase
	found := false
	for _, p := range r.Phases {
		c := junit.Testcase{Name: oneLine(p.Name)}
		if p.Name == r.Error.Phase && !found {
			c, found = failed, true
		}
		c.Time = junitTime(span(p.Seconds))
		cases = append(cases, c)
	}
	if !found {
		cases = append(cases, failed)
	}
	return cases
}

// junitProfile are the checks of a profile. One that was asked for and has none is
// an error, unless that follows from another one that is listed.
func junitProfile(r Report, profile string) []junit.Testcase {
	var cases []junit.Testcase
	for _, c := range r.Checks {
		if c.Profile == profile {
			cases = append(cases, junitCheck(c))
		}
	}
	if len(cases) > 0 {
		return cases
	}
	const name = "any check"
	switch {
	case r.Error != nil:
		return []junit.Testcase{junitSkip(name, "not judged: the set-up failed")}
	case r.Interrupted:
		return []junit.Testcase{junitSkip(name, "not judged: the run was stopped before its end")}
	}
	return []junit.Testcase{junitError(name, string(Inconclusive), "the profile was asked for, but none of its checks ran")}
}

func junitCheck(c Check) junit.Testcase {
	t := junit.Testcase{Name: oneLine(c.ID)}
	result := &junit.Result{Message: firstLine(c.Reason), Type: string(c.outcome()), Data: plain(c)}
	switch o := c.outcome(); {
	case o == Skip:
		t.Skipped = &junit.Result{Message: firstLine(c.Reason), Type: string(Skip)}
	case !c.Level.Gates() && o != Pass:
		result.Message = fmt.Sprintf("provisional, does not count: %s: %s", o, result.Message)
		t.Skipped = result
	case o == Fail:
		t.Failure = result
	case o == Inconclusive:
		t.Error = result
	}
	if seen := sights(c); seen != "" {
		t.SystemOut = &junit.Output{Data: seen}
	}
	t.Time = junitTime(span(c.DurationSeconds))
	return t
}

// junitRun are the ways in which a run can end badly that belong to no check.
func junitRun(r Report) []junit.Testcase {
	var cases []junit.Testcase
	if r.Interrupted {
		cases = append(cases, junitError("comes to its end", "interrupted", "the run was stopped before its end; what is missing was not judged"))
	}
	if n := len(r.Leftovers); n > 0 {
		cases = append(cases, junit.Testcase{Name: "leaves nothing behind", Failure: &junit.Result{
			Message: fmt.Sprintf("%s remained behind; `make clean` removes what a run left", count(n, "thing")), Type: "leftovers",
			Data: block(strings.Join(r.Leftovers, "\n")),
		}})
	}
	return cases
}

func junitError(name, kind, message string) junit.Testcase {
	return junit.Testcase{Name: oneLine(name), Error: &junit.Result{Message: firstLine(message), Type: kind, Data: block(message)}}
}

func junitSkip(name, reason string) junit.Testcase {
	return junit.Testcase{Name: name, Skipped: &junit.Result{Message: reason, Type: string(Skip)}}
}

// junitTime is a duration in seconds, with the three decimals that all consumers
// read; a clock that was set back makes none that is negative.
func junitTime(d time.Duration) string { return fmt.Sprintf("%.3f", max(0, d.Seconds())) }

// firstLine is the first line of s, for a place that has room for one.
func firstLine(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return oneLine(first)
}
