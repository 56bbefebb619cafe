// Package parcel carries the directory of a run out of a pod of which nothing can be
// had but its log, and packs it for whoever else takes a directory as one file.
//
// A parcel is a gzip'd tar of plain files, in base64 between two lines that say whose it
// is, how long and with which digest. Who opens one trusts nobody: it is within bounds,
// whole, and writes nothing but plain files below its directory. The package knows
// neither clusters nor reports.
//
// Read [Send] and [Receiver] first.
package parcel

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// MostPacked bounds a packed directory, in bytes. In base64 it has 8 MiB, and with
	// what the run prints fits into one log file of a kubelet, which begins a new one
	// after 10 MiB by default and then gives only that:
	// https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation
	// A pass over ten thousand targets was measured to keep 85 MB, which pack to 1.3 MB.
	MostPacked = 6 << 20
	// mostUnpacked bounds what is written of a parcel, in bytes: as much as
	// manifests/certify/job.yaml gives a run room for. More is no report but a bomb.
	mostUnpacked = 512 << 20
	// mostFiles bounds how many files that may be. A run of every check keeps some
	// dozens; one repeated a hundred times some hundreds.
	mostFiles = 4096
	// longestName bounds a path, in bytes: the longest that a run writes has some dozens.
	longestName = 255
)

// TooLargeError says that a directory does not fit.
type TooLargeError struct {
	Dir  string
	Most int // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s packs to more than %d bytes", e.Dir, e.Most)
}

// Pack writes the plain files below a directory as a gzip'd tar, by their paths below it
// and in the order of their names, but for those of which skip, given that path, says so.
// Links and what else is no file are left out.
func Pack(w io.Writer, dir string, skip func(name string) bool) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil || skip(filepath.ToSlash(name)) {
			return err
		}
		return add(t, file, filepath.ToSlash(name))
	})
	if err = errors.Join(err, t.Close(), z.Close()); err != nil {
		return fmt.Errorf("packing %s: %w", dir, err)
	}
	return nil
}

// All skips nothing.
func All(string) bool { return false }

// PackFile is [Pack] for one file, which need be on no disk.
func PackFile(w io.Writer, name string, content []byte) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	err := put(t, name, bytes.NewReader(content), int64(len(content)))
	if err = errors.Join(err, t.Close(), z.Close()); err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	return nil
}

// add writes a file to an archive. An observation of a large cluster is not held in
// memory for it.
func add(t *tar.Writer, file, name string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return put(t, name, f, info.Size())
}

func put(t *tar.Writer, name string, content io.Reader, size int64) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err := io.CopyN(t, content, size)
	return err
}

// bounded is a buffer that takes no more than so many bytes.
type bounded struct {
	bytes.Buffer
	most int
}

var errFull = errors.New("no room")

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, errFull
	}
	return b.Buffer.Write(p)
}

// packed is a directory in memory. The error is a [TooLargeError] if it does not fit.
func packed(dir string, most int, skip func(string) bool) ([]byte, error) {
	b := &bounded{most: most}
	err := Pack(b, dir, skip)
	if errors.Is(err, errFull) {
		return nil, &TooLargeError{dir, most}
	}
	return b.Bytes(), err
}

// Unpack writes the files of a gzip'd tar below a directory, which must be there. It
// refuses whatever is not a plain file with a relative path, and more than a run writes;
// what it had written by then is the caller's to remove.
func Unpack(archive io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpacking a report: %w", err)
	}
	defer root.Close()
	z, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("unpacking a report: it is no gzip: %w", err)
	}
	// One byte more than is allowed tells a report that is too long from one that fits.
	left := &io.LimitedReader{R: z, N: mostUnpacked + 1}
	t := tar.NewReader(left)
	room := int64(mostUnpacked)
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case left.N == 0:
			return fmt.Errorf("unpacking a report: it has more than %d bytes", mostUnpacked)
		case err != nil:
			return fmt.Errorf("unpacking a report: it is no tar: %w", err)
		case n == mostFiles:
			return fmt.Errorf("unpacking a report: it has more than %d files", mostFiles)
		}
		if err := safe(h); err != nil {
			return err
		}
		// A file with holes is longer than what is read of it.
		if room -= h.Size; room < 0 {
			return fmt.Errorf("unpacking a report: it has more than %d bytes", mostUnpacked)
		}
		if err := write(root, h.Name, t); err != nil {
			return fmt.Errorf("unpacking %q: %w", h.Name, advised(err))
		}
	}
}

// safe refuses an entry that is no plain file below the directory, under a name that
// means the same on every system.
func safe(h *tar.Header) error {
	switch {
	case h.Typeflag != tar.TypeReg:
		return fmt.Errorf("unpacking %q: it is no plain file, and nothing else is taken", h.Name)
	case len(h.Name) > longestName || !fs.ValidPath(h.Name) || h.Name == "." || strings.ContainsAny(h.Name, "\\:\x00"):
		return fmt.Errorf("unpacking %q: its name is no relative path, and nothing is written elsewhere", h.Name)
	}
	return nil
}

func write(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	// A second file of a name would be one that nobody has seen the digest of.
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// advised adds what to do where that is known.
func advised(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (set OUT to a folder with room that can be written)", err)
	}
	return err
}
