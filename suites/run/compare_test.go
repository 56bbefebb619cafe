package run

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// report writes one whose only check came to a verdict, and returns its directory.
func report(t *testing.T, v reports.Verdict) string {
	t.Helper()
	began := time.Date(2026, 9, 1, 6, 30, 0, 0, time.UTC)
	c := check("targets-up", v, reports.Core)
	dir := filepath.Join(t.TempDir(), "x1")
	_, err := reports.WriteAll(dir, reports.Report{
		SchemaVersion: reports.SchemaVersion, RunID: "x1", StartedAt: began, EndedAt: began.Add(time.Minute), Checks: []reports.Check{c},
	}, nil)
	require.NoError(t, err)
	return dir
}

// fileOf writes a file, and returns its path.
func fileOf(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestCompare(t *testing.T) {
	good, bad, unclear := report(t, reports.Pass), report(t, reports.Fail), report(t, reports.Inconclusive)
	entry := func(expires string) string {
		return fileOf(t, "- id: targets-up\n  reason: the gateway is being moved, ticket 7\n  expires: "+expires+"\n")
	}
	for name, c := range map[string]struct {
		before, after, allow string
		code                 reports.ExitCode
		says                 string
	}{
		"the same":               {good, good, "", reports.ExitConformant, "NOTHING IS WORSE"},
		"by the files":           {filepath.Join(good, reports.FileName), filepath.Join(good, reports.FileName), "", reports.ExitConformant, "NOTHING IS WORSE"},
		"better":                 {bad, good, "", reports.ExitConformant, "NOTHING IS WORSE"},
		"worse":                  {good, bad, "", reports.ExitCheckFailed, "targets-up passed and now fails: because"},
		"less proven":            {good, unclear, "", reports.ExitInconclusive, "targets-up passed and now cannot be judged: because"},
		"worse, as is allowed":   {good, bad, entry("2100-01-01"), reports.ExitConformant, "(allowed: the gateway is being moved, ticket 7)"},
		"worse, allowed no more": {good, bad, entry("2026-01-01"), reports.ExitCheckFailed, "expired on 2026-01-01"},
	} {
		t.Run(name, func(t *testing.T) {
			summary := filepath.Join(t.TempDir(), "summary.md")
			t.Setenv("GITHUB_STEP_SUMMARY", summary)
			args := []string{"-mode=compare", "-before=" + c.before, "-after=" + c.after, "-allow=" + c.allow}
			code, stdout, stderr, _ := suite(t, args...)
			assert.Equal(t, int(c.code), code, stdout)
			assert.Empty(t, stderr)
			assert.Contains(t, stdout, c.says)
			markdown, err := os.ReadFile(summary)
			require.NoError(t, err)
			assert.Contains(t, string(markdown), "mTLS scrape conformance: ")

			t.Setenv("GITHUB_STEP_SUMMARY", "")
			code, stdout, _, _ = suite(t, append(args, "-format=json")...)
			assert.Equal(t, int(c.code), code)
			var found reports.Comparison
			require.NoError(t, json.Unmarshal([]byte(stdout), &found), "nothing but JSON")
			assert.Equal(t, c.code, found.ExitCode)
		})
	}
}

func TestWhatCannotBeComparedIsOneSentence(t *testing.T) {
	good, forged := report(t, reports.Pass), report(t, reports.Fail)
	file := filepath.Join(forged, reports.FileName)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), `"exitCode": 1`, `"exitCode": 0`, 1)), 0o600))
	for name, c := range map[string]struct {
		before, after, allow, says string
	}{
		"no report before":         {filepath.Join(good, "gone"), good, "", "there is no report at "},
		"no report after":          {good, t.TempDir(), "", "there is no report at "},
		"a report that is none":    {good, fileOf(t, "no JSON"), "", "is not JSON"},
		"a report that is forged":  {good, forged, "", "contradicts itself"},
		"no allow-list":            {good, good, "gone.yaml", "there is no allow-list at gone.yaml"},
		"an entry without its end": {good, good, fileOf(t, "- {id: targets-up, reason: known}\n"), "the entry for targets-up does not expire"},
		"a list that is none":      {good, good, fileOf(t, "targets-up: known\n"), "is not a list"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr, _ := suite(t, "-mode=compare", "-before="+c.before, "-after="+c.after, "-allow="+c.allow)
			assert.Equal(t, int(reports.ExitUsage), code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, c.says)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}

func TestAComparisonThatTheJobCannotShowIsNoPass(t *testing.T) {
	good, bad := report(t, reports.Pass), report(t, reports.Fail)
	t.Setenv("GITHUB_STEP_SUMMARY", t.TempDir())
	code, stdout, stderr, _ := suite(t, "-mode=compare", "-before="+good, "-after="+good)
	assert.Equal(t, int(reports.ExitSetupFailed), code)
	assert.Contains(t, stdout, "NOTHING IS WORSE")
	assert.Contains(t, stderr, "GITHUB_STEP_SUMMARY")
	code, _, _, _ = suite(t, "-mode=compare", "-before="+good, "-after="+bad)
	assert.Equal(t, int(reports.ExitCheckFailed), code)
}
