package image

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// toolOf puts a go tool on the PATH that writes its arguments where it is to build.
func toolOf(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

const builds = `while [ "$1" != -o ]; do all="$all $1"; shift; done; echo "$all $3 $CGO_ENABLED" > "$2"`

func TestTheSuitesImageHasItsBinaryAndNothingElse(t *testing.T) {
	toolOf(t, builds)
	archive := filepath.Join(t.TempDir(), "suite.tar")
	require.NoError(t, SuiteImage{Reference: "registry.example/team/suite:v1", Version: "v1.2", Commit: "abc"}.Write(t.Context(), checkout(t), archive))
	ref, err := name.NewTag("registry.example/team/suite:v1")
	require.NoError(t, err)
	img, err := tarball.ImageFromPath(archive, &ref)
	require.NoError(t, err)
	file, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, []string{"/conformance"}, file.Config.Entrypoint)
	assert.Equal(t, "65534:65534", file.Config.User)
	assert.Equal(t, "linux", file.OS)
	content := contents(t, img)
	require.Len(t, content, 1)
	assert.Contains(t, content["conformance"], "test -c", "what is built is a test binary")
	assert.Contains(t, content["conformance"], "suites/run.Version=v1.2 -X github.com/seed-140c7b37/mtls-scrape-conformance/suites/run.Commit=abc")
	assert.Contains(t, content["conformance"], "./suites/conformance 0", "it is static")
	entries, err := os.ReadDir(filepath.Dir(archive))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing but the archive is left")
}

// contents are the files of an image, by their paths.
func contents(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	files := map[string]string{}
	for _, l := range layers {
		r, err := l.Uncompressed()
		require.NoError(t, err)
		for _, e := range readTar(t, r) {
			files[e.Name] = e.content
		}
		require.NoError(t, r.Close())
	}
	return files
}

func TestTheImageIsTheOneOfTheDockerfile(t *testing.T) {
	dockerfile, err := os.ReadFile(filepath.Join(checkout(t), "scripts", "Dockerfile"))
	require.NoError(t, err)
	assert.Contains(t, string(dockerfile), "\nUSER "+suiteImage.recipe.user+"\n")
	assert.Contains(t, string(dockerfile), `ENTRYPOINT ["`+suiteImage.recipe.entry[0]+`"]`)
	assert.Contains(t, string(dockerfile), "FROM scratch\n")
	assert.False(t, suiteImage.recipe.debian)
}

func TestASuiteThatCannotBeBuiltLeavesNoArchive(t *testing.T) {
	for name, c := range map[string]struct{ reference, script, says string }{
		"a name without a registry": {"suite:v1", builds, `the suite's image cannot be called "suite:v1"`},
		"a name without a tag":      {"registry.example/team/suite", builds, "use host/path:tag"},
		"code that does not build":  {SuiteReference, "echo undefined: x >&2; exit 1", "undefined: x"},
	} {
		t.Run(name, func(t *testing.T) {
			toolOf(t, c.script)
			dir := t.TempDir()
			err := SuiteImage{Reference: c.reference}.Write(t.Context(), checkout(t), filepath.Join(dir, "suite.tar"))
			require.ErrorContains(t, err, c.says)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, entries)
		})
	}
}

func TestAnImageIsPushedWhereItsNameSays(t *testing.T) {
	to := asked(t, NewServer().ServeHTTP)
	img, err := random.Image(64, 1)
	require.NoError(t, err)
	archive := filepath.Join(t.TempDir(), "suite.tar")
	ref, err := name.NewTag(to.Host + "/team/suite:v1")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(archive, ref, img))
	reference, err := Push(t.Context(), archive)
	require.NoError(t, err)
	assert.Equal(t, ref.Name(), reference)
	got, err := remote.Image(ref)
	require.NoError(t, err)
	want, err := img.ConfigName()
	require.NoError(t, err)
	config, err := got.ConfigName()
	require.NoError(t, err)
	assert.Equal(t, want, config)
}

func TestWhatCannotBePushedIsNamed(t *testing.T) {
	_, err := Push(t.Context(), filepath.Join(t.TempDir(), "absent.tar"))
	require.ErrorContains(t, err, "`images suite` makes one")

	to := asked(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusForbidden)
	})
	img, err := random.Image(64, 1)
	require.NoError(t, err)
	archive := filepath.Join(t.TempDir(), "suite.tar")
	ref, err := name.NewTag(to.Host + "/team/suite:v1")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(archive, ref, img))
	_, err = Push(t.Context(), archive)
	require.ErrorContains(t, err, "putting "+ref.String()+" into its registry")
	assert.True(t, strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), "Forbidden"), err.Error())
}
