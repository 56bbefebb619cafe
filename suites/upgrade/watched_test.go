package upgrade

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// A whole watch, of a cluster in which nothing happens meanwhile: it reads, ends, judges
// and leaves a report that others can verify.
func TestAWatchFromItsBeginningToItsEnd(t *testing.T) {
	c := simulated.New(t, recorded.Load(recorded.Good))
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: prod, contexts: [{name: prod, context: {cluster: c}}], clusters: [{name: c, cluster: {server: %q}}]}`, c.Config().Host), 0o600))
	binary := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], append(args, "-out=out", "-cache=cache")...)
		cmd.Dir = dir
		printed, err := cmd.CombinedOutput()
		return string(printed), err
	}
	printed, err := binary("-mode=watch", "-kubeconfig="+kubeconfig, "-prom=default/default", "-settle=3s", "-for=1s")
	require.NoError(t, err, printed)
	assert.Contains(t, printed, "it ended since the time was over")
	assert.Contains(t, printed, "1 passed, 0 failed")
	assert.Empty(t, c.Changes(), "nothing but reads was sent")

	content, err := os.ReadFile(filepath.Join(dir, "out", "latest", reports.FileName))
	require.NoError(t, err)
	var report reports.Report
	require.NoError(t, json.Unmarshal(content, &report))
	require.NoError(t, report.Validate())
	require.Len(t, report.Checks, 1)
	assert.Equal(t, "upgrade-watched", report.Checks[0].ID)
	assert.Equal(t, []string{"upgrade"}, []string{report.Profiles[0].Name})

	printed, err = binary("-mode=explain", "-observation=out/latest/observations/upgrade-watched.json")
	require.NoError(t, err, printed)
	assert.Contains(t, printed, "1 passed, 0 failed", "judged again, without the cluster")
	found := verifier.Verify(filepath.Join(dir, "out", "latest"))
	assert.Empty(t, found.Findings)
	assert.Equal(t, []string{Profile}, found.Claims)
}

func TestAWatchMakesNoMistake(t *testing.T) {
	r := ofVersions(older, "")
	r.Mode = run.WatchOver
	_, err := NewSession(r, Options{Ways: "in-place", Mistake: "permissive"})
	require.ErrorContains(t, err, "leave -mistake out")
	s, err := NewSession(r, Options{Ways: "in-place"})
	require.NoError(t, err, "no second version is needed")
	assert.Contains(t, s.DryRun(), "upgrade-watched: ")
	assert.Equal(t, []string{"upgrade-watched"}, required(reports.Report{Configuration: map[string]string{"mode": "watch"}}, Profile))
}

func TestARecordInWhichNobodyLookedIsInconclusive(t *testing.T) {
	got, err := judged(Record{Check: upgradeWatched.ID})
	require.NoError(t, err)
	assert.Equal(t, reports.Inconclusive, got.Verdict)
}
