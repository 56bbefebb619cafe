package reports

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// files is how many files a run has in its directory.
var files = 1 + len(Formats()) + 1 // report.json, the formats, the attestation

// write is WriteAll without a key.
func write(dir string, r Report) error {
	_, err := WriteAll(dir, r, nil)
	return err
}

func TestWriteAndRead(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out", "x1")
			require.NoError(t, write(dir, sample()))

			info, err := os.Stat(filepath.Join(dir, FileName))
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o644), info.Mode().Perm())
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Len(t, entries, files, "no temporary file remains")

			got, err := Read(dir)
			require.NoError(t, err)
			require.NoError(t, got.Validate())
			want, err := Encode(sample())
			require.NoError(t, err)
			again, err := Encode(got)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(again))
		})
	}
}

func TestWriteReplaces(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, write(dir, failing()))
	require.NoError(t, write(dir, good()))
	r, err := Read(filepath.Join(dir, FileName))
	require.NoError(t, err)
	assert.Equal(t, Pass, r.Verdict)
}

func TestWriteAllListsWhatItWrote(t *testing.T) {
	dir := t.TempDir()
	written, err := WriteAll(dir, failing(), nil)
	require.NoError(t, err)
	assert.Len(t, written, files)
	for _, name := range written {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.NotZero(t, info.Size(), name)
	}
}

func TestWriteAllLosesNoFormatOverAnother(t *testing.T) {
	for _, f := range Formats() {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, f.File, "full"), 0o755))
		written, err := WriteAll(dir, good(), nil)
		require.ErrorContains(t, err, filepath.Join(dir, f.File))
		assert.Len(t, written, files-1)
		assert.Contains(t, written, FileName)
	}
}

func TestWriteConcludes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, write(dir, Report{SchemaVersion: SchemaVersion, RunID: "crashed"}))
	r, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, ExitInconclusive, r.ExitCode)
}

func TestEncodeHasNoNullAndNoLostReport(t *testing.T) {
	r := Report{
		Checks: []Check{{DurationSeconds: math.NaN()}},
		Phases: []Phase{{Seconds: math.Inf(1)}}, Repetitions: &Repetitions{High: math.NaN(), Phases: []PhaseStatistic{{HalfWidthSeconds: math.NaN()}}},
	}
	data, err := Encode(r)
	require.NoError(t, err)
	assert.NotContains(t, string(data), "null")
	assert.True(t, math.IsNaN(r.Checks[0].DurationSeconds), "the caller's report is left alone")
}

func TestEncodeIsReadable(t *testing.T) {
	r := good()
	r.StartedAt = r.StartedAt.In(time.FixedZone("east", 7200))
	r.Checks[0].Evidence[0].Text = "10.0.0.1->10.0.0.2 <reset> & \x1b[31m"
	data, err := Encode(r)
	require.NoError(t, err)
	assert.Contains(t, string(data), `10.0.0.1->10.0.0.2 <reset> & \u001b[31m`)
	assert.Contains(t, string(data), `"startedAt": "2026-09-01T06:30:00Z"`)
}

func TestWriteNamesTheFileAndTheNextStep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	err := write(filepath.Join(file, "x1"), good())
	require.ErrorContains(t, err, filepath.Join(file, "x1", FileName))
	require.ErrorContains(t, err, "move it away")

	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, FileName, "full"), 0o755))
	require.Error(t, write(dir, good()))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file remains after an error, and no other format")
}

func TestWriteIntoAReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	require.ErrorContains(t, write(dir, good()), "make the directory writable")
}

func TestNextStep(t *testing.T) {
	for err, want := range map[syscall.Errno]string{
		syscall.ENOSPC:  "free some space",
		syscall.EDQUOT:  "free some space",
		syscall.EACCES:  "make the directory writable",
		syscall.EPERM:   "make the directory writable",
		syscall.EROFS:   "make the directory writable",
		syscall.ENOTDIR: "move it away",
		syscall.EISDIR:  "move it away",
		syscall.EIO:     "check the directory",
	} {
		assert.Contains(t, nextStep(&os.PathError{Op: "write", Path: "x", Err: err}), want, err)
	}
}

func TestLink(t *testing.T) {
	cases := map[string]struct {
		before func(link string) error
		says   string
	}{
		"nothing there":     {func(string) error { return nil }, ""},
		"another run":       {func(link string) error { return os.Symlink("x0", link) }, ""},
		"a stale link":      {func(link string) error { return os.Symlink("gone", link) }, ""},
		"a link to a loop":  {func(link string) error { return os.Symlink("latest", link) }, ""},
		"a link to outside": {func(link string) error { return os.Symlink("/", link) }, ""},
		"a file":            {func(link string) error { return os.WriteFile(link, []byte("x"), 0o600) }, ""},
		"a directory":       {func(link string) error { return os.Mkdir(link, 0o755) }, "it is a directory, which is not replaced"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			link := filepath.Join(out, "latest")
			require.NoError(t, os.Mkdir(filepath.Join(out, "x0"), 0o755))
			require.NoError(t, c.before(link))
			require.NoError(t, write(filepath.Join(out, "x1"), good()))
			err := Link(out, "x1")
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				require.ErrorContains(t, err, link)
				assert.DirExists(t, link)
				return
			}
			require.NoError(t, err)
			target, err := os.Readlink(link)
			require.NoError(t, err)
			assert.Equal(t, "x1", target, "relative, so that the directory can be moved")
			_, err = Read(link)
			require.NoError(t, err)
			entries, err := os.ReadDir(out)
			require.NoError(t, err)
			assert.Len(t, entries, 3, "x0, x1, latest and no temporary directory")
		})
	}
}

func TestLinkRefusesWhatIsNoRun(t *testing.T) {
	out := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(out, "file"), nil, 0o600))
	for _, id := range []string{"", ".", "..", "latest", "a/b", "../x", "gone", "file"} {
		require.Error(t, Link(out, id), id)
	}
	assert.NoFileExists(t, filepath.Join(out, "latest"))
}

func TestLinkOfManyRunsAtOnce(t *testing.T) {
	out := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := fmt.Sprintf("x%d", i)
			assert.NoError(t, write(filepath.Join(out, id), good()))
			assert.NoError(t, Link(out, id))
			_, err := Read(filepath.Join(out, "latest"))
			assert.NoError(t, err, "a reader always finds some run")
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	assert.Len(t, entries, 9)
}

func TestSchemaIsACopy(t *testing.T) {
	s := Schema()
	require.True(t, json.Valid(s))
	s[0] = 'x'
	assert.True(t, json.Valid(Schema()))
}
