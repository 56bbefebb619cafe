package run

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func watching(t *testing.T, forTime time.Duration, until string) *Run {
	t.Helper()
	r := newRun(Config{Mode: WatchOver, Out: t.TempDir(), attachConfig: attachConfig{For: forTime, Until: until}}, Suite{})
	t.Cleanup(r.cancel)
	return r
}

func TestAWatchEndsByTimeOrByAFile(t *testing.T) {
	why, err := watching(t, time.Millisecond, "").AwaitEnd(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "the time was over", why)

	file := filepath.Join(t.TempDir(), "done")
	r := watching(t, time.Hour, file)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	why, err = r.AwaitEnd(t.Context())
	require.NoError(t, err)
	assert.Equal(t, file+" appeared", why)
}

// The first signal ends the watch, and what was scraped until then is judged; only the
// second interrupts the run.
func TestTheFirstSignalEndsAWatchInOrder(t *testing.T) {
	r := watching(t, time.Hour, "")
	stop := r.handleSignals()
	defer stop()
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	why, err := r.AwaitEnd(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "a signal", why)
	assert.False(t, r.Interrupted())
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	select {
	case <-r.ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the second signal did not interrupt the run")
	}
	assert.True(t, r.Interrupted())
}

func TestAWatchThatWouldEndAtOnceIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "done")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, _, err := load(t, "", "-mode=watch", "-until="+file)
	require.ErrorContains(t, err, "which is there already")
	_, _, err = load(t, "", "-mode=watch", "-for=48h")
	require.ErrorContains(t, err, "20h0m0s at most")
	_, _, err = load(t, "", "-mode=watch", "-for=30m", "-until="+file+".not")
	assert.NoError(t, err)
}

func TestABinaryRefusesAModeOfAnother(t *testing.T) {
	code, _, stderr, _ := suite(t, "-mode=watch")
	assert.Equal(t, int(reports.ExitUsage), code)
	assert.Contains(t, stderr, "bin/upgrade has watch")
}
