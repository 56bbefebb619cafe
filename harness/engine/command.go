package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a command may take to end once its context is over.
// apt-get finishes the package at hand within it, which keeps dpkg consistent.
const stopGrace = 20 * time.Second

// command is one program to run to its end.
type command struct {
	name string
	args []string
	env  []string // added to the environment of this process
}

func (c command) String() string {
	return strings.Join(append([]string{c.name}, c.args...), " ")
}

// runner runs programs; tests put their own in its place.
type runner interface {
	// run returns standard output without the white space around it.
	run(ctx context.Context, c command) (string, error)
	// look returns the path of a program, or an error that says it is not there.
	look(name string) (string, error)
}

type execRunner struct{}

func (execRunner) run(ctx context.Context, c command) (string, error) {
	cmd := newCmd(ctx, c)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out := strings.TrimSpace(stdout.String())
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil { // "signal: terminated" would hide the reason
		err = context.Cause(ctx)
	}
	if said := strings.TrimSpace(stderr.String()); said != "" {
		return out, fmt.Errorf("%s: %w: %s", c, err, said)
	}
	return out, fmt.Errorf("%s: %w", c, err)
}

func (execRunner) look(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	// A root shell opened with plain su has no sbin on its PATH, and that is
	// where Debian keeps dockerd and iptables.
	for _, dir := range sbin {
		if p, err := exec.LookPath(dir + "/" + name); err == nil {
			return p, nil
		}
	}
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("%s is not on the PATH", name)
	}
	return "", err
}

var sbin = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

func newCmd(ctx context.Context, c command) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	if len(c.env) > 0 {
		cmd.Env = append(os.Environ(), c.env...)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd
}
