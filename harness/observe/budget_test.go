package observe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadsSpendOneBudgetTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock goes on only where everybody waits for it
		takes := func(d time.Duration) func(context.Context) error {
			return func(ctx context.Context) error {
				select {
				case <-time.After(d):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		b := newBudget(10 * time.Second)
		require.NoError(t, b.spend(t.Context(), takes(6*time.Second)))
		b.pause(func() { <-time.After(time.Hour) })
		require.NoError(t, b.spend(t.Context(), takes(3*time.Second)), "what was paused does not count")
		err := b.spend(t.Context(), takes(3*time.Second))
		require.ErrorContains(t, err, "took longer than the 10s that they may together")
		began := time.Now()
		require.ErrorContains(t, b.spend(t.Context(), takes(time.Hour)), "took longer", "the turn of this one came too late")
		assert.Zero(t, time.Since(began))
	})
}

func TestWhatFailsByItselfKeepsItsReason(t *testing.T) {
	refused := errors.New("connection refused")
	err := newBudget(time.Minute).spend(t.Context(), func(context.Context) error { return refused })
	require.ErrorIs(t, err, refused)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = newBudget(0).spend(ctx, func(ctx context.Context) error { return ctx.Err() })
	require.ErrorIs(t, err, context.Canceled, "an interrupt is not a lack of time")
}
