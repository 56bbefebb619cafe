//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine/capability"
)

func TestSpecification(t *testing.T) {
	for line, want := range map[string]string{
		// As containerd's shim writes them.
		"--root /run/runc --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid id":                              "/b/config.json",
		"--root /run/runc --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --console-socket /s --no-pivot id":     "/b/config.json",
		"--root /run/runc --log /b/log.json --log-format json exec --process /tmp/p --console-socket /s --detach --pid-file /b/1.pid id": "/tmp/p",
		// As people do.
		"run id":                           "config.json",
		"run -b /b id":                     "/b/config.json",
		"--debug run -bundle=/b -d id":     "/b/config.json",
		"create --preserve-fds 2 -b=/b id": "/b/config.json",
		"exec -p /tmp/p id":                "/tmp/p",
		"exec --process=/tmp/p id":         "/tmp/p",
		// Options after an operand belong to the program in the container.
		"exec id tool -p /etc/passwd":              "",
		"exec --env A=B --cwd / id tool -p /x":     "",
		"exec -t --user 0 -- id tool --process=/x": "",
		"run id -b /other":                         "config.json",
		"--log create state id":                    "",
		"state id":                                 "",
		"delete --force id":                        "",
		"--root=/run/runc kill id 9":               "",
		"":                                         "",
		"--version":                                "",
		"create --bundle":                          "config.json",
		"--log":                                    "",
	} {
		assert.Equal(t, want, specification(strings.Fields(line)), "%s", line)
	}
}

func TestCapFile(t *testing.T) {
	missing, err := capability.Missing()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "config.json")
	held := "CAP_CHOWN" // any host that runs tests holds it
	list := `"` + strings.Join(append([]string{held}, missing...), `","`) + `"`
	require.NoError(t, os.WriteFile(path, []byte(`{"process":{"capabilities":{"bounding":[`+list+`]}}}`), 0o640))
	require.NoError(t, capFile(path))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.JSONEq(t, `{"process":{"capabilities":{"bounding":["`+held+`"]}}}`, string(text))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 1, "no temporary file stays")
}

func TestCapFileLeavesToRunc(t *testing.T) {
	assert.NoError(t, capFile(filepath.Join(t.TempDir(), "none")))
	path := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(path, []byte("no JSON"), 0o600))
	assert.ErrorContains(t, capFile(path), "not an OCI runtime specification")
}
