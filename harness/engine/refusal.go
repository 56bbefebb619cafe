package engine

import (
	"errors"
	"fmt"
	"strings"
)

// situation is all that decides whether an engine may be installed and started.
type situation struct {
	goos     string
	release  osRelease
	root     bool
	install  bool
	stateDir string
	// provider is the value of KIND_EXPERIMENTAL_PROVIDER if kind knows it.
	provider string
	// endpoint is DOCKER_HOST=... or DOCKER_CONTEXT=... if one is set: a daemon
	// started here would not be the one that the client then asks.
	endpoint string
	tried    []attempt
}

// refusal returns nil if an engine may be installed and started, else a
// sentence that says what was tried and what to do.
func refusal(s situation) error {
	return refuse(s.tried, advice(s))
}

// advice is the next step for the user, or empty if there is none to take.
func advice(s situation) string {
	distribution := s.release.pretty
	if distribution == "" {
		distribution = "this distribution"
	}
	switch {
	case s.provider != "" && s.provider != docker:
		return fmt.Sprintf("%s=%s asks for this engine: start it, or unset the variable, and run again", providerVariable, s.provider)
	case s.endpoint != "":
		return fmt.Sprintf("%s says where Docker is: start it there, or unset the variable, and run again", s.endpoint)
	case s.goos != "linux":
		return "install and start Docker Desktop, Podman or another engine that kind supports, and run again"
	case !s.release.debianFamily():
		return fmt.Sprintf("install Docker, nerdctl or Podman with the package manager of %s, start it, and run again", distribution)
	case !s.root:
		return fmt.Sprintf("run again as root to have Docker installed and started on %s, or do it yourself with `sudo apt-get install docker.io iptables` and `sudo systemctl start docker`", distribution)
	case !s.install:
		return fmt.Sprintf("run `apt-get install docker.io iptables` on %s and start Docker, or run again with installing an engine allowed", distribution)
	case s.stateDir == "":
		return "name a state folder for the engine that is to be started here, and run again"
	}
	return ""
}

func refuse(tried []attempt, next string) error {
	if next == "" {
		return nil
	}
	var why []string
	for _, t := range tried {
		// A client that is not there needs no explanation of its own, and one
		// that is may take several lines for its own.
		why = append(why, fmt.Sprintf("%s: %s", t.binary, strings.Join(strings.Fields(t.err.Error()), " ")))
	}
	return errors.New("no container engine answers (" + strings.Join(why, "; ") + "): " + next)
}
