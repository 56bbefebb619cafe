package engine

import (
	"context"
	"fmt"
	"time"
)

// cleanUpTimeout bounds what is done after a failure, when the caller's context
// may be over already.
const cleanUpTimeout = 30 * time.Second

// startUnit starts Docker as the host's own service. [Stop] leaves it alone.
func startUnit(ctx context.Context, run runner, opts Options) (*Engine, error) {
	opts.logf("starting Docker through systemd")
	_, err := run.run(ctx, command{name: "systemctl", args: []string{"start", "docker.service"}})
	if err == nil {
		var e *Engine
		if e, err = awaitDocker(ctx, run, func() error { return nil }); err == nil {
			return e, nil
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	// Neither has an error that adds anything to the one being returned.
	said, _ := run.run(ctx, command{name: "journalctl", args: []string{"--unit=docker.service", "--lines=15", "--no-pager", "--output=cat"}})
	_, _ = run.run(ctx, command{name: "systemctl", args: []string{"stop", "docker.socket", "docker.service"}})
	return nil, fmt.Errorf("starting Docker through systemd: %w\nits last words, from `journalctl --unit=docker.service`:\n%s", err, said)
}
