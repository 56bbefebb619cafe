package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entry is what tests look at in a tar.
type entry struct {
	tar.Header
	content string
}

func readTar(t *testing.T, r io.Reader) []entry {
	t.Helper()
	var entries []entry
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			return entries
		}
		require.NoError(t, err)
		content, err := io.ReadAll(in)
		require.NoError(t, err)
		entries = append(entries, entry{*h, string(content)})
	}
}

func entryNames(entries []entry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

// find returns the one entry of a name.
func find(t *testing.T, entries []entry, name string) entry {
	t.Helper()
	var found []entry
	for _, e := range entries {
		if e.Name == name {
			found = append(found, e)
		}
	}
	require.Len(t, found, 1, "entries named %s of %q", name, entryNames(entries))
	return found[0]
}

// layerOf writes a layer and returns its bytes.
func layerOf(t *testing.T, files ...file) []byte {
	t.Helper()
	to := filepath.Join(t.TempDir(), "layer.tar")
	require.NoError(t, writeLayer(to, files))
	content, err := os.ReadFile(to)
	require.NoError(t, err)
	return content
}

func onHost(t *testing.T, content string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(p, []byte(content), 0o600))
	return p
}

func TestEqualFilesGiveEqualLayers(t *testing.T) {
	first := []file{
		{path: "/usr/bin/a", from: onHost(t, "program"), mode: 0o755},
		{path: "/usr/lib/b", content: []byte("text")},
		{path: "/bin", link: "usr/bin"},
	}
	second := slices.Clone(first)
	second[0].from = onHost(t, "program") // the same bytes in another place, of another time
	require.NoError(t, os.Chtimes(second[0].from, time.Unix(1, 0), time.Unix(1, 0)))
	slices.Reverse(second)
	assert.True(t, bytes.Equal(layerOf(t, first...), layerOf(t, second...)))
}

func TestALayerHasEveryFolderOnceBeforeWhatIsInIt(t *testing.T) {
	entries := readTar(t, bytes.NewReader(layerOf(t,
		file{path: "/a/b/two", content: []byte{}}, file{path: "/a/b/one", content: []byte{}}, file{path: "/a/c/d/three", content: []byte{}}, file{path: "/top", content: []byte{}},
	)))
	assert.Equal(t, []string{"a/", "a/b/", "a/b/one", "a/b/two", "a/c/", "a/c/d/", "a/c/d/three", "top"}, entryNames(entries))
	for _, e := range entries {
		if strings.HasSuffix(e.Name, "/") {
			assert.Equal(t, byte(tar.TypeDir), e.Typeflag)
			assert.EqualValues(t, 0o755, e.Mode)
		}
	}
}

func TestEntriesOfALayer(t *testing.T) {
	entries := readTar(t, bytes.NewReader(layerOf(t,
		file{path: "/program", from: onHost(t, "machine code"), mode: 0o755},
		file{path: "/plain", from: onHost(t, "text")},
		file{path: "/literal", content: []byte("words"), mode: 0o600},
		file{path: "/empty", content: []byte{}},
		file{path: "/link", link: "/usr/lib/target", mode: 0o600},
		file{path: "//unclean/../path", content: []byte{}},
	)))
	for name, want := range map[string]struct {
		kind          byte
		mode          int64
		content, link string
	}{
		"program": {tar.TypeReg, 0o755, "machine code", ""},
		"plain":   {tar.TypeReg, 0o644, "text", ""},
		"literal": {tar.TypeReg, 0o600, "words", ""},
		"empty":   {tar.TypeReg, 0o644, "", ""},
		"link":    {tar.TypeSymlink, 0o777, "", "/usr/lib/target"},
		"path":    {tar.TypeReg, 0o644, "", ""},
	} {
		e := find(t, entries, name)
		assert.Equal(t, want.kind, e.Typeflag, name)
		assert.Equal(t, want.mode, e.Mode, name)
		assert.Equal(t, want.content, e.content, name)
		assert.Equal(t, want.link, e.Linkname, name)
		assert.Zero(t, e.Uid+e.Gid, name)
		assert.True(t, e.ModTime.Equal(time.Unix(0, 0)), name)
	}
}

func TestALayerThatLacksAFileNamesIt(t *testing.T) {
	err := writeLayer(filepath.Join(t.TempDir(), "layer.tar"), []file{{path: "/bin/envoy", from: "/absent/envoy", mode: 0o755}})
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "adding /bin/envoy to the layer")
}

func TestTheDigestOfALayerIsThatOfItsTar(t *testing.T) {
	path := onHost(t, "layer")
	want := sha256.Sum256([]byte("layer"))
	layer, err := openLayer(path)
	require.NoError(t, err)

	digest, err := layer.Digest()
	require.NoError(t, err)
	assert.Equal(t, "sha256:"+hex.EncodeToString(want[:]), digest.String())
	diffID, err := layer.DiffID()
	require.NoError(t, err)
	assert.Equal(t, digest, diffID, "it is not compressed")
	size, err := layer.Size()
	require.NoError(t, err)
	assert.EqualValues(t, len("layer"), size)
	for _, open := range []func() (io.ReadCloser, error){layer.Compressed, layer.Uncompressed} {
		r, err := open()
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		assert.Equal(t, "layer", string(content))
	}
}

func TestTheDigestIsComputedOnce(t *testing.T) {
	path := onHost(t, "layer")
	digest := func() string {
		layer, err := openLayer(path)
		require.NoError(t, err)
		d, err := layer.Digest()
		require.NoError(t, err)
		return d.Hex
	}
	computed := digest()
	kept, err := os.ReadFile(path + ".sha256")
	require.NoError(t, err)
	assert.Equal(t, computed, string(kept))

	another := strings.Repeat("0", 64)
	require.NoError(t, os.WriteFile(path+".sha256", []byte(another), 0o644))
	assert.Equal(t, another, digest(), "what is kept is used")

	require.NoError(t, os.WriteFile(path+".sha256", []byte(computed[:30]), 0o644))
	assert.Equal(t, computed, digest(), "what was cut off is not")
}

func TestALayerThatIsNotThere(t *testing.T) {
	_, err := openLayer(filepath.Join(t.TempDir(), "layer.tar"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
