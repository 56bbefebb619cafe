package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRefusal(t *testing.T) {
	debian := parseOSRelease(debian12)
	able := func(change func(*situation)) situation {
		s := situation{goos: "linux", release: debian, root: true, install: true, stateDir: "/state",
			tried: []attempt{{"docker", errors.New("Cannot connect.\n  Is it running?")}, {"podman", errors.New("podman is not on the PATH")}}}
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		s    situation
		want string
	}{
		"able":               {able(func(*situation) {}), ""},
		"able, forced":       {able(func(s *situation) { s.provider = docker }), ""},
		"forced podman":      {able(func(s *situation) { s.provider = podman }), "KIND_EXPERIMENTAL_PROVIDER=podman asks for this engine: start it, or unset the variable, and run again"},
		"docker elsewhere":   {able(func(s *situation) { s.endpoint = "DOCKER_HOST=tcp://h:1" }), "DOCKER_HOST=tcp://h:1 says where Docker is: start it there, or unset the variable, and run again"},
		"a Mac":              {able(func(s *situation) { s.goos = "darwin" }), "install and start Docker Desktop, Podman or another engine that kind supports, and run again"},
		"Fedora":             {able(func(s *situation) { s.release = parseOSRelease(fedora) }), "install Docker, nerdctl or Podman with the package manager of Fedora Linux 40 (Container Image), start it, and run again"},
		"no os-release":      {able(func(s *situation) { s.release = osRelease{} }), "install Docker, nerdctl or Podman with the package manager of this distribution, start it, and run again"},
		"not root":           {able(func(s *situation) { s.root = false }), "run again as root to have Docker installed and started on Debian GNU/Linux 12 (bookworm), or do it yourself with `sudo apt-get install docker.io iptables` and `sudo systemctl start docker`"},
		"not allowed":        {able(func(s *situation) { s.install = false }), "run `apt-get install docker.io iptables` on Debian GNU/Linux 12 (bookworm) and start Docker, or run again with installing an engine allowed"},
		"no place for state": {able(func(s *situation) { s.stateDir = "" }), "name a state folder for the engine that is to be started here, and run again"},
	} {
		t.Run(name, func(t *testing.T) {
			err := refusal(c.s)
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, "no container engine answers (docker: Cannot connect. Is it running?; podman: podman is not on the PATH): "+c.want)
			assert.False(t, strings.Contains(err.Error(), "\n"), "one sentence, one line")
		})
	}
}

func TestSituationSeesWhereDockerIs(t *testing.T) {
	h := testHost(&fakeRunner{}, map[string]string{"DOCKER_CONTEXT": "far"})
	assert.Equal(t, "DOCKER_CONTEXT=far", h.situation(Options{}, "", nil).endpoint)
	h = testHost(&fakeRunner{}, map[string]string{"DOCKER_CONTEXT": "far", "DOCKER_HOST": "tcp://h:1"})
	assert.Equal(t, "DOCKER_HOST=tcp://h:1", h.situation(Options{}, "", nil).endpoint)
}
