package wait_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

func TestForReturnsAtTheFirstSuccess(t *testing.T) {
	tries := 0
	err := wait.For(t.Context(), "the third try", func(context.Context) (bool, string, error) {
		tries++
		return tries == 3, "counting", nil
	}, wait.Interval(time.Millisecond))
	require.NoError(t, err)
	assert.Equal(t, 3, tries)
}

func TestForTriesAtOnce(t *testing.T) {
	start := time.Now()
	require.NoError(t, wait.For(t.Context(), "what already holds", func(context.Context) (bool, string, error) {
		return true, "", nil
	}, wait.Interval(time.Hour)))
	assert.Less(t, time.Since(start), time.Minute)
}

func TestForExplainsATimeout(t *testing.T) {
	err := wait.For(t.Context(), "both replicas ready", func(context.Context) (bool, string, error) {
		return false, "1 of 2 ready", errors.New("replica 1: image missing")
	}, wait.Timeout(20*time.Millisecond), wait.Interval(time.Millisecond))

	var e *wait.Error
	require.ErrorAs(t, err, &e)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Greater(t, e.Attempts, 1)
	for _, want := range []string{"timed out after", "both replicas ready", "last state: 1 of 2 ready", "last error: replica 1: image missing", "tries:"} {
		assert.Contains(t, err.Error(), want)
	}
}

func TestForKeepsTheLastStateWhenTheDeadlineCutsATryOff(t *testing.T) {
	first := true
	err := wait.For(t.Context(), "an answer", func(ctx context.Context) (bool, string, error) {
		if first {
			first = false
			return false, "seen once", errors.New("the true reason")
		}
		<-ctx.Done()
		return false, "", ctx.Err()
	}, wait.Timeout(20*time.Millisecond), wait.Interval(time.Millisecond))
	assert.Contains(t, err.Error(), "last state: seen once")
	assert.Contains(t, err.Error(), "the true reason")
}

func TestForForgetsAnErrorThatHealed(t *testing.T) {
	tries := 0
	err := wait.For(t.Context(), "an answer", func(context.Context) (bool, string, error) {
		if tries++; tries == 1 {
			return false, "", errors.New("a passing fault")
		}
		return false, "waiting", nil
	}, wait.Timeout(20*time.Millisecond), wait.Interval(time.Millisecond))
	assert.NotContains(t, err.Error(), "a passing fault")
}

func TestForStopsAtAStoppingError(t *testing.T) {
	forbidden := errors.New("pods is forbidden")
	tries := 0
	err := wait.For(t.Context(), "the pods", func(context.Context) (bool, string, error) {
		tries++
		return false, "", wait.Stop(forbidden)
	})
	assert.ErrorIs(t, err, forbidden)
	assert.Equal(t, 1, tries)
	assert.Contains(t, err.Error(), "gave up")
	assert.NoError(t, wait.Stop(nil))
}

func TestForTellsAnInterruptFromATimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := wait.For(ctx, "the impossible", func(context.Context) (bool, string, error) {
		cancel()
		return false, "", nil
	})
	assert.ErrorIs(t, err, context.Canceled)
	assert.Contains(t, err.Error(), "interrupted after")
	assert.Contains(t, err.Error(), "nothing was seen")
}
