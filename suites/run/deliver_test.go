package run

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/parcel"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sonobuoy"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestAReportThatIsDeliveredIsTheOneThatWasWritten(t *testing.T) {
	code, stdout, stderr, dir := suite(t, "-mode=attach", "-out=out", "-deliver=log", "-run-id=run-7", "-kubeconfig="+fileOf(t, nobody))
	assert.Equal(t, int(reports.ExitSetupFailed), code, stderr)
	r := &parcel.Receiver{RunID: "run-7"}
	for line := range strings.Lines(stdout) {
		r.Line(strings.TrimSuffix(line, "\n"))
	}
	archive, err := r.Archive()
	require.NoError(t, err)
	to := t.TempDir()
	require.NoError(t, parcel.Unpack(strings.NewReader(string(archive)), to))
	assert.Equal(t, readReport(t, filepath.Join(dir, "out", "run-7")), readReport(t, to))
	for _, f := range []string{reports.HTMLFile, reports.JUnitFile, reports.AttestationFile} {
		assert.FileExists(t, filepath.Join(to, f))
	}
	assert.Regexp(t, `\n0 passed, 1 failed\n$`, stdout, "the last line counts")
}

// asPluginOf starts this binary as Sonobuoy does, and gives what it handed over.
func asPluginOf(t *testing.T, args ...string) (code int, results map[string]string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(sonobuoy.ResultsVariable, dir)
	code, _, stderr, _ := suite(t, args...)
	where, err := os.ReadFile(filepath.Join(dir, "done"))
	require.NoError(t, err, stderr)
	archive, err := os.Open(string(where))
	require.NoError(t, err)
	defer archive.Close()
	to := t.TempDir()
	require.NoError(t, parcel.Unpack(archive, to))
	results = map[string]string{}
	entries, err := os.ReadDir(to)
	require.NoError(t, err)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(to, e.Name()))
		require.NoError(t, err)
		results[e.Name()] = string(content)
	}
	return code, results
}

func TestSonobuoyGetsTheReport(t *testing.T) {
	code, results := asPluginOf(t, "-mode=attach", "-out=out", "-kubeconfig="+fileOf(t, nobody))
	assert.Equal(t, int(reports.ExitSetupFailed), code)
	assert.Contains(t, results[reports.JUnitFile], "connection refused")
	assert.Contains(t, results, reports.FileName)
	assert.Contains(t, results, reports.HTMLFile)
}

func TestSonobuoyNeverWaitsForARunThatHasEnded(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code reports.ExitCode
		says string
	}{
		"wrong usage":                  {[]string{"-bogus"}, reports.ExitUsage, "exit code 5 (wrong usage)"},
		"a check that there is none":   {[]string{"-mode=attach", "-check=absent"}, reports.ExitUsage, "exit code 5"},
		"a cluster that there is none": {[]string{"-mode=attach", "-kubeconfig=absent"}, reports.ExitUsage, "exit code 5"},
		"a report of no room":          {[]string{"-mode=attach", "-out=/dev/null/out", "-kubeconfig=" + fileOf(t, nobody)}, reports.ExitSetupFailed, "exit code 2 (set-up failed)"},
	} {
		t.Run(name, func(t *testing.T) {
			code, results := asPluginOf(t, c.args...)
			assert.Equal(t, int(c.code), code)
			require.Len(t, results, 1)
			assert.Contains(t, results[reports.JUnitFile], c.says)
			assert.Contains(t, results[reports.JUnitFile], `errors="1"`, "which Sonobuoy counts as a failure")
		})
	}
}

func TestSonobuoyIsToldWhatTheRunIsAt(t *testing.T) {
	var told []sonobuoy.Progress
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var at sonobuoy.Progress
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.NoError(t, json.Unmarshal(body, &at))
		told = append(told, at)
	}))
	defer server.Close()
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	t.Setenv(sonobuoy.ResultsVariable, t.TempDir())
	t.Setenv(sonobuoy.ProgressVariable, u.Port())
	r, _ := testRun(t)
	r.plugin, r.Total = asPlugin(), 2
	r.Add(check("a", reports.Pass, reports.Core))
	r.cancel() // an interrupted run still says what it found
	r.Add(check("b", reports.Fail, reports.Core))
	assert.Equal(t, []sonobuoy.Progress{
		{Message: "a: pass", Total: 2, Completed: 1, Failures: []string{}},
		{Message: "b: fail", Total: 2, Completed: 2, Failures: []string{"b"}},
	}, told)
}

// What holds a secret stays where it is.
func TestASecretIsNotHandedOver(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(sonobuoy.ResultsVariable, dir)
	r, _ := testRun(t)
	r.plugin, r.Deliver = asPlugin(), deliverLog
	path := filepath.Join(r.OutDir(), "observations", "a.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("Authorization: Bearer 0123456789abcdefghijklmnopqrstuvwxyz"), 0o600))
	r.Add(check("a", reports.Pass, reports.Core))
	out := standardOutput(t, func() { assert.Equal(t, int(reports.ExitSetupFailed), r.conclude()) })
	assert.NotContains(t, out, "-----BEGIN")
	assert.False(t, r.plugin.Handed())
	assert.NoFileExists(t, filepath.Join(dir, "done"))
	handOverEnd(r.plugin, int(reports.ExitSetupFailed))
	assert.FileExists(t, filepath.Join(dir, "done"), "and yet Sonobuoy gets a result")
}

// standardOutput is what is written to it meanwhile.
func standardOutput(t *testing.T, do func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	require.NoError(t, err)
	was := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = was }()
	do()
	require.NoError(t, file.Close())
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	return string(text)
}
