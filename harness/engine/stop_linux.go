package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// stopTimeout bounds the end of a daemon that has containers to stop first.
const stopTimeout = time.Minute

// Stop ends the dockerd that [Find] started with this state folder, and with it
// the containers that still run on it. It ends no other process: the pid file is
// believed only if that process is a dockerd on this folder's configuration. A
// Docker that systemd runs is the host's own and stays. With nothing to end it
// does nothing and returns nil.
func Stop(ctx context.Context, stateDir string) error {
	dir, err := filepath.Abs(stateDir)
	if err != nil {
		return fmt.Errorf("the engine's state folder: %w", err)
	}
	if !exists(dir) {
		return nil
	}
	s := state{dir}
	unlock, err := lock(ctx, s.lock()) // a run may be starting one right now
	if err != nil {
		return err
	}
	defer unlock()
	if pid := daemonPID("/proc", s); pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("ending dockerd (pid %d): %w", pid, err)
		}
		err := wait.For(ctx, fmt.Sprintf("dockerd (pid %d, log %s) to end", pid, s.log()), func(context.Context) (bool, string, error) {
			reap(pid)
			return !isDaemon(commandLine("/proc", pid), s), "still running", nil
		}, wait.Timeout(stopTimeout))
		if err != nil {
			return err
		}
	}
	// dockerd removes its own; this one is of a daemon that was killed.
	if err := os.Remove(s.pidFile()); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("the pid file of a dockerd that is gone: %w", err)
	}
	return nil
}

// reap takes the daemon's exit status if it is a child of this process, which
// would otherwise keep it as a zombie. It does nothing to any other process.
func reap(pid int) { _, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) }
