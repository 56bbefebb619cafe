package reports

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostileReport has the hostile text in every place that can hold one.
func hostileReport() Report {
	c := Check{
		ID: hostile, Title: hostile, Profile: hostile, Level: Level(hostile), Verdict: Fail, Reason: hostile,
		Evidence: []Evidence{{hostile, hostile, hostile}},
		Causes:   []Cause{{hostile, hostile, hostile, hostile, Confidence(hostile)}},
	}
	skipped, unknown := c, c
	skipped.Verdict, unknown.Verdict = Skip, Verdict(hostile)
	return Report{
		SchemaVersion: hostile, RunID: hostile, Suite: Suite{hostile, hostile}, StartedAt: began, EndedAt: began,
		Error: &SetupError{hostile, hostile}, Subject: Subject{hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile},
		Configuration: map[string]string{hostile: hostile}, Profiles: []Profile{{Name: hostile + "2"}},
		Checks: []Check{c, skipped, unknown}, Leftovers: []string{hostile}, Phases: []Phase{{hostile, 1}},
		Timeline: []Event{{began, EventKind(hostile), hostile, hostile}, {began, ScrapeMissed, hostile, hostile}, {began, CertificateStart, hostile, hostile}},
	}
}

// TestEveryFormatCopes renders what no run should write and a crash or an editor may.
func TestEveryFormatCopes(t *testing.T) {
	for name, r := range map[string]Report{
		"nothing": {}, "hostile": hostileReport(), "twice": {Checks: append(good().Checks, good().Checks...)},
	} {
		for _, f := range Formats() {
			data, err := f.Render(r)
			require.NoError(t, err, "%s of %s", f.File, name)
			assert.NotEmpty(t, data)
		}
	}
}

// TestEveryFormatOfRecordedReports renders real runs: what they say must come through
// in each format that has room for it.
func TestEveryFormatOfRecordedReports(t *testing.T) {
	for name, r := range recorded(t) {
		written, err := WriteAll(filepath.Join(t.TempDir(), r.RunID), r, nil)
		require.NoError(t, err, name)
		assert.Len(t, written, files)
		for _, f := range Formats() {
			data, err := f.Render(r)
			require.NoError(t, err)
			if f.File == BadgeFile {
				continue
			}
			for _, c := range r.Checks {
				assert.True(t, strings.Contains(string(data), c.ID), "%s of %s lacks %s", f.File, name, c.ID)
				if f.File == MetricsFile {
					continue
				}
				for _, k := range c.Causes {
					assert.True(t, strings.Contains(string(data), k.Code), "%s of %s lacks the cause %s of %s", f.File, name, k.Code, c.ID)
				}
			}
		}
	}
}

// TestEveryFormatLeavesItsInputAlone renders a report that shares its lists.
func TestEveryFormatLeavesItsInputAlone(t *testing.T) {
	for _, f := range Formats() {
		r, want := failing(), failing()
		r.Verdict, r.ExitCode = "", 0
		_, err := f.Render(r)
		require.NoError(t, err)
		want.Verdict, want.ExitCode = "", 0
		assert.Equal(t, want, r, f.File)
	}
}
