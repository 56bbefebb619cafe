package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWrapperSourceIsWhole keeps the list of embedded files in step with the
// folders: a new file there would be missing from the wrapper's build only.
func TestWrapperSourceIsWhole(t *testing.T) {
	for _, dir := range []string{"capability", "cappedrunc"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				_, err := wrapperSource.ReadFile(filepath.ToSlash(f))
				assert.NoError(t, err, "name it in wrapper.go's go:embed")
			}
		}
	}
}

// TestWrapperFiltersThenBecomesRunc builds the wrapper as on a host that needs
// it and hands it a bundle, with a script in runc's place.
func TestWrapperFiltersThenBecomesRunc(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program")
	}
	dir := t.TempDir()
	path, err := buildWrapper(t.Context(), execRunner{}, dir)
	require.NoError(t, err)
	built, err := os.Stat(path)
	require.NoError(t, err)
	again, err := buildWrapper(t.Context(), &fakeRunner{}, dir) // has no go
	require.NoError(t, err, "what is there is not built again")
	assert.Equal(t, path, again)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
	assert.NotZero(t, built.Mode()&0o111)

	missing, err := HostCapabilities()
	require.NoError(t, err)
	bundle, bin := t.TempDir(), t.TempDir()
	list := `"` + strings.Join(append([]string{"CAP_CHOWN"}, missing...), `","`) + `"`
	config := filepath.Join(bundle, "config.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"process":{"capabilities":{"permitted":[`+list+`]}}}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "runc"), []byte("#!/bin/sh\necho \"$@\"\nexit 7\n"), 0o755))

	cmd := exec.CommandContext(t.Context(), path, "--root", "/r", "create", "--bundle", bundle, "id")
	cmd.Env = []string{"PATH=" + bin}
	out, err := cmd.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 7, exit.ExitCode(), "runc's own exit code")
	assert.Equal(t, "--root /r create --bundle "+bundle+" id\n", string(out), "runc's arguments are untouched")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	assert.JSONEq(t, `{"process":{"capabilities":{"permitted":["CAP_CHOWN"]}}}`, string(text))

	cmd = exec.CommandContext(t.Context(), path, "state", "id")
	cmd.Env = []string{"PATH=" + t.TempDir()}
	text, err = cmd.CombinedOutput()
	assert.Error(t, err)
	assert.Contains(t, string(text), "install the package runc")
}

func TestWrapperWithoutGo(t *testing.T) {
	_, err := buildWrapper(t.Context(), &fakeRunner{}, t.TempDir())
	assert.ErrorContains(t, err, "go is not on the PATH: install Go and run again")
}
