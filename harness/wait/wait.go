// Package wait is the one way this project waits for anything.
//
// A wait polls a probe until it reports success, and when it gives up it says
// what was awaited, the last state seen, the last error, how many tries and how
// long. It never sleeps for a fixed time, never swallows the last observation,
// and never returns a bare "context deadline exceeded".
//
// Read [For] first; [Error] is what a failed wait leaves behind.
package wait

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// DefaultTimeout bounds a wait that names no other bound: twice the 84 s that a
	// kubelet was measured to need for a Secret to reach a pod, the slowest single
	// step of the set-up that is under test.
	DefaultTimeout = 3 * time.Minute
	// DefaultInterval is the pause between two tries. At four a second a wait costs
	// the API server little and a run at most a quarter of a second per wait.
	DefaultInterval = 250 * time.Millisecond
)

// Probe looks once. It reports whether the awaited thing holds, and in words
// what it saw; state is kept for the error of a wait that gives up. An error is
// taken as "not yet" and is tried again, unless it is wrapped by [Stop].
type Probe func(ctx context.Context) (done bool, state string, err error)

// Option changes one wait.
type Option func(*settings)

type settings struct {
	timeout  time.Duration
	interval time.Duration
}

// Timeout bounds the wait. The bound of the context holds as well.
func Timeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// Interval sets the pause between two tries.
func Interval(d time.Duration) Option { return func(s *settings) { s.interval = d } }

// Error says why a wait ended without what was awaited.
type Error struct {
	What      string        // what was awaited, as in "every target up"
	LastState string        // what the last try saw, empty if none saw anything
	LastError error         // the last try's error, nil if it had none
	Attempts  int           // how many tries were made
	Elapsed   time.Duration // how long the wait took
	Cause     error         // context.Canceled, context.DeadlineExceeded or a stopping error
}

// Error renders one short block: a first line that can stand alone, then what
// was seen last.
func (e *Error) Error() string {
	var b strings.Builder
	verb := "gave up"
	switch {
	case errors.Is(e.Cause, context.Canceled):
		verb = "interrupted"
	case errors.Is(e.Cause, context.DeadlineExceeded):
		verb = "timed out"
	}
	fmt.Fprintf(&b, "%s after %s waiting for %s", verb, e.Elapsed.Round(100*time.Millisecond), e.What)
	state := e.LastState
	if state == "" {
		state = "nothing was seen"
	}
	fmt.Fprintf(&b, "\n  last state: %s", state)
	if e.LastError != nil {
		fmt.Fprintf(&b, "\n  last error: %v", e.LastError)
	}
	fmt.Fprintf(&b, "\n  tries: %d", e.Attempts)
	return b.String()
}

// Unwrap lets callers tell an interrupt from a time-out, and reach the probe's
// own error.
func (e *Error) Unwrap() []error {
	if e.LastError == nil {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.LastError}
}

type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// Stop marks an error after which trying again is pointless, such as a refused
// permission. The wait ends at once and its error wraps this one.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return stop{err}
}

// For polls probe, at once and then at the interval, until it reports done.
// The error is always an *[Error].
func For(ctx context.Context, what string, probe Probe, opts ...Option) error {
	s := settings{timeout: DefaultTimeout, interval: DefaultInterval}
	for _, o := range opts {
		o(&s)
	}
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()

	e := &Error{What: what}
	fail := func(cause error) error {
		e.Cause, e.Elapsed = cause, time.Since(start)
		return e
	}
	for {
		done, state, err := probe(bounded)
		e.Attempts++
		// A try that the deadline cut off saw nothing: the one before it is the
		// better witness.
		if state != "" {
			e.LastState = state
		}
		if err != nil && (bounded.Err() == nil || e.LastError == nil) {
			e.LastError = err
		}
		if err == nil {
			e.LastError = nil
			if done {
				return nil
			}
		}
		var s stop
		if errors.As(err, &s) {
			return fail(s.error)
		}
		select {
		case <-bounded.Done():
			return fail(bounded.Err())
		case <-ticker.C:
		}
		if bounded.Err() != nil { // both were ready: do not try once more
			return fail(bounded.Err())
		}
	}
}
