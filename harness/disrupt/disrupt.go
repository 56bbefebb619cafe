// Package disrupt changes the world under a subject and changes it back.
//
// A disruption knows nothing of what is checked, and a check nothing of how it is
// done. Whatever is changed for a time is written on the changed object itself
// before it takes effect, so that a later run can undo what a killed one left.
//
// Read [Disruption] first.
package disrupt

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/e2e-framework/klient"
)

// recoveryTimeout bounds the wait for a disrupted part to be as before: the start
// of istiod or of a Prometheus pod with its sidecar takes 10 to 20 s on two cores.
const recoveryTimeout = 2 * time.Minute

// Disruption is one change.
type Disruption struct {
	Name  string // as in "control-plane-outage"
	Title string // what happens, for people
	// Apply makes the change and returns when it has taken effect.
	Apply func(ctx context.Context) error
	// Lasts is how long the change is left in effect; zero for one that is over at
	// once, such as a restart.
	Lasts time.Duration
	// Undo makes everything as it was and returns when it is. It may be called
	// again, and after an Apply that failed half way.
	Undo func(ctx context.Context) error
}

// The steps of every disruption, as they are told to whoever wants to know.
const (
	Begins   = "begins"
	InEffect = "in effect"
	Undone   = "undone"
)

// undoAnnotation holds, on a changed object, what it was before.
const undoAnnotation = "mtls-scrape-conformance/undo"

// undoTimeout bounds the undoing, which must happen also after an interrupt.
const undoTimeout = recoveryTimeout + 30*time.Second

// Run applies a disruption, lets it last, and undoes it. It tells mark when each
// step has taken effect. It undoes also if it is interrupted.
func Run(ctx context.Context, d Disruption, mark func(step string)) error {
	return While(ctx, d, mark, func(ctx context.Context) error {
		if d.Lasts == 0 {
			return nil
		}
		timer := time.NewTimer(d.Lasts)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// While applies a disruption, does some work while it is in effect, and undoes it,
// whatever became of the work.
func While(ctx context.Context, d Disruption, mark func(step string), work func(context.Context) error) (err error) {
	defer func() {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		if undoErr := d.Undo(undo); undoErr != nil && err == nil {
			err = fmt.Errorf("undoing %s: %w", d.Name, undoErr)
		}
		mark(Undone)
	}()
	mark(Begins)
	if err := d.Apply(ctx); err != nil {
		return fmt.Errorf("applying %s: %w", d.Name, err)
	}
	mark(InEffect)
	return work(ctx)
}

// Restore undoes what killed runs left behind in the cluster and says what it was.
func Restore(ctx context.Context, client klient.Client) (restored []string, err error) {
	for _, restore := range []func(context.Context, klient.Client) ([]string, error){restoreScales, removeObjects, restorePatches, restoreRoots} {
		some, err := restore(ctx, client)
		restored = append(restored, some...)
		if err != nil {
			return restored, err
		}
	}
	return restored, nil
}
