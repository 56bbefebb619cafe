//go:build linux

// Command cappedrunc is an OCI runtime for hosts whose containers may not hold
// every capability. It takes those that the host does not hold out of the
// specification that it is handed, then becomes the real runc: without that,
// `docker run --privileged` and `docker exec` end in "unable to apply caps:
// operation not permitted".
//
// It never adds a capability and never changes anything else. The engine package
// embeds this source, compiles it on hosts that need it, and makes it Docker's
// default runtime.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine/capability"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cappedrunc:", err)
		os.Exit(1)
	}
}

// run returns only if it fails.
func run(args []string) error {
	if path := specification(args); path != "" {
		if err := capFile(path); err != nil {
			return fmt.Errorf("taking the capabilities that this host does not hold out of %s: %w", path, err)
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("the real runtime: %w: install the package runc", err)
	}
	if err := syscall.Exec(runc, append([]string{runc}, args...), os.Environ()); err != nil {
		return fmt.Errorf("running %s: %w", runc, err)
	}
	return nil
}

// capFile rewrites the specification in path, in one step, if it has anything
// that must go. A file that is not there is left for runc to complain about.
func capFile(path string) error {
	spec, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	missing, err := capability.Missing()
	if err != nil {
		return err
	}
	capped, err := capability.Filter(spec, missing)
	if err != nil || string(capped) == string(spec) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.capped-%d", path, os.Getpid())
	defer os.Remove(temporary)
	if err := os.WriteFile(temporary, capped, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// The options of runc that take a value in the next argument, by where they
// stand: before the command, and after each command that brings a specification.
// Without them a value could be taken for the command or for an operand.
// Source: runc's main.go, create.go, run.go and exec.go, 1.0 to 1.3.
var (
	globalValues = []string{"log", "log-format", "root", "criu", "rootless"}
	bundleValues = []string{"bundle", "b", "console-socket", "pidfd-socket", "pid-file", "preserve-fds"}
	execValues   = []string{"process", "p", "console-socket", "pidfd-socket", "cwd", "env", "e", "user", "u",
		"additional-gids", "g", "pid-file", "process-label", "apparmor", "cap", "c", "preserve-fds", "cgroup"}
)

// specification returns the file that a runc command line takes its process
// from: config.json of the bundle for create and run, the process file for exec,
// empty for everything else.
func specification(args []string) string {
	_, rest := options(args, globalValues)
	if len(rest) == 0 {
		return ""
	}
	switch rest[0] {
	case "create", "run":
		values, _ := options(rest[1:], bundleValues)
		bundle := first(values["bundle"], values["b"]) // empty is the current folder
		return filepath.Join(bundle, "config.json")
	case "exec":
		values, _ := options(rest[1:], execValues)
		return first(values["process"], values["p"])
	}
	return ""
}

// options reads the options that args begin with, the way runc's own parser
// does: one or two dashes, a value after = or, for those in withValue, in the
// next argument; it ends at the first operand or at --.
func options(args, withValue []string) (values map[string]string, rest []string) {
	values = map[string]string{}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			return values, args[1:]
		}
		if len(arg) < 2 || arg[0] != '-' {
			return values, args
		}
		name, value, inline := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		args = args[1:]
		if !inline && slices.Contains(withValue, name) && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		values[name] = value
	}
	return values, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
