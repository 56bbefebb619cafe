package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// host is what Find asks of the machine that it runs on.
type host struct {
	run    runner
	getenv func(string) string
	goos   string
	root   bool
	// base is put before every path of the host that is read: "" but in tests.
	base string
	// missing gives the capabilities that the host does not hold.
	missing func() ([]string, error)
	// provision installs and starts Docker; it is called under no lock.
	provision func(ctx context.Context, h host, opts Options, missing []string) (*Engine, error)
}

func thisHost() host {
	return host{
		run: execRunner{}, getenv: os.Getenv, goos: runtime.GOOS, root: os.Geteuid() == 0,
		missing: HostCapabilities, provision: provision,
	}
}

func (h host) path(p string) string { return h.base + p }

// Find returns a container engine that answers. It takes the one that
// KIND_EXPERIMENTAL_PROVIDER names, else the first that answers in kind's own
// order: Docker, nerdctl, Podman. When none does and the host allows it, it
// installs and starts Docker (see [Options].Install), which takes some ten
// seconds plus the download; otherwise the error is one sentence that says what
// was tried and what to do next.
//
// A Docker that Find starts keeps running when the process ends, so that the
// next run finds it; [Stop] ends it.
func Find(ctx context.Context, opts Options) (*Engine, error) {
	return find(ctx, opts, thisHost())
}

func find(ctx context.Context, opts Options, h host) (*Engine, error) {
	missing, err := h.missing()
	if err != nil {
		return nil, fmt.Errorf("cannot tell which capabilities this host holds: %w", err)
	}
	variable := h.getenv(providerVariable)
	list, forced := candidates(variable)
	if variable != "" && !forced {
		opts.logf("%s=%s names no engine that kind knows and is ignored, as kind does", providerVariable, variable)
		variable = ""
	}
	e, tried := detect(ctx, h.run, list)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("looking for a container engine: %w", context.Cause(ctx))
	}
	if e == nil {
		if err := refusal(h.situation(opts, variable, tried)); err != nil {
			return nil, err
		}
		if opts.StateDir, err = filepath.Abs(opts.StateDir); err != nil {
			return nil, fmt.Errorf("the engine's state folder: %w", err)
		}
		if e, err = h.provision(ctx, h, opts, missing); err != nil {
			return nil, err
		}
	}
	e.MissingCapabilities = missing
	return e, nil
}

func (h host) situation(opts Options, provider string, tried []attempt) situation {
	s := situation{
		goos: h.goos, root: h.root, install: opts.Install, stateDir: opts.StateDir,
		provider: provider, tried: tried,
	}
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT"} {
		if value := h.getenv(name); value != "" && s.endpoint == "" {
			s.endpoint = name + "=" + value
		}
	}
	// A host without the file is no Debian; the zero value says so.
	if text, err := os.ReadFile(h.path("/etc/os-release")); err == nil {
		s.release = parseOSRelease(string(text))
	}
	return s
}
