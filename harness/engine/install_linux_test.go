package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	known   = "docker.io:\n  Installed: (none)\n  Candidate: 20.10.24+dfsg1-1+deb12u1+b6\n  Version table:\n"
	unknown = "docker.io:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n"

	update   = "apt-get --quiet -o DPkg::Lock::Timeout=120 update"
	installs = "apt-get --quiet -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends --no-remove docker.io iptables"
)

func TestParsePolicy(t *testing.T) {
	assert.Equal(t, "20.10.24+dfsg1-1+deb12u1+b6", parsePolicy(known))
	assert.Empty(t, parsePolicy(unknown))
	assert.Empty(t, parsePolicy(""), "apt says nothing of a package it never heard of")
}

func TestInstall(t *testing.T) {
	for name, c := range map[string]struct {
		programs []string
		answers  map[string]string
		want     []string // the apt-get commands
	}{
		"bare, lists at hand": {[]string{"docker"}, map[string]string{"apt-cache": known}, []string{installs}},
		"bare, no lists":      {[]string{"docker"}, map[string]string{"apt-cache": unknown}, []string{update, installs}},
		"Debian 13, client apart": {nil, map[string]string{"apt-cache": known},
			[]string{installs + " docker-cli"}},
		"Debian 12, client within": {nil, map[string]string{"apt-cache policy docker.io": known}, []string{installs}},
		"daemon there, no iptables": {[]string{"docker", "dockerd"}, map[string]string{"apt-cache": known},
			[]string{strings.Replace(installs, "docker.io ", "", 1)}},
		"all there": {[]string{"docker", "dockerd", "iptables"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, run, policy := aptHost(t)
			run.programs, run.answers = c.programs, c.answers
			held := false
			run.then = func(cmd command) { held = held || cmd.name == "apt-get" && exists(policy) }
			installed, err := install(t.Context(), h, Options{}, false)
			require.NoError(t, err)
			assert.Equal(t, len(c.want) > 0, installed)
			assert.Equal(t, c.want, aptCommands(run))
			assert.Equal(t, len(c.want) > 0, held, "services are kept from starting meanwhile")
			assert.NoFileExists(t, policy)
		})
	}
}

func aptHost(t *testing.T) (host, *fakeRunner, string) {
	run := &fakeRunner{}
	h := testHost(run, nil)
	h.base = t.TempDir()
	policy := h.path(policyPath)
	require.NoError(t, os.MkdirAll(filepath.Dir(policy), 0o755))
	return h, run, policy
}

func aptCommands(run *fakeRunner) (list []string) {
	for _, c := range run.ran {
		if strings.HasPrefix(c, "apt-get") {
			list = append(list, c)
		}
	}
	return list
}

func TestInstallFails(t *testing.T) {
	h, run, policy := aptHost(t)
	run.programs, run.answers = []string{"docker"}, map[string]string{"apt-cache": known}
	run.errors = map[string]string{installs: "404 Not Found"}
	_, err := install(t.Context(), h, Options{}, false)
	assert.EqualError(t, err, "installing docker.io iptables: 404 Not Found: run the command by hand to see it whole, and run again")
	assert.Equal(t, []string{installs, update, installs}, aptCommands(run), "old lists are refreshed once")
	assert.NoFileExists(t, policy)

	run.errors, run.answers = map[string]string{update: "no network"}, nil
	_, err = install(t.Context(), h, Options{}, false)
	assert.EqualError(t, err, "reading the package lists, to install docker.io iptables: no network")

	ctx, cancel := context.WithCancel(t.Context())
	run.answers, run.errors = map[string]string{"apt-cache": known}, map[string]string{installs: "terminated"}
	run.then = func(c command) {
		if c.name == "apt-get" {
			cancel()
		}
	}
	_, err = install(ctx, h, Options{}, false)
	assert.EqualError(t, err, "interrupted while installing docker.io iptables: terminated")
}

func TestForbidServicesKeepsAnothersPolicy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy-rc.d")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nexit 101\n"), 0o755))
	restore, err := forbidServices(path)
	require.NoError(t, err)
	restore()
	assert.FileExists(t, path)

	require.NoError(t, os.WriteFile(path, []byte(policyText), 0o755))
	restore, err = forbidServices(path)
	require.NoError(t, err)
	restore()
	assert.NoFileExists(t, path, "what a killed run left of ours goes")
}
