package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// command is one program to run while building an artefact.
type command struct {
	dir   string
	env   []string // added to the environment of this process
	stdin io.Reader
	name  string
	args  []string
}

// run carries the command out. The error holds the end of what it printed. When
// the context ends, the program and its children are told to stop, and are
// killed if they have not done so after a few seconds.
func (c command) run(ctx context.Context) (stdout []byte, err error) {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	cmd.Dir, cmd.Stdin = c.dir, c.stdin
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	var both shared
	cmd.Stdout = io.MultiWriter(&out, &both)
	cmd.Stderr = &both
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s was interrupted: %w", c.name, ctx.Err())
		}
		return nil, fmt.Errorf("%s %s: %w\n%s", c.name, strings.Join(c.args, " "), err, tail(both.b.String(), 15))
	}
	return out.Bytes(), nil
}

// shared is a buffer that a program's two outputs go to, each by a goroutine.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// tail keeps the last lines of a program's output, indented.
func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "    " + strings.Join(all, "\n    ")
}
