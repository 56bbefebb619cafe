package engine

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// policyPath is Debian's hook by which an administrator keeps packages from
// starting services: /usr/share/doc/init-system-helpers/README.policy-rc.d.gz.
const policyPath = "/usr/sbin/policy-rc.d"

// policyText forbids starting services (101 is "action forbidden by policy"),
// and says in the file itself whose it is.
const policyText = "#!/bin/sh\n# " + marker + "\n# Left by a run that was killed? Remove this file.\nexit 101\n"

// install brings in what is not there yet of Docker's daemon, its client and
// iptables, without which the daemon does not start. It reports whether it did
// anything. It never removes or upgrades another package on purpose.
func install(ctx context.Context, h host, opts Options, systemd bool) (bool, error) {
	packages, err := wanted(ctx, h.run)
	if err != nil || len(packages) == 0 {
		return false, err
	}
	updated := false
	if candidate, err := aptCandidate(ctx, h.run, packages[0]); err != nil {
		return false, err
	} else if candidate == "" {
		opts.logf("reading the distribution's package lists")
		if err := apt(ctx, h.run, "update"); err != nil {
			return false, fmt.Errorf("reading the package lists, to install %s: %w", strings.Join(packages, " "), err)
		}
		updated = true
	}
	if !systemd {
		// Debian's init script would start a daemon with another configuration.
		restore, err := forbidServices(h.path(policyPath))
		if err != nil {
			return false, err
		}
		defer restore()
	}
	opts.logf("no container engine answers: installing %s", strings.Join(packages, " "))
	args := append([]string{"install", "--yes", "--no-install-recommends", "--no-remove"}, packages...)
	err = apt(ctx, h.run, args...)
	if err != nil && !updated && ctx.Err() == nil {
		// Old lists name versions that the mirror has dropped.
		if apt(ctx, h.run, "update") == nil {
			err = apt(ctx, h.run, args...)
		}
	}
	if ctx.Err() != nil {
		return false, fmt.Errorf("interrupted while installing %s: %w", strings.Join(packages, " "), err)
	}
	if err != nil {
		return false, fmt.Errorf("installing %s: %w: run the command by hand to see it whole, and run again", strings.Join(packages, " "), err)
	}
	return true, nil
}

// wanted names the packages to install, docker.io first if it is among them.
func wanted(ctx context.Context, run runner) ([]string, error) {
	var packages []string
	if _, err := run.look("dockerd"); err != nil {
		packages = append(packages, "docker.io")
	}
	if _, err := run.look("iptables"); err != nil {
		packages = append(packages, "iptables")
	}
	if _, err := run.look(docker); err != nil {
		// Debian 13 ships the client apart; before, docker.io brings it along.
		candidate, err := aptCandidate(ctx, run, "docker-cli")
		if err != nil {
			return nil, err
		}
		if candidate != "" {
			packages = append(packages, "docker-cli")
		}
	}
	return packages, nil
}

// aptCandidate returns the version that apt would install, empty if it knows none.
func aptCandidate(ctx context.Context, run runner, name string) (string, error) {
	text, err := run.run(ctx, command{name: "apt-cache", args: []string{"policy", name}, env: []string{"LC_ALL=C"}})
	if err != nil {
		return "", err
	}
	return parsePolicy(text), nil
}

func parsePolicy(text string) string {
	for line := range strings.Lines(text) {
		if version, found := strings.CutPrefix(strings.TrimSpace(line), "Candidate:"); found {
			if version = strings.TrimSpace(version); version != "(none)" {
				return version
			}
		}
	}
	return ""
}

// apt runs apt-get. It asks nothing, and waits up to two minutes for another apt
// to finish.
func apt(ctx context.Context, run runner, args ...string) error {
	_, err := run.run(ctx, command{
		name: "apt-get",
		args: append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=120"}, args...),
		env:  []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"},
	})
	return err
}

// forbidServices keeps packages from starting services until restore is called.
// A policy that is there already is the administrator's, and stays in force.
func forbidServices(path string) (restore func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if os.IsExist(err) {
		text, err := os.ReadFile(path)
		if err != nil || string(text) != policyText {
			return func() {}, err
		}
		return func() { _ = os.Remove(path) }, nil // ours, of a run that was killed
	}
	if err != nil {
		return nil, fmt.Errorf("keeping packages from starting services: %w", err)
	}
	restore = func() { _ = os.Remove(path) }
	_, err = f.WriteString(policyText)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		restore()
		return nil, fmt.Errorf("keeping packages from starting services: %w", err)
	}
	return restore, nil
}
