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

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// logLines is how much of a daemon's log an error shows: dockerd names its reason
// in the last line, and what led to it a few lines above.
const logLines = 15

// endGrace is what a daemon that failed to start gets to end by itself. It waits
// for its containers for up to 15 s (dockerd's --shutdown-timeout).
const endGrace = 25 * time.Second

// startDaemon starts dockerd in a session of its own, so that it outlives this
// process and its terminal, and waits until it answers.
func startDaemon(ctx context.Context, run runner, opts Options, s state, missing []string) (*Engine, error) {
	binary, err := run.look("dockerd")
	if err != nil {
		return nil, fmt.Errorf("starting Docker: %w: install the package docker.io and run again", err)
	}
	wrapper := ""
	if len(missing) > 0 {
		opts.logf("this host does not hold %s: containers are kept from asking for it by an OCI runtime wrapper", strings.Join(missing, ", "))
		if wrapper, err = buildWrapper(ctx, run, s.dir); err != nil {
			return nil, err
		}
	}
	config, err := renderConfig(s, wrapper)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.config(), config, 0o644); err != nil {
		return nil, fmt.Errorf("dockerd's configuration: %w", err)
	}
	opts.logf("starting dockerd, which stays; its log is %s", s.log())
	d, err := launch(binary, s)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	e, err := awaitDocker(ctx, run, d.alive)
	if err != nil {
		err = fmt.Errorf("starting %s: %w\nthe last lines of its log, %s:\n%s", binary, err, s.log(), tail(s.log(), logLines))
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
		defer cancel()
		return nil, errors.Join(err, d.end(ctx, s))
	}
	return e, nil
}

// daemon is a child process that is watched without a goroutine, since none may
// outlive Find while the daemon does.
type daemon struct {
	pid    int
	status syscall.WaitStatus
	ended  bool
}

func launch(binary string, s state) (*daemon, error) {
	// The caller has seen that the daemon of this file is gone. dockerd itself would
	// take a process that has not been reaped yet, or that has its number by now,
	// for a running daemon and give up.
	if err := os.Remove(s.pidFile()); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("removing the pid file of a dockerd that is gone: %w", err)
	}
	log, err := os.Create(s.log())
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(binary, configFlag, s.config())
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = daemonEnv(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{pid: cmd.Process.Pid}
	return d, cmd.Process.Release()
}

// daemonEnv keeps what a daemon needs: where programs are (sbin included), its
// home, and the proxies through which it pulls. A long-lived process that others
// use must not depend on the rest of one run's environment.
func daemonEnv(environ []string) []string {
	path := strings.Join(sbin, ":") + ":/usr/local/bin:/usr/bin:/bin"
	var env []string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		switch strings.ToUpper(name) {
		case "PATH":
			path = value + ":" + path
		case "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR":
			env = append(env, e)
		}
	}
	return append(env, "PATH="+path)
}

// alive returns an error that says how the daemon ended, if it did.
func (d *daemon) alive() error {
	if !d.ended {
		pid, err := syscall.Wait4(d.pid, &d.status, syscall.WNOHANG, nil)
		d.ended = pid == d.pid || errors.Is(err, syscall.ECHILD)
	}
	if !d.ended {
		return nil
	}
	if d.status.Signaled() {
		return fmt.Errorf("dockerd (pid %d) was ended by signal %d", d.pid, d.status.Signal())
	}
	return fmt.Errorf("dockerd (pid %d) exited with code %d", d.pid, d.status.ExitStatus())
}

// end ends the daemon, by force if it does not comply, and removes its pid file.
func (d *daemon) end(ctx context.Context, s state) error {
	if d.alive() == nil {
		_ = syscall.Kill(d.pid, syscall.SIGTERM)
		gone := func(context.Context) (bool, string, error) { return d.alive() != nil, "still running", nil }
		if wait.For(ctx, "dockerd to end", gone, wait.Timeout(endGrace)) != nil {
			_ = syscall.Kill(-d.pid, syscall.SIGKILL) // its session's whole group
			if err := wait.For(ctx, fmt.Sprintf("dockerd (pid %d) to end after SIGKILL", d.pid), gone, wait.Timeout(5*time.Second)); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(s.pidFile()); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// tail returns the last n lines of a file, or says why it cannot.
func tail(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
