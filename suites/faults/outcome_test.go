package faults

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func outcomes() []Outcome {
	fault := func(id string) Fault {
		return Fault{ID: id, Title: "Something is wrong", Red: []string{"a", "b", "c"}, Unclear: []string{"d"}, Cause: "x", Change: []Change{{What: "a field is changed"}}}
	}
	red := []reports.Check{verdict("a", reports.Fail, "x"), verdict("b", reports.Fail, "x"), verdict("c", reports.Fail, "x")}
	unclear := Fault{ID: "unclear", Unclear: []string{"d"}, Cause: "x"}
	return []Outcome{
		{Fault: Fault{ID: Control}, Result: Compare(Fault{ID: Control}, []reports.Check{verdict("a", reports.Pass)}), Took: 20 * time.Second},
		{Fault: fault("caught"), Result: Compare(fault("caught"), red), Took: 31500 * time.Millisecond},
		{Fault: fault("missed"), Result: Compare(fault("missed"), red[:1]), Remark: "slow to start"},
		{Fault: fault("misled"), Result: Compare(fault("misled"), append([]reports.Check{verdict("a", reports.Fail, "y")}, red[1:]...))},
		{Fault: unclear, Result: Compare(unclear, []reports.Check{verdict("d", reports.Inconclusive, "x")})},
		{Fault: Fault{ID: "both", named: []string{"x", "y"}}, Result: Compare(Fault{named: []string{"x", "y"}}, []reports.Check{verdict("a", reports.Fail, "y", "x")})},
		{Fault: fault("broken"), Error: errors.New("no room")},
		{Fault: fault("skipped"), Skipped: "not here"},
	}
}

func TestTheTableHasALineForEachFault(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteTable(&b, outcomes()))
	assert.Equal(t, strings.TrimPrefix(`
       FAULT    EXPECTED RED        GOT                    FIRST CAUSE  SECONDS
ok     none     nothing             the same               none         20.0
ok     caught   a and 2 more        the same               x            31.5
MISS   missed   a and 2 more        a (2 not as expected)  x            0.0
CAUSE  misled   a and 2 more        the same               y, not x     0.0
ok     unclear  nothing, d unclear  the same               x            0.0
ok     both     anything            the same               x + y        0.0
?      broken   a and 2 more        could not be tried     none         0.0
skip   skipped  a and 2 more        not here               none         0.0
`, "\n"), b.String())
}

func TestTheScoreCountsWhatWasTried(t *testing.T) {
	all := outcomes()
	assert.Equal(t, "4 of 6 faults caught, first cause right in 4", ScoreLine(all))
	assert.Equal(t, "0 of 0 faults caught, first cause right in 0", ScoreLine(all[:1]))
	all[0].Result = Compare(Fault{ID: Control}, []reports.Check{verdict("a", reports.Fail)})
	assert.Equal(t, "4 of 6 faults caught, first cause right in 4; the good set-up itself is not green, so the rest says little", ScoreLine(all))
}

func TestAnOutcomeIsACheckOfTheReport(t *testing.T) {
	report := map[string]reports.Check{}
	for _, o := range outcomes() {
		c := o.Report()
		report[o.ID] = c
		assert.Equal(t, Profile, c.Profile)
		assert.NotEmpty(t, c.Title)
		assert.Equal(t, c.Verdict == reports.Pass, c.Reason == "", o.ID)
		if c.Verdict == reports.Pass {
			assert.NotEmpty(t, c.Evidence, o.ID)
		}
	}
	assert.Equal(t, reports.Pass, report["caught"].Verdict)
	assert.InDelta(t, 31.5, report["caught"].DurationSeconds, 0.01)
	var texts []string
	for _, e := range report["caught"].Evidence {
		texts = append(texts, e.Text)
	}
	assert.Equal(t, []string{
		"a field is changed",
		"red must be a, b, c; unclear may be d; the first cause must be x",
		"red is a, b, c; the first cause is x; 31.5 s",
	}, texts)
	assert.Equal(t, reports.Fail, report["missed"].Verdict)
	assert.Equal(t, "b must fail, and was not judged\nc must fail, and was not judged\nslow to start", report["missed"].Reason)
	assert.Equal(t, reports.Fail, report["misled"].Verdict)
	assert.Equal(t, reports.Inconclusive, report["broken"].Verdict)
	assert.Equal(t, "the fault could not be tried: no room", report["broken"].Reason)
	assert.Equal(t, reports.Skip, report["skipped"].Verdict)
}

func TestAReportOfFaultsIsValid(t *testing.T) {
	r := reports.Report{SchemaVersion: reports.SchemaVersion, RunID: "r", StartedAt: time.Now(), EndedAt: time.Now(), Profiles: []reports.Profile{{Name: Profile}}}
	for _, o := range outcomes() {
		r.Checks = append(r.Checks, o.Report())
	}
	r.Conclude()
	assert.NoError(t, r.Validate())
	assert.Equal(t, reports.ExitCheckFailed, r.ExitCode)
}
