package engine

import (
	"context"
	"os/exec"

	"sigs.k8s.io/kind/pkg/cluster"
)

// Options says how far [Find] may go.
type Options struct {
	// StateDir is a folder of this project's own, made when it is needed: the
	// lock, and the configuration, log, pid file and OCI runtime wrapper of a
	// Docker daemon that Find started. Two runs that share it never install at
	// the same time. It must stay for as long as that daemon runs.
	StateDir string
	// Log receives one line per step worth telling a person; nil discards them.
	Log func(format string, args ...any)
	// Install permits installing and starting Docker when no engine answers.
	Install bool
}

func (o Options) logf(format string, args ...any) {
	if o.Log != nil {
		o.Log(format, args...)
	}
}

// Engine is a container engine whose server answered.
type Engine struct {
	// Provider is kind's name for it: docker, podman or nerdctl.
	Provider string
	// Binary is the client's name as kind calls it. It is the provider's name,
	// but for the nerdctl family also finch or nerdctl.lima.
	Binary string
	// Version is what the server said, as in "20.10.24+dfsg1".
	Version string
	// Installed and Started report what this call to Find did; both are false
	// for an engine that was already answering.
	Installed, Started bool
	// MissingCapabilities are the Linux capabilities that this host does not
	// hold, as in CAP_SYS_RESOURCE, in the order of their numbers. A container
	// cannot hold them either, however privileged, so a specification that asks
	// for one must go through [FilterCapabilities] first.
	MissingCapabilities []string

	run runner
}

// Command prepares the client to be run with args. It keeps the caller's
// environment, which is what makes it talk to the server that Find reached.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	return newCmd(ctx, command{name: e.Binary, args: args})
}

// Output runs the client and returns its standard output without the white
// space around it. The error names the command and carries its standard error.
func (e *Engine) Output(ctx context.Context, args ...string) (string, error) {
	run := e.run
	if run == nil { // an Engine made by hand, as tests of other packages do
		run = execRunner{}
	}
	return run.run(ctx, command{name: e.Binary, args: args})
}

// KindOption makes kind use this engine rather than look for one by itself.
func (e *Engine) KindOption() cluster.ProviderOption {
	switch e.Provider {
	case podman:
		return cluster.ProviderWithPodman()
	case nerdctl:
		return cluster.ProviderWithNerdctl(e.Binary)
	default:
		return cluster.ProviderWithDocker()
	}
}
