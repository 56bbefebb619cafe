//go:build !linux

package engine

import (
	"context"
	"errors"
)

// provision is never reached: [advice] sends every other system away first.
func provision(context.Context, host, Options, []string) (*Engine, error) {
	return nil, errors.ErrUnsupported
}

// Stop has nothing to end: only on Linux does [Find] start a daemon.
func Stop(context.Context, string) error { return nil }
