package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// screen is a terminal's output, which several goroutines write.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// testRun is a run with folders of its own that shows itself to a buffer.
func testRun(t *testing.T) (*Run, *screen) {
	t.Helper()
	dir := t.TempDir()
	r := newRun(Config{Mode: E2E, Out: filepath.Join(dir, "out"), Cache: filepath.Join(dir, "cache")}, Suite{})
	t.Cleanup(r.cancel)
	shown := &screen{}
	r.Terminal = reports.NewTerminal(shown, reports.Style{})
	return r, shown
}

func check(id string, v reports.Verdict, level reports.Level) reports.Check {
	return reports.Check{ID: id, Title: "it holds", Profile: "scrape", Level: level, Verdict: v, Reason: "because", Evidence: []reports.Evidence{{Source: "s", Text: "t"}}}
}

func TestARunHasANameOfItsOwnAndTheClusterHasIt(t *testing.T) {
	r, _ := testRun(t)
	assert.Regexp(t, `^\d{8}-\d{6}-[0-9a-f]{4}$`, r.ID)
	assert.Equal(t, cluster.Prefix+r.ID, r.Cluster)
	require.NoError(t, cluster.CheckName(r.Cluster))
	assert.Equal(t, r.ID, r.Report.RunID)
	assert.Equal(t, r.Cluster, r.Report.Configuration["cluster"], "the report says what was made up")
	assert.Equal(t, filepath.Join(r.Out, r.ID), r.OutDir())
}

func TestAPhaseRecordsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock goes on only where everybody waits for it
		r, shown := testRun(t)
		const took = 1500 * time.Millisecond
		require.NoError(t, r.Phase("mesh", func(context.Context) (string, error) {
			<-time.After(took)
			return "Istio 1.31.0", nil
		}))
		require.Len(t, r.Report.Phases, 1)
		assert.Equal(t, "mesh", r.Report.Phases[0].Name)
		assert.InDelta(t, took.Seconds(), r.Report.Phases[0].Seconds, 1e-9)
		assert.Contains(t, shown.String(), "Istio 1.31.0")
	})
}

func TestAPhaseThatFailsRecordsItsTimeAndShowsWhy(t *testing.T) {
	r, shown := testRun(t)
	wrong := errors.New("the chart is not there")
	require.ErrorIs(t, r.Phase("mesh", func(context.Context) (string, error) { return "a note", wrong }), wrong)
	require.Len(t, r.Report.Phases, 1)
	assert.Contains(t, shown.String(), "FAIL")
	assert.Contains(t, shown.String(), "the chart is not there")
	assert.Nil(t, r.Report.Error, "what it means is for the caller to say")
}

func TestAPhaseOfTheSetUpThatFailsIsTheReportsError(t *testing.T) {
	r, _ := testRun(t)
	require.Error(t, r.phase("mesh", func(context.Context) (string, error) { return "", errors.New("first") }))
	require.Error(t, r.phase("workloads", func(context.Context) (string, error) { return "", errors.New("second") }))
	assert.Equal(t, &reports.SetupError{Phase: "mesh", Message: "first"}, r.Report.Error, "the first is the cause")
}

func TestAPhaseThatAnInterruptCutShortFails(t *testing.T) {
	r, _ := testRun(t)
	err := r.phase("mesh", func(context.Context) (string, error) {
		r.cancel()
		return "", nil // it did not notice
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Nil(t, r.Report.Error, "an interrupt is no failure of the set-up")
}

func TestALongPhaseShowsWhatItIsAt(t *testing.T) {
	r, _ := testRun(t)
	shown := &screen{}
	r.Terminal = reports.NewTerminal(shown, reports.Style{Rewrite: true})
	require.NoError(t, r.Phase("images", func(context.Context) (string, error) {
		r.buildProgress(image.Progress{Done: 1, Total: 3, Running: []string{"istio"}, Waiting: []string{"node"}})
		assert.Eventually(t, func() bool {
			return bytes.Contains([]byte(shown.String()), []byte("1 of 3 parts, building istio"))
		}, 5*time.Second, 50*time.Millisecond)
		return "", nil
	}))
}

func TestWhatTookLongToBuildIsNoted(t *testing.T) {
	r, shown := testRun(t)
	r.buildProgress(image.Progress{Done: 1, Total: 9, Finished: "pause", Took: 10 * time.Millisecond})
	r.buildProgress(image.Progress{Done: 2, Total: 9, Finished: "istio", Took: 70 * time.Second})
	assert.NotContains(t, shown.String(), "pause", "what was there already is not worth a line")
	assert.Contains(t, shown.String(), "[2/9] istio built in 1m10s")
}

func TestATestFailsWithItsCheck(t *testing.T) {
	for name, c := range map[string]struct {
		check  reports.Check
		failed bool
	}{
		"pass":                   {check("a", reports.Pass, reports.Core), false},
		"skip":                   {check("a", reports.Skip, reports.Core), false},
		"fail":                   {check("a", reports.Fail, reports.Core), true},
		"inconclusive":           {check("a", reports.Inconclusive, reports.Extended), true},
		"no verdict":             {check("a", "", reports.Core), true},
		"fail of one on trial":   {check("a", reports.Fail, reports.Provisional), false},
		"fail of unknown weight": {check("a", reports.Fail, "cor"), true},
	} {
		t.Run(name, func(t *testing.T) {
			r, shown := testRun(t)
			r.Total = 1
			inner := new(testing.T)
			r.Record(inner, c.check)
			assert.Equal(t, c.failed, inner.Failed())
			assert.Equal(t, []reports.Check{c.check}, r.Report.Checks)
			assert.Contains(t, shown.String(), "[ 1/1] a")
		})
	}
}

// What a run found decides its exit code; how the codes rank is told in reports.
func TestTheExitCodeFollowsFromWhatWasFound(t *testing.T) {
	for name, c := range map[string]struct {
		found func(*Run)
		code  reports.ExitCode
	}{
		"all passed":     {func(r *Run) { r.Add(check("a", reports.Pass, reports.Core)) }, reports.ExitConformant},
		"a check failed": {func(r *Run) { r.Add(check("a", reports.Fail, reports.Core)) }, reports.ExitCheckFailed},
		"set-up failed":  {func(r *Run) { _ = r.setUpFailed("mesh", errors.New("x")) }, reports.ExitSetupFailed},
		"leftovers": {func(r *Run) {
			r.Add(check("a", reports.Pass, reports.Core))
			r.Report.Leftovers = []string{"container x"}
		}, reports.ExitLeftovers},
		"interrupted": {func(r *Run) {
			r.Add(check("a", reports.Pass, reports.Core))
			r.cancel()
		}, reports.ExitInterrupted},
		"interrupted in the set-up": {func(r *Run) {
			r.cancel()
			_ = r.setUpFailed("mesh", context.Canceled)
		}, reports.ExitInterrupted},
		"inconclusive":       {func(r *Run) { r.Add(check("a", reports.Inconclusive, reports.Core)) }, reports.ExitInconclusive},
		"nothing was judged": {func(*Run) {}, reports.ExitInconclusive},
		"a profile did not run": {func(r *Run) {
			r.Add(check("a", reports.Pass, reports.Core))
			r.Report.Profiles = []reports.Profile{{Name: "rotation"}}
		}, reports.ExitInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			r, shown := testRun(t)
			c.found(r)
			assert.Equal(t, int(c.code), r.conclude())
			kept := readReport(t, filepath.Join(r.Out, r.ID))
			assert.Equal(t, c.code, kept.ExitCode, "the report says the same")
			assert.Equal(t, kept, readReport(t, filepath.Join(r.Out, "latest")))
			assert.False(t, kept.EndedAt.Before(kept.StartedAt))
			assert.Contains(t, shown.String(), filepath.Join(r.Out, r.ID, reports.FileName))
		})
	}
}

// A secret in whatever a run wrote is its own failure, and hides none of its subject.
func TestASecretThatWasWrittenFailsTheRun(t *testing.T) {
	const token = "Authorization: Bearer 0123456789abcdefghijklmnopqrstuvwxyz"
	for name, c := range map[string]struct {
		verdict  reports.Verdict
		evidence string // of the check
		file     string
		code     reports.ExitCode
	}{
		"in an observation":         {reports.Pass, "t", filepath.Join("observations", "a.json"), reports.ExitSetupFailed},
		"in evidence":               {reports.Pass, "t", filepath.Join("evidence", "logs", "a.log"), reports.ExitSetupFailed},
		"of what is not conformant": {reports.Fail, "t", filepath.Join("evidence", "a.log"), reports.ExitCheckFailed},
		"in the report itself":      {reports.Pass, token, "", reports.ExitSetupFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r, shown := testRun(t)
			found := check("a", c.verdict, reports.Core)
			found.Evidence[0].Text = c.evidence
			r.Add(found)
			if c.file != "" {
				path := filepath.Join(r.OutDir(), c.file)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(token), 0o600))
			}
			assert.Equal(t, int(c.code), r.conclude())
			kept := readReport(t, r.OutDir())
			if c.file == "" {
				return // the report was written by then: who runs it is told by the code and on stderr
			}
			assert.Equal(t, c.code, kept.ExitCode)
			require.NotNil(t, kept.Error)
			assert.Equal(t, "secrets", kept.Error.Phase)
			assert.Contains(t, kept.Error.Message, filepath.ToSlash(c.file)+" holds a token")
			assert.NotContains(t, shown.String(), token)
		})
	}
}

func readReport(t *testing.T, dir string) reports.Report {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, reports.FileName))
	require.NoError(t, err)
	var kept reports.Report
	require.NoError(t, json.Unmarshal(content, &kept))
	return kept
}

func TestAVerdictThatCannotBeWrittenIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		verdict reports.Verdict
		code    reports.ExitCode
	}{
		"a pass":     {reports.Pass, reports.ExitSetupFailed},
		"but a fail": {reports.Fail, reports.ExitCheckFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := testRun(t)
			require.NoError(t, os.WriteFile(r.Out, nil, 0o644)) // a file where the folder should be
			r.Add(check("a", c.verdict, reports.Core))
			assert.Equal(t, int(c.code), r.conclude())
		})
	}
}

func TestEvidenceIsTakenOfWhatIsNotAsItShouldBe(t *testing.T) {
	for name, c := range map[string]struct {
		found func(*Run)
		want  bool
	}{
		"all passed":     {func(r *Run) { r.Add(check("a", reports.Pass, reports.Core)) }, false},
		"skipped":        {func(r *Run) { r.Add(check("a", reports.Skip, reports.Core)) }, false},
		"a check failed": {func(r *Run) { r.Add(check("a", reports.Fail, reports.Core)) }, true},
		"one on trial":   {func(r *Run) { r.Add(check("a", reports.Fail, reports.Provisional)) }, true},
		"inconclusive":   {func(r *Run) { r.Add(check("a", reports.Inconclusive, reports.Core)) }, true},
		"set-up failed":  {func(r *Run) { _ = r.setUpFailed("mesh", errors.New("x")) }, true},
		"interrupted":    {func(r *Run) { r.cancel() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := testRun(t)
			c.found(r)
			assert.Equal(t, c.want, r.unsound())
		})
	}
}

func TestCleanUpRemovesWhatTheRunMade(t *testing.T) {
	r, shown := testRun(t)
	require.NoError(t, r.makeDir())
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "kubeconfig"), nil, 0o600))
	require.NoError(t, r.finish())
	assert.NoDirExists(t, r.dir)
	assert.Empty(t, r.Report.Leftovers)
	assert.Equal(t, "clean-up", r.Report.Phases[0].Name)
	assert.Contains(t, shown.String(), "nothing is left")
}

func TestCleanUpRunsThoughTheRunWasInterrupted(t *testing.T) {
	r, _ := testRun(t)
	require.NoError(t, r.makeDir())
	r.cancel()
	require.NoError(t, r.finish())
	assert.NoDirExists(t, r.dir)
}

// A second `make up` is refused by the name, and must not take from the cluster
// that stands what its node has mounted.
func TestCleanUpLeavesTheFilesOfAClusterThatAnotherRunMade(t *testing.T) {
	r, _ := testRun(t)
	r.Mode, r.Keep = Up, true
	require.NoError(t, os.MkdirAll(r.dir, 0o755))
	kubeconfig := filepath.Join(r.dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, nil, 0o600))
	require.NoError(t, r.makeDir())
	require.NoError(t, r.finish())
	assert.FileExists(t, kubeconfig)
}

func TestWhatCannotBeRemovedIsALeftover(t *testing.T) {
	r, _ := testRun(t)
	require.NoError(t, r.makeDir())
	r.dir = filepath.Join(r.dir, "x\x00") // no file system has such a name
	r.Add(check("a", reports.Pass, reports.Core))
	require.Error(t, r.finish())
	assert.NotEmpty(t, r.Report.Leftovers)
	assert.Equal(t, int(reports.ExitLeftovers), r.conclude())
}

func TestACheckOfAStandingClusterRemovesNothingOfIt(t *testing.T) {
	r, _ := testRun(t)
	r.Mode = Check
	require.NoError(t, r.makeDir())
	kubeconfig := filepath.Join(r.dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, nil, 0o600))
	require.NoError(t, r.finish())
	assert.FileExists(t, kubeconfig)
}

func TestACheckOfNoClusterLeavesNoFolder(t *testing.T) {
	r, _ := testRun(t)
	r.Mode = Check
	require.NoError(t, r.makeDir())
	require.NoError(t, r.finish())
	assert.NoDirExists(t, r.dir)
}

func TestAKeptClusterIsToldWithTheWayToRemoveIt(t *testing.T) {
	r, shown := testRun(t)
	r.Keep = true
	require.NoError(t, r.makeDir())
	r.Stack = &stack.Stack{Cluster: &cluster.Cluster{Name: r.Cluster}}
	require.NoError(t, r.finish())
	assert.DirExists(t, r.dir)
	assert.Contains(t, shown.String(), "make down CLUSTER="+r.Cluster)
	assert.Contains(t, shown.String(), filepath.Join(r.dir, "kubeconfig"))
}

func TestASignalEndsTheRunInOrder(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			r, shown := testRun(t)
			stop := r.handleSignals()
			defer stop()
			require.NoError(t, syscall.Kill(os.Getpid(), s))
			select {
			case <-r.ctx.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the run goes on")
			}
			assert.Contains(t, shown.String(), "keeping what was found and cleaning up")
		})
	}
}
