package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The names of kind's providers.
const (
	docker  = "docker"
	nerdctl = "nerdctl"
	podman  = "podman"
)

// providerVariable is the environment variable by which kind's own command is
// told which engine to use (pkg/internal/runtime of kind); its Go API ignores it.
const providerVariable = "KIND_EXPERIMENTAL_PROVIDER"

// answerTimeout bounds one question to an engine. One that runs answers within
// tens of milliseconds; ten seconds leave room for a virtual machine that wakes
// up and for a host that is busy compiling.
const answerTimeout = 10 * time.Second

// candidate is one client program, and how to ask for its server's version.
type candidate struct {
	provider, binary string
	// banner begins the output of `binary -v`. It tells Docker's client from the
	// docker command that podman installs under the same name, which kind's
	// docker provider cannot work with.
	banner string
	// question is answered by the server, or fails. A client that merely exists
	// would not do.
	question []string
}

func dockerCandidate() candidate {
	return candidate{docker, docker, "Docker version", []string{"version", "--format", "{{.Server.Version}}"}}
}

func podmanCandidate() candidate {
	return candidate{podman, podman, "podman version", []string{"info", "--format", "{{.Version.Version}}"}}
}

func nerdctlCandidate(binary string) candidate {
	// nerdctl.lima is a script around nerdctl and shows the same banner.
	banner, _, _ := strings.Cut(binary, ".")
	return candidate{nerdctl, binary, banner + " version", []string{"info", "--format", "{{.ServerVersion}}"}}
}

// candidates gives what to try, in order: only the one that the variable names,
// else kind's own order. forced is false when the variable is empty or, as kind
// does, ignored because its value is unknown.
func candidates(variable string) (list []candidate, forced bool) {
	switch variable {
	case docker:
		return []candidate{dockerCandidate()}, true
	case podman:
		return []candidate{podmanCandidate()}, true
	case nerdctl, "finch", "nerdctl.lima":
		return []candidate{nerdctlCandidate(variable)}, true
	}
	return []candidate{dockerCandidate(), nerdctlCandidate(nerdctl), nerdctlCandidate("finch"), podmanCandidate()}, false
}

// attempt is a candidate that did not answer, and why.
type attempt struct {
	binary string
	err    error
}

// detect returns the first candidate whose server answers, or nil and what was
// tried.
func detect(ctx context.Context, run runner, list []candidate) (*Engine, []attempt) {
	var tried []attempt
	for _, c := range list {
		version, err := ask(ctx, run, c)
		if err == nil {
			return &Engine{Provider: c.provider, Binary: c.binary, Version: version, run: run}, nil
		}
		tried = append(tried, attempt{c.binary, err})
	}
	return nil, tried
}

// ask returns the version that the candidate's server gives.
func ask(ctx context.Context, run runner, c candidate) (string, error) {
	if _, err := run.look(c.binary); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, fmt.Errorf("no answer within %s", answerTimeout))
	defer cancel()
	banner, err := run.run(ctx, command{name: c.binary, args: []string{"-v"}})
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(banner, c.banner) {
		return "", fmt.Errorf("%s -v says %q, so it is another program of that name", c.binary, firstLine(banner))
	}
	version, err := run.run(ctx, command{name: c.binary, args: c.question})
	if err != nil {
		return "", err
	}
	if version = firstLine(version); version == "" { // old clients exit 0 without a server
		return "", errors.New("its server gave no version")
	}
	return version, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}
