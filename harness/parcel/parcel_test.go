package parcel

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// directory is that of a run, with some files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	return dir
}

// filesIn is what a directory has, by its path.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		require.NoError(t, err)
		content, err := os.ReadFile(file)
		files[filepath.ToSlash(name)] = string(content)
		return err
	}))
	return files
}

var run = map[string]string{"report.json": `{"runId": "r"}`, "observations/a.json": strings.Repeat("{}\n", 5000), "evidence/logs/x.log": ""}

func TestWhatIsPackedIsUnpacked(t *testing.T) {
	dir := directory(t, run)
	require.NoError(t, os.Symlink(filepath.Join(dir, "report.json"), filepath.Join(dir, "link")))
	var archive bytes.Buffer
	require.NoError(t, Pack(&archive, dir, All))
	to := t.TempDir()
	require.NoError(t, Unpack(&archive, to))
	assert.Equal(t, run, filesIn(t, to), "without the link")
}

func TestWhatIsSkippedIsNotPacked(t *testing.T) {
	var archive bytes.Buffer
	require.NoError(t, Pack(&archive, directory(t, run), func(name string) bool { return strings.HasPrefix(name, "observations/") }))
	to := t.TempDir()
	require.NoError(t, Unpack(&archive, to))
	assert.Equal(t, map[string]string{"report.json": run["report.json"], "evidence/logs/x.log": ""}, filesIn(t, to))
}

func TestOneFileIsPackedFromMemory(t *testing.T) {
	var archive bytes.Buffer
	require.NoError(t, PackFile(&archive, "junit.xml", []byte("<testsuites/>")))
	to := t.TempDir()
	require.NoError(t, Unpack(&archive, to))
	assert.Equal(t, map[string]string{"junit.xml": "<testsuites/>"}, filesIn(t, to))
}

func TestADirectoryThatIsNotThereIsNamed(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	require.ErrorContains(t, Pack(&bytes.Buffer{}, absent, All), "packing "+absent)
	require.ErrorIs(t, Unpack(&bytes.Buffer{}, absent), fs.ErrNotExist)
}

// entry is one of a made-up archive.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}, content}
}

func archiveOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := w.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return b.Bytes()
}

func TestNothingButPlainFilesBelowTheDirectoryIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		entry entry
		says  string
	}{
		"above it":              {file("../escaped", "x"), `unpacking "../escaped": its name is no relative path`},
		"above it, hidden":      {file("a/../../escaped", "x"), "no relative path"},
		"absolute":              {file("/tmp/escaped", "x"), "no relative path"},
		"of another system":     {file(`..\escaped`, "x"), "no relative path"},
		"of a drive":            {file("C:escaped", "x"), "no relative path"},
		"the directory itself":  {file(".", ""), "no relative path"},
		"a name without an end": {file(strings.Repeat("a/", 200)+"a", "x"), "no relative path"},
		"a link":                {entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc/passwd"}}, `unpacking "link": it is no plain file`},
		"a hard link":           {entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: "link", Linkname: "report.json"}}, "it is no plain file"},
		"a folder":              {entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: "folder/"}}, "it is no plain file"},
		"a device":              {entry{Header: tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}, "it is no plain file"},
		"a second one":          {file("report.json", "another"), `unpacking "report.json": `},
		"below a file":          {file("report.json/a", "x"), `unpacking "report.json/a": `},
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			to := filepath.Join(above, "to")
			require.NoError(t, os.Mkdir(to, 0o755))
			err := Unpack(bytes.NewReader(archiveOf(t, file("report.json", "{}"), c.entry)), to)
			require.ErrorContains(t, err, c.says)
			assert.Equal(t, map[string]string{"to/report.json": "{}"}, filesIn(t, above), "and nothing else is anywhere")
		})
	}
}

func TestAnArchiveIsWithinBounds(t *testing.T) {
	// The header alone says how long it is: what is behind it need not be read.
	var header bytes.Buffer
	require.NoError(t, tar.NewWriter(&header).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bomb", Size: mostUnpacked + 1}))
	var many []entry
	for i := range mostFiles + 1 {
		many = append(many, file(fmt.Sprintf("many/%d", i), ""))
	}
	for name, c := range map[string]struct {
		archive []byte
		says    string
	}{
		"too long":       {gzipped(t, header.String()), "it has more than 536870912 bytes"},
		"too many":       {archiveOf(t, many...), "it has more than 4096 files"},
		"no gzip":        {[]byte("report"), "it is no gzip"},
		"no tar":         {gzipped(t, "report"), "it is no tar"},
		"a cut off file": {gzipped(t, "report.json"+strings.Repeat("\x00", 600)), "it is no tar"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, Unpack(bytes.NewReader(c.archive), t.TempDir()), c.says)
		})
	}
}

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// Whatever is in an archive, it stays below its directory.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(archiveOf(f, file("report.json", "{}"), file("observations/a.json", "{}")))
	f.Add(archiveOf(f, file("../escaped", "x")))
	f.Add(archiveOf(f, entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: ".."}}, file("a/escaped", "x")))
	f.Add(gzipped(f, "no tar"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		above := t.TempDir()
		to := filepath.Join(above, "to")
		require.NoError(t, os.Mkdir(to, 0o755))
		if err := Unpack(bytes.NewReader(archive), to); err != nil {
			assert.NotEmpty(t, err.Error())
		}
		entries, err := os.ReadDir(above)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.NoError(t, filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
			assert.True(t, d.IsDir() || d.Type().IsRegular(), path)
			return err
		}))
	})
}
