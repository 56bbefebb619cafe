package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one entry of a layer: a file of the host, literal content, or a link.
type file struct {
	path    string // in the image, absolute
	from    string // on the host; used if content is nil and link is empty
	content []byte
	link    string // target of a symbolic link
	mode    int64  // permission bits; 0644 if zero
}

// writeLayer writes a tar with the given files and the folders above them. Times
// and owners are fixed, so equal files give equal bytes.
//
// Folders that the base already has must be named by their real path: Debian's
// /bin, /lib and /sbin are links, and an entry below them would replace the link.
func writeLayer(to string, files []file) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	sort.Slice(files, func(i, j int) bool { return files[i].path < files[j].path })
	made := map[string]bool{".": true, "": true}
	for _, f := range files {
		name := strings.TrimPrefix(path.Clean(f.path), "/")
		if err := writeFolders(w, path.Dir(name), made); err != nil {
			return err
		}
		if err := writeEntry(w, name, f); err != nil {
			return fmt.Errorf("adding %s to the layer: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Close()
}

func writeFolders(w *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := writeFolders(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: time.Unix(0, 0)})
}

func writeEntry(w *tar.Writer, name string, f file) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: f.mode, ModTime: time.Unix(0, 0)}
	if h.Mode == 0 {
		h.Mode = 0o644
	}
	switch {
	case f.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		return w.WriteHeader(h)
	case f.content != nil:
		h.Size = int64(len(f.content))
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(f.content)
		return err
	default:
		in, err := os.Open(f.from)
		if err != nil {
			return err
		}
		defer in.Close()
		info, err := in.Stat()
		if err != nil {
			return err
		}
		h.Size = info.Size()
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = io.Copy(w, in)
		return err
	}
}

// tarLayer is a layer that stays the uncompressed tar it is on disk: it is read
// once on this machine, and compressing it would be the slowest step of all.
type tarLayer struct {
	path string
	hash v1.Hash
	size int64
}

// openLayer reads a layer's digest, or computes and keeps it beside the tar.
func openLayer(tarPath string) (v1.Layer, error) {
	info, err := os.Stat(tarPath)
	if err != nil {
		return nil, err
	}
	l := &tarLayer{path: tarPath, size: info.Size(), hash: v1.Hash{Algorithm: "sha256"}}
	kept := tarPath + ".sha256"
	if sum, err := os.ReadFile(kept); err == nil && len(sum) == 2*sha256.Size {
		l.hash.Hex = string(sum)
		return l, nil
	}
	f, err := os.Open(tarPath)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("hashing %s: %w", filepath.Base(tarPath), err)
	}
	l.hash.Hex = hex.EncodeToString(h.Sum(nil))
	// Best effort: without it the digest is computed again next time.
	_ = os.WriteFile(kept, []byte(l.hash.Hex), 0o644)
	return l, nil
}

func (l *tarLayer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *tarLayer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l *tarLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.path) }
func (l *tarLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }
func (l *tarLayer) Size() (int64, error)                 { return l.size, nil }
func (l *tarLayer) MediaType() (types.MediaType, error)  { return types.DockerUncompressedLayer, nil }
