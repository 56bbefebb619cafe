package image

import (
	"archive/tar"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsSavedAndLoadedHasTheSameDigests(t *testing.T) {
	prometheus, node := Find("prometheus").Reference, Find("node").Reference
	from, images := mirrored(t, prometheus)
	index, err := random.Index(16, 1, 2) // an image for two platforms
	require.NoError(t, err)
	ref, err := name.ParseReference(node)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index, options(t.Context(), from.Transport())...))
	indexDigest, err := index.Digest()
	require.NoError(t, err)

	refs := References{"prometheus": prometheus + "@" + digestOf(t, images[prometheus]), "node": node + "@" + indexDigest.String()}
	archive := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, Save(t.Context(), archive, []string{refs["prometheus"], refs["node"]}, nil, from.Transport()))
	to, _ := mirrored(t)
	loaded, err := Load(t.Context(), archive, to, "")
	require.NoError(t, err)
	assert.Equal(t, 2, loaded)
	require.NoError(t, refs.Check(t.Context(), to.Transport()))
	got, err := resolve(t.Context(), node, to.Transport())
	require.NoError(t, err)
	assert.Equal(t, indexDigest.String(), got, "the tag is there too")
	entries, err := os.ReadDir(filepath.Dir(archive))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing but the archive is left")
}

// What a sandbox's nodes pull below a prefix: upstream's images, and the suite's own, which
// are published nowhere.
func TestWhatIsLoadedBelowAPrefixIsFoundThere(t *testing.T) {
	prometheus, probe := Find("prometheus").Reference, Find("probe").Reference
	from, images := mirrored(t, prometheus)
	made, err := random.Image(64, 1)
	require.NoError(t, err)
	ref, err := name.NewTag(probe)
	require.NoError(t, err)
	archive := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, Save(t.Context(), archive, []string{prometheus + "@" + digestOf(t, images[prometheus])}, map[name.Reference]v1.Image{ref: made}, from.Transport()))
	to, _ := mirrored(t)
	loaded, err := Load(t.Context(), archive, to, "team/mirror")
	require.NoError(t, err)
	assert.Equal(t, 2, loaded)
	for short, digest := range map[string]string{"prometheus": digestOf(t, images[prometheus]), "probe": digestOf(t, made)} {
		below := PackagesReferences().Below(to.Host + "/team/mirror")[short]
		got, err := resolve(t.Context(), below, nil)
		require.NoError(t, err, below)
		assert.Equal(t, digest, got, below)
	}
}

func TestAnImageThatIsNotThereIsNotSaved(t *testing.T) {
	m, _ := mirrored(t)
	dir := t.TempDir()
	err := Save(t.Context(), filepath.Join(dir, "images.tar"), []string{Find("pilot").Reference}, nil, m.Transport())
	require.ErrorContains(t, err, "asking for "+Find("pilot").Reference+": the mirror "+m.Host+" has no such image (404)")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestARegistryThatTakesNothingIsToldOf(t *testing.T) {
	prometheus := Find("prometheus").Reference
	from, _ := mirrored(t, prometheus)
	archive := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, Save(t.Context(), archive, []string{prometheus}, nil, from.Transport()))
	to := asked(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	_, err := Load(t.Context(), archive, to, "")
	assert.ErrorContains(t, err, "putting "+to.Host+"/prometheus/prometheus:"+tag("prometheus")+" into the registry")
}

func TestAnArchiveThatIsNoneIsNamed(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "images.tar")
	_, err := Load(t.Context(), archive, Mirror{}, "")
	require.ErrorContains(t, err, "reading the archive "+archive)

	require.NoError(t, os.WriteFile(archive, make([]byte, 1024), 0o644)) // a tar of nothing
	_, err = Load(t.Context(), archive, Mirror{}, "")
	assert.ErrorContains(t, err, archive+" is no archive of images")
}

func TestAnArchiveWritesNothingOutsideItsFolder(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "images.tar")
	f, err := os.Create(archive)
	require.NoError(t, err)
	w := tar.NewWriter(f)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "../escaped", Mode: 0o644, Typeflag: tar.TypeReg}))
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	_, err = Load(t.Context(), archive, Mirror{}, "")
	require.ErrorContains(t, err, "path escapes")
	assert.NoFileExists(t, filepath.Join(filepath.Dir(archive), "escaped"))
}
