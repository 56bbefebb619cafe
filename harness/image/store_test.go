package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMovingAByteBetweenPartsChangesTheKey(t *testing.T) {
	seen := map[Key][]string{}
	for _, parts := range [][]string{
		{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"b", "a"}, {"1:a"}, {"1", "a"}, {"a1:b"},
	} {
		key := keyOf(parts...)
		other, taken := seen[key]
		assert.False(t, taken, "%q has the key of %q", parts, other)
		seen[key] = parts
	}
	assert.Equal(t, keyOf("a", "b"), keyOf("a", "b"), "the same parts give the same key")
}

func FuzzKeysOfDifferentPartsDiffer(f *testing.F) {
	f.Add("a", "b", 1)
	f.Add("1:a", "", 0)
	f.Fuzz(func(t *testing.T, a, b string, move int) {
		if move <= 0 || move > len(b) {
			return
		}
		assert.NotEqual(t, keyOf(a, b), keyOf(a+b[:move], b[move:]))
	})
}

func TestKeyOfAFolder(t *testing.T) {
	folder := func(t *testing.T, files map[string]string) Key {
		dir := t.TempDir()
		for name, content := range files {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
		}
		key, err := keyOfFolder(dir)
		require.NoError(t, err)
		return key
	}
	base := folder(t, map[string]string{"go.mod": "a", "main.go": "b"})
	for name, c := range map[string]struct {
		files map[string]string
		same  bool
	}{
		"does not depend on where it lies":  {map[string]string{"go.mod": "a", "main.go": "b"}, true},
		"does not depend on tests":          {map[string]string{"go.mod": "a", "main.go": "b", "main_test.go": "c"}, true},
		"does not depend on folders below":  {map[string]string{"go.mod": "a", "main.go": "b", "below/x.go": "c"}, true},
		"changes with a file's content":     {map[string]string{"go.mod": "a", "main.go": "c"}, false},
		"changes with a file's name":        {map[string]string{"go.mod": "a", "other.go": "b"}, false},
		"changes with one more file":        {map[string]string{"go.mod": "a", "main.go": "b", "z.go": ""}, false},
		"changes when files swap contents":  {map[string]string{"go.mod": "b", "main.go": "a"}, false},
		"changes when a name takes a byte":  {map[string]string{"go.moda": "", "main.go": "b"}, false},
		"changes when a file is taken away": {map[string]string{"go.mod": "a"}, false},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.same, base == folder(t, c.files)) })
	}

	_, err := keyOfFolder(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorContains(t, err, "reading the recipe in")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// newTestStore is an empty store, and a function that lists what is in one of its
// folders, locks left out.
func newTestStore(t *testing.T) (*Store, func(folder string) []string) {
	dir := t.TempDir()
	s, err := NewStore(dir)
	require.NoError(t, err)
	return s, func(folder string) []string {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		require.NoError(t, err)
		names := []string{}
		for _, e := range entries {
			if filepath.Ext(e.Name()) != lockSuffix {
				names = append(names, e.Name())
			}
		}
		return names
	}
}

// write is a build that makes one file.
func write(content string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "f"), []byte(content), 0o644)
	}
}

func mustNotBuild(context.Context, string) error { return errors.New("it was built") }

func TestGetBuildsAndKeeps(t *testing.T) {
	s, list := newTestStore(t)
	key := keyOf("x")
	assert.False(t, s.Has("a", key))

	dir, err := s.Get(t.Context(), "a", key, write("content"))
	require.NoError(t, err)
	assert.True(t, s.Has("a", key))
	assert.FileExists(t, filepath.Join(dir, "f"))
	assert.Empty(t, list("unfinished"))

	again, err := s.Get(t.Context(), "a", key, mustNotBuild)
	require.NoError(t, err)
	assert.Equal(t, dir, again, "a hit builds nothing")
}

func TestGetTellsArtefactsApartByNameAndKey(t *testing.T) {
	s, list := newTestStore(t)
	for _, a := range []struct{ name, part string }{{"a", "1"}, {"a", "2"}, {"b", "1"}} {
		_, err := s.Get(t.Context(), a.name, keyOf(a.part), write(a.name+a.part))
		require.NoError(t, err)
	}
	assert.Len(t, list("artefacts"), 3)
}

func TestAFailingBuildLeavesNothing(t *testing.T) {
	s, list := newTestStore(t)
	wrong := errors.New("wrong")
	_, err := s.Get(t.Context(), "a", keyOf("x"), func(ctx context.Context, dir string) error {
		return errors.Join(write("half")(ctx, dir), wrong)
	})
	require.ErrorIs(t, err, wrong)
	require.ErrorContains(t, err, "building a: ")
	assert.False(t, s.Has("a", keyOf("x")))
	assert.Empty(t, list("artefacts"))
	assert.Empty(t, list("unfinished"))

	_, err = s.Get(t.Context(), "a", keyOf("x"), write("whole"))
	assert.NoError(t, err, "and the next one may try again")
}

func TestWhatAKilledBuildLeftIsCleared(t *testing.T) {
	s, list := newTestStore(t)
	unfinished := filepath.Join(s.dir, "unfinished", "a-"+keyOf("x").Short())
	require.NoError(t, os.MkdirAll(unfinished, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(unfinished, "garbage"), nil, 0o644))
	assert.False(t, s.Has("a", keyOf("x")), "it must not be taken for an artefact")

	dir, err := s.Get(t.Context(), "a", keyOf("x"), func(ctx context.Context, dir string) error {
		entries, err := os.ReadDir(dir)
		assert.Empty(t, entries)
		return errors.Join(err, write("")(ctx, dir))
	})
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(dir, "garbage"))
	assert.Empty(t, list("unfinished"))
}

func TestConcurrentGetsBuildOnce(t *testing.T) {
	s, _ := newTestStore(t)
	const runs = 4
	var builds atomic.Int32
	var begun, all sync.WaitGroup
	begun.Add(runs)
	for range runs {
		all.Go(func() {
			begun.Done()
			_, err := s.Get(t.Context(), "a", keyOf("x"), func(ctx context.Context, dir string) error {
				builds.Add(1)
				begun.Wait() // by now each of the others wants it as well
				return write("")(ctx, dir)
			})
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, builds.Load())
}

// holdBuild starts a build of a and returns once it runs; release lets it end.
func holdBuild(t *testing.T, s *Store) (release func()) {
	started, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_, err := s.Get(t.Context(), "a", keyOf("x"), func(ctx context.Context, dir string) error {
			close(started)
			<-goOn
			return write("")(ctx, dir)
		})
		assert.NoError(t, err)
	}()
	<-started
	return func() { close(goOn); <-ended }
}

func TestAnInterruptEndsTheWaitForAnotherRun(t *testing.T) {
	s, _ := newTestStore(t)
	defer holdBuild(t, s)()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)

	_, err := s.Get(ctx, "a", keyOf("x"), mustNotBuild)
	require.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "waiting for another run to finish building a-")
	assert.ErrorContains(t, err, lockSuffix, "it names what is held")
}

func TestErrorsNameTheCure(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		says string // empty if there is no known cure
	}{
		"a full disk":            {&fs.PathError{Op: "write", Path: "layer.tar", Err: syscall.ENOSPC}, "set CACHE to another disk"},
		"a program on full disk": {errors.New("exit status 1\n    tar: f: No space: no space left on device"), "set CACHE to another disk"},
		"no permission":          {fmt.Errorf("x: %w", &fs.PathError{Op: "open", Path: "f", Err: syscall.EACCES}), "set CACHE to a folder that can be written"},
		"anything else":          {errors.New("else"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newTestStore(t)
			_, err := s.Get(t.Context(), "a", keyOf("x"), func(context.Context, string) error { return c.err })
			require.ErrorIs(t, err, c.err)
			assert.Contains(t, err.Error(), c.says)
			if c.says == "" {
				assert.NotContains(t, err.Error(), "CACHE")
			}
		})
	}
}

func TestAStoreThatCannotBeMadeNamesTheCure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := NewStore(file)
	assert.ErrorContains(t, err, "set CACHE to a folder that can be written")
}

func TestAStoreThatCannotBeWrittenNamesTheCure(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	s, _ := newTestStore(t)
	unfinished := filepath.Join(s.dir, "unfinished")
	require.NoError(t, os.Chmod(unfinished, 0o555))
	t.Cleanup(func() { _ = os.Chmod(unfinished, 0o755) })
	_, err := s.Get(t.Context(), "a", keyOf("x"), mustNotBuild)
	assert.ErrorContains(t, err, "set CACHE to a folder that can be written")
}

func TestCacheDir(t *testing.T) {
	t.Run("is CACHE, made absolute", func(t *testing.T) {
		t.Chdir(t.TempDir())
		t.Setenv("CACHE", "here")
		dir, err := CacheDir()
		require.NoError(t, err)
		wd, err := os.Getwd()
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(wd, "here"), dir)
	})
	t.Run("is in the user's cache folder by default", func(t *testing.T) {
		t.Setenv("CACHE", "")
		t.Setenv("XDG_CACHE_HOME", "/somewhere")
		t.Setenv("HOME", "/somewhere")
		dir, err := CacheDir()
		require.NoError(t, err)
		assert.Equal(t, "mtls-scrape-conformance", filepath.Base(dir))
		assert.True(t, filepath.IsAbs(dir))
	})
	t.Run("says what to set where there is none", func(t *testing.T) {
		t.Setenv("CACHE", "")
		t.Setenv("XDG_CACHE_HOME", "")
		t.Setenv("HOME", "")
		_, err := CacheDir()
		assert.ErrorContains(t, err, "set CACHE")
	})
}
