package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	askDocker  = "docker version --format {{.Server.Version}}"
	askNerdctl = "nerdctl info --format {{.ServerVersion}}"
	askFinch   = "finch info --format {{.ServerVersion}}"
	askPodman  = "podman info --format {{.Version.Version}}"
)

// everything has every client installed and every server answering.
func everything() *fakeRunner {
	return &fakeRunner{
		programs: []string{"docker", "nerdctl", "nerdctl.lima", "finch", "podman"},
		answers: map[string]string{
			"docker -v": "Docker version 28.2.2, build e6534b4", askDocker: "20.10.24+dfsg1",
			"nerdctl -v": "nerdctl version 2.0.0", askNerdctl: "v2.0.5",
			"nerdctl.lima -v": "nerdctl version 2.0.0", "nerdctl.lima info --format {{.ServerVersion}}": "v2.0.5",
			"finch -v": "finch version v1.5.0", askFinch: "v1.7",
			"podman -v": "podman version 5.2.0", askPodman: "5.2.0",
		},
		errors: map[string]string{},
	}
}

func testHost(run runner, env map[string]string) host {
	return host{
		run: run, goos: "linux", root: true, base: "/nonexistent",
		getenv:  func(name string) string { return env[name] },
		missing: func() ([]string, error) { return []string{"CAP_SYS_RESOURCE"}, nil },
		provision: func(context.Context, host, Options, []string) (*Engine, error) {
			return nil, errors.New("provision was not to be reached")
		},
	}
}

func TestProviderOrder(t *testing.T) {
	for name, c := range map[string]struct {
		variable string
		silent   []string // questions that fail
		absent   []string // programs that are not there
		want     string   // provider/binary/version, or the error's beginning
	}{
		"docker first":                {want: "docker/docker/20.10.24+dfsg1"},
		"a client without a server":   {silent: []string{askDocker}, want: "nerdctl/nerdctl/v2.0.5"},
		"finch when nerdctl is away":  {silent: []string{askDocker}, absent: []string{"nerdctl"}, want: "nerdctl/finch/v1.7"},
		"podman last":                 {silent: []string{askDocker, askNerdctl, askFinch}, want: "podman/podman/5.2.0"},
		"forced podman":               {variable: "podman", want: "podman/podman/5.2.0"},
		"forced docker":               {variable: "docker", want: "docker/docker/20.10.24+dfsg1"},
		"forced nerdctl.lima":         {variable: "nerdctl.lima", want: "nerdctl/nerdctl.lima/v2.0.5"},
		"forced finch":                {variable: "finch", want: "nerdctl/finch/v1.7"},
		"forced and silent":           {variable: "podman", silent: []string{askPodman}, want: "no container engine answers (podman: refused): KIND_EXPERIMENTAL_PROVIDER=podman asks for this engine"},
		"an unknown value is ignored": {variable: "lxc", want: "docker/docker/20.10.24+dfsg1"},
	} {
		t.Run(name, func(t *testing.T) {
			run := everything()
			for _, q := range c.silent {
				run.errors[q] = "refused"
			}
			for _, p := range c.absent {
				run.programs = remove(run.programs, p)
			}
			e, err := find(t.Context(), Options{Install: true, StateDir: t.TempDir()}, testHost(run, map[string]string{providerVariable: c.variable}))
			if err != nil {
				assert.True(t, strings.HasPrefix(err.Error(), c.want), err)
				return
			}
			assert.Equal(t, c.want, e.Provider+"/"+e.Binary+"/"+e.Version)
			assert.False(t, e.Installed || e.Started)
			assert.Equal(t, []string{"CAP_SYS_RESOURCE"}, e.MissingCapabilities)
		})
	}
}

func remove(list []string, drop string) (kept []string) {
	for _, s := range list {
		if s != drop {
			kept = append(kept, s)
		}
	}
	return kept
}

func TestUnknownVariableIsToldOnce(t *testing.T) {
	var lines []string
	log := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	_, err := find(t.Context(), Options{Log: log}, testHost(everything(), map[string]string{providerVariable: "lxc"}))
	require.NoError(t, err)
	assert.Equal(t, []string{"KIND_EXPERIMENTAL_PROVIDER=lxc names no engine that kind knows and is ignored, as kind does"}, lines)
}

func TestAskTellsClientsApart(t *testing.T) {
	run := everything()
	run.answers["docker -v"] = "podman version 5.2.0" // the package podman-docker
	_, err := ask(t.Context(), run, dockerCandidate())
	assert.EqualError(t, err, `docker -v says "podman version 5.2.0", so it is another program of that name`)

	run = everything()
	run.answers[askDocker] = "\n" // clients before 23 exit 0 without a server
	_, err = ask(t.Context(), run, dockerCandidate())
	assert.EqualError(t, err, "its server gave no version")
}

func TestProvisionIsReachedOnlyOnPermittedHosts(t *testing.T) {
	base := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(base, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(base, "etc", "os-release"), []byte(debian12), 0o644))
	h := testHost(&fakeRunner{}, nil)
	h.base = base
	h.provision = func(_ context.Context, _ host, opts Options, missing []string) (*Engine, error) {
		assert.True(t, filepath.IsAbs(opts.StateDir))
		assert.Equal(t, []string{"CAP_SYS_RESOURCE"}, missing)
		return &Engine{Provider: docker, Installed: true, Started: true}, nil
	}
	e, err := find(t.Context(), Options{Install: true, StateDir: "relative"}, h)
	require.NoError(t, err)
	assert.True(t, e.Installed && e.Started)
	assert.Equal(t, []string{"CAP_SYS_RESOURCE"}, e.MissingCapabilities)

	_, err = find(t.Context(), Options{StateDir: "relative"}, h)
	assert.ErrorContains(t, err, "allowed")
}

func TestFindInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := find(ctx, Options{}, testHost(&fakeRunner{}, nil))
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "looking for a container engine")
}
