package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// lockTimeout bounds the wait for another run that is installing or starting an
// engine: a slow mirror's download of 60 MB included.
const lockTimeout = 10 * time.Minute

// lock takes the exclusive lock on path, and waits for it while another process
// has it. The kernel drops it when its holder dies, so it is never stale; the
// file itself stays.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the engine's lock: %w", err)
	}
	err = wait.For(ctx, "another run to finish installing or starting a container engine", func(context.Context) (bool, string, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, path + " is locked", nil
		}
		if err != nil {
			return false, "", wait.Stop(fmt.Errorf("locking %s: %w", path, err))
		}
		return true, "locked by this run", nil
	}, wait.Timeout(lockTimeout))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}
