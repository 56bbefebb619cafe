package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// referenceAnnotation is what the OCI's image layout has for the name of an image.
const referenceAnnotation = "org.opencontainers.image.ref.name"

// Save writes what lies at references, for every platform and so with the digests
// that it has there, and images that are at hand, into one archive in the OCI's image
// layout. The error is a [Refusal], or the disk's.
func Save(ctx context.Context, file string, references []string, atHand map[name.Reference]v1.Image, transport http.RoundTripper) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(file), ".images-")
	if err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	defer os.RemoveAll(dir)
	saved, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	for _, reference := range references {
		ref, err := name.ParseReference(reference)
		if err != nil {
			return err
		}
		d, err := remote.Get(ref, options(ctx, transport)...)
		if err != nil {
			return refused(ref, transport, err)
		}
		named := layout.WithAnnotations(map[string]string{referenceAnnotation: reference})
		if err := appendTo(saved, d, named); err != nil {
			return fmt.Errorf("saving %s: %w", reference, explain(err, dir))
		}
	}
	for ref, img := range atHand {
		if err := saved.AppendImage(img, layout.WithAnnotations(map[string]string{referenceAnnotation: ref.String()})); err != nil {
			return fmt.Errorf("saving %s: %w", ref, explain(err, dir))
		}
	}
	return pack(dir, file)
}

func appendTo(saved layout.Path, d *remote.Descriptor, named layout.Option) error {
	if d.MediaType.IsIndex() {
		index, err := d.ImageIndex()
		if err != nil {
			return err
		}
		return saved.AppendIndex(index, named)
	}
	img, err := d.Image()
	if err != nil {
		return err
	}
	return saved.AppendImage(img, named)
}

// pack writes a folder as an archive, which is there once it is whole.
func pack(dir, file string) error {
	unfinished := file + ".unfinished"
	out, err := os.Create(unfinished)
	if err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	defer os.Remove(unfinished) // gone by then, if all went well
	w := tar.NewWriter(out)
	err = errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), out.Close())
	if err == nil {
		err = os.Rename(unfinished, file)
	}
	if err != nil {
		return fmt.Errorf("saving images: %w", explain(err, dir))
	}
	return nil
}

// Load puts what [Save] saved into a registry, below a path of it if one is given, and
// returns how much it was. Without a path a run finds it there for which the registry is
// the mirror, with one a run that is told of the prefix; see [References.Below]. It logs in
// as the container engine's configuration says. The error is the registry's, or that of an
// archive that is none.
func Load(ctx context.Context, file string, to Mirror, below string) (loaded int, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(file), ".images-")
	if err != nil {
		return 0, fmt.Errorf("loading images: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := unpack(file, dir); err != nil {
		return 0, fmt.Errorf("reading the archive %s: %w", file, explain(err, dir))
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return 0, fmt.Errorf("%s is no archive of images: %w (`images save` makes one)", file, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return 0, fmt.Errorf("reading the archive %s: %w", file, err)
	}
	for _, d := range manifest.Manifests {
		if err := push(ctx, index, d, to, below); err != nil {
			return loaded, err
		}
		loaded++
	}
	return loaded, nil
}

// push puts one image of an archive under its repository and tag.
func push(ctx context.Context, index v1.ImageIndex, d v1.Descriptor, to Mirror, below string) error {
	tagged, _, _ := strings.Cut(d.Annotations[referenceAnnotation], "@")
	from, err := name.NewTag(tagged)
	if err != nil {
		return fmt.Errorf("an image of the archive has no name: %w", err)
	}
	var insecure []name.Option
	if to.Scheme == "http" {
		insecure = append(insecure, name.Insecure)
	}
	ref, err := name.NewTag(path.Join(to.Host, below, from.RepositoryStr())+":"+from.TagStr(), insecure...)
	if err != nil {
		return err
	}
	var what remote.Taggable
	if d.MediaType.IsIndex() {
		what, err = index.ImageIndex(d.Digest)
	} else {
		what, err = index.Image(d.Digest)
	}
	if err != nil {
		return fmt.Errorf("reading %s from the archive: %w", from, err)
	}
	if err := remote.Push(ref, what, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("putting %s into the registry: %w (see that it may be written to; log in with the container engine if it asks for that)", ref, err)
	}
	return nil
}

// unpack writes the files of an archive into a folder, and none outside it.
func unpack(file, dir string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(h.Name), 0o755); err != nil {
			return err
		}
		out, err := root.Create(h.Name)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}
