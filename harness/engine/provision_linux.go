package engine

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// startTimeout bounds the wait for a Docker that was told to start. It takes two
// to six seconds; with both cores taken by compilers it was seen to take more.
const startTimeout = 2 * time.Minute

// provision installs Docker from the distribution's packages if it is not there,
// starts it and waits until it answers. Nothing runs afterwards that did not run
// before, if it fails.
func provision(ctx context.Context, h host, opts Options, missing []string) (*Engine, error) {
	if err := os.MkdirAll(opts.StateDir, 0o755); err != nil {
		return nil, fmt.Errorf("the engine's state folder: %w", err)
	}
	s := state{opts.StateDir}
	unlock, err := lock(ctx, s.lock())
	if err != nil {
		return nil, err
	}
	defer unlock()
	// Whoever held the lock before may have done all that follows.
	if e, _ := detect(ctx, h.run, []candidate{dockerCandidate()}); e != nil {
		return e, nil
	}
	if err := foreignConfig(h.path(hostConfigPath)); err != nil {
		return nil, err
	}
	if pid := daemonPID(h.path("/proc"), s); pid != 0 {
		return awaitEarlier(ctx, h, opts, s, pid)
	}
	if err := unresponsive(h.path("/proc")); err != nil {
		return nil, err
	}
	systemd := exists(h.path("/run/systemd/system"))
	installed, err := install(ctx, h, opts, systemd)
	if err != nil {
		return nil, err
	}
	var e *Engine
	if systemd {
		if len(missing) > 0 {
			opts.logf("this host does not hold %v and systemd starts Docker with its own configuration: privileged containers may fail to start", missing)
		}
		e, err = startUnit(ctx, h.run, opts)
	} else {
		e, err = startDaemon(ctx, h.run, opts, s, missing)
	}
	if err != nil {
		return nil, err
	}
	e.Installed, e.Started = installed, true
	return e, nil
}

// awaitEarlier waits for a dockerd that an earlier run started and was killed
// before it answered. It is not ended here: it may have containers of others.
func awaitEarlier(ctx context.Context, h host, opts Options, s state, pid int) (*Engine, error) {
	opts.logf("the dockerd that an earlier run started (pid %d) does not answer yet: waiting for it", pid)
	e, err := awaitDocker(ctx, h.run, func() error {
		if daemonPID(h.path("/proc"), s) != pid {
			return fmt.Errorf("dockerd (pid %d) ended", pid)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the dockerd that an earlier run started (pid %d) does not answer: %w\nthe last lines of its log, %s:\n%s\nend it with `kill %d` if it still runs, and run again",
			pid, err, s.log(), tail(s.log(), logLines), pid)
	}
	return e, nil
}

// awaitDocker waits until the server answers. alive is asked before every try
// and ends the wait with its error.
func awaitDocker(ctx context.Context, run runner, alive func() error) (*Engine, error) {
	var e *Engine
	err := wait.For(ctx, "the Docker that was started to answer", func(ctx context.Context) (bool, string, error) {
		if err := alive(); err != nil {
			return false, "", wait.Stop(err)
		}
		version, err := ask(ctx, run, dockerCandidate())
		if err != nil {
			return false, "no answer yet", err
		}
		e = &Engine{Provider: docker, Binary: docker, Version: version, run: run}
		return true, "answers", nil
	}, wait.Timeout(startTimeout))
	return e, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
