package faults

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

func newRun(c run.Config) *run.Run {
	return &run.Run{Config: c, Report: &reports.Report{}, Terminal: reports.NewTerminal(nowhere{}, reports.Style{})}
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func planned(t *testing.T, c run.Config) []string {
	t.Helper()
	s, err := NewSession(newRun(c))
	require.NoError(t, err)
	var ids []string
	for _, f := range s.planned {
		ids = append(ids, f.ID)
	}
	return ids
}

func TestAFaultIsSelectedByItsIDAndTheGoodSetUpIsTriedBesideIt(t *testing.T) {
	assert.Equal(t, []string{Control, "prometheus-paused"}, planned(t, run.Config{Select: regexp.MustCompile("^prometheus-paused$")}))
	assert.Len(t, planned(t, run.Config{}), len(Catalogue()))
	assert.Equal(t, []string{Control}, planned(t, run.Config{Select: regexp.MustCompile("^none$")}))
}

func TestASelectionOfNothingIsAMistake(t *testing.T) {
	for says, c := range map[string]run.Config{
		"none has an ID that matches x9":           {Select: regexp.MustCompile("x9")},
		"select them by their IDs":                 {Profiles: []string{"scrape"}},
		`the skip list names "x", which is no`:     {Skip: map[string]string{"x": "why"}},
		"gives no reason for prometheus-paused: w": {Skip: map[string]string{"prometheus-paused": ""}},
	} {
		_, err := NewSession(newRun(c))
		assert.ErrorContains(t, err, says)
	}
}

func TestADryRunListsWhatWouldBeTried(t *testing.T) {
	s, err := NewSession(newRun(run.Config{Select: regexp.MustCompile("^(istiod-away-too-long|scheme-http)$")}))
	require.NoError(t, err)
	text := s.DryRun()
	assert.Contains(t, text, "try   scheme-http ")
	assert.Contains(t, text, "(rotation, watched, alone)")
	assert.Contains(t, text, "3 subjects would be made")
}

func TestAKeptObservationIsExplainedByItsName(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, Control+".json")
	require.NoError(t, observe.Write(path, realObservation(t)))
	r := newRun(run.Config{Observation: path})
	s, err := NewSession(r)
	require.NoError(t, err)
	require.NoError(t, s.Explain())
	require.Len(t, r.Report.Checks, 1)
	assert.Equal(t, Control, r.Report.Checks[0].ID)

	r.Observation = filepath.Join(dir, "conformance.json")
	assert.ErrorContains(t, s.Explain(), "is not the observation of a fault: its name has to be that of one")
	r.Observation = filepath.Join(dir, "prometheus-paused.json")
	assert.ErrorContains(t, s.Explain(), "reading an observation")
}

func TestTheTableIsInTheOrderOfTheCatalogue(t *testing.T) {
	s := &Session{planned: []Fault{{ID: "b"}, {ID: "a"}}, outcomes: []Outcome{{Fault: Fault{ID: "a"}}, {Fault: Fault{ID: "b"}}}}
	text, err := s.Table()
	require.NoError(t, err)
	assert.Regexp(t, `(?s) b .* a .*2 of 2 faults caught`, text)
}
