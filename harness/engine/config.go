package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// marker is a label of the daemon, shown by `docker info`, by which a
// configuration that this package wrote is recognised. JSON has no comments and
// dockerd refuses keys that it does not know, so a label is where it can be.
const marker = "mtls-scrape-conformance.managed-by=harness-engine"

// hostConfigPath is where dockerd looks for a configuration of its own accord.
const hostConfigPath = "/etc/docker/daemon.json"

// daemonConfig is what this package tells dockerd; the names are dockerd's.
type daemonConfig struct {
	Labels         []string                 `json:"labels"`
	PidFile        string                   `json:"pidfile"`
	Runtimes       map[string]daemonRuntime `json:"runtimes,omitempty"`
	DefaultRuntime string                   `json:"default-runtime,omitempty"`
}

type daemonRuntime struct {
	Path string `json:"path"`
}

// state names the files below [Options].StateDir.
type state struct{ dir string }

func (s state) lock() string    { return filepath.Join(s.dir, "engine.lock") }
func (s state) config() string  { return filepath.Join(s.dir, "dockerd.json") }
func (s state) pidFile() string { return filepath.Join(s.dir, "dockerd.pid") }
func (s state) log() string     { return filepath.Join(s.dir, "dockerd.log") }

// renderConfig gives dockerd's configuration. wrapper is the path of the OCI
// runtime that becomes the default one, or empty to keep Docker's own.
func renderConfig(s state, wrapper string) ([]byte, error) {
	c := daemonConfig{Labels: []string{marker}, PidFile: s.pidFile()}
	if wrapper != "" {
		c.Runtimes = map[string]daemonRuntime{wrapperName: {Path: wrapper}}
		c.DefaultRuntime = wrapperName
	}
	return json.MarshalIndent(c, "", "  ")
}

// ours reports whether a daemon configuration carries the marker. What cannot
// be read as a configuration was not written here.
func ours(config []byte) bool {
	var c struct {
		Labels []string `json:"labels"`
	}
	return json.Unmarshal(config, &c) == nil && slices.Contains(c.Labels, marker)
}

// foreignConfig returns an error, one sentence, if path holds a configuration
// that this package did not write.
func foreignConfig(path string) error {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot tell whose Docker configuration is in force: %w: make the file readable or remove it, and run again", err)
	case ours(text):
		return nil
	}
	return fmt.Errorf("%s holds a Docker configuration that this project did not write, so it is left alone: start Docker yourself with it"+
		" (`systemctl start docker`, or `dockerd` where there is no systemd) and run again", path)
}
