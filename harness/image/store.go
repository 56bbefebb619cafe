package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// Key names an artefact by what goes into it: the pins, the recipe and the tool
// that carries it out. Equal keys mean equal artefacts.
type Key string

// Short is the part of the key that names files and tags.
func (k Key) Short() string { return string(k)[:12] }

// keyOf hashes its parts in order, each with its length, so that moving a byte
// from one part to the next gives another key.
func keyOf(parts ...string) Key {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return Key(hex.EncodeToString(h.Sum(nil)))
}

// keyOfFolder hashes the files directly in a folder, by name and content. Tests
// are left out: no artefact has them in it.
func keyOfFolder(dir string) (Key, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("reading the recipe in %s: %w", dir, err)
	}
	var parts []string
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		parts = append(parts, e.Name(), string(content))
	}
	return keyOf(parts...), nil
}

// Store is a folder of finished artefacts, each a folder of its own named by its
// key. What is there is whole: an artefact is made under a temporary name and
// renamed, so an interrupted build leaves nothing that could be taken for one.
type Store struct{ dir string }

// NewStore opens the store in dir, which is made if it does not exist.
func NewStore(dir string) (*Store, error) {
	for _, d := range []string{"artefacts", "unfinished"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("making the artefact store: %w (set CACHE to a folder that can be written)", err)
		}
	}
	return &Store{dir: dir}, nil
}

// Has reports whether the artefact is there.
func (s *Store) Has(name string, key Key) bool {
	_, err := os.Stat(s.path(name, key))
	return err == nil
}

func (s *Store) path(name string, key Key) string {
	return filepath.Join(s.dir, "artefacts", name+"-"+key.Short())
}

// Get returns the folder of an artefact, made by build if it is not there yet.
// Two runs that want the same one make it once: the second waits for the first.
func (s *Store) Get(ctx context.Context, name string, key Key, build func(ctx context.Context, dir string) error) (string, error) {
	final := s.path(name, key)
	if s.Has(name, key) {
		return final, nil
	}
	unlock, err := s.lock(ctx, filepath.Base(final))
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.Has(name, key) {
		return final, nil
	}
	// The lock is held, so a folder of this name was left by a killed build.
	unfinished := filepath.Join(s.dir, "unfinished", filepath.Base(final))
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return "", fmt.Errorf("making room for %s: %w", name, explain(err, s.dir))
	}
	defer os.RemoveAll(unfinished)
	if err := build(ctx, unfinished); err != nil {
		return "", fmt.Errorf("building %s: %w", name, explain(err, s.dir))
	}
	if err := os.Rename(unfinished, final); err != nil {
		return "", err
	}
	return final, nil
}

// lock takes the advisory lock of one artefact. The kernel drops it with the
// process, so a killed build never blocks the next one.
func (s *Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := s.openLock(name)
	if err != nil {
		return nil, err
	}
	err = wait.For(ctx, "another run to finish building "+name, func(context.Context) (bool, string, error) {
		switch err := tryLock(f); {
		case err == nil:
			return true, "", nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, "another run holds " + f.Name(), nil
		default:
			return false, "", wait.Stop(err)
		}
	}, wait.Timeout(buildTimeout))
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func (s *Store) openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "unfinished", name+lockSuffix), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", name, explain(err, s.dir))
	}
	return f, nil
}

const lockSuffix = ".lock"

func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// explain adds the next step to errors whose cure is known.
func explain(err error, dir string) error {
	if errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "no space left on device") {
		return fmt.Errorf("%w (the disk that holds %s is full: free about 12 GiB, or set CACHE to another disk)", err, dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (set CACHE to a folder that can be written)", err)
	}
	return err
}

// CacheDir is where artefacts are kept: CACHE if it is set, else the user's own
// cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w (set CACHE)", err)
	}
	return filepath.Join(dir, "mtls-scrape-conformance"), nil
}
