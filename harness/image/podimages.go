package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Own writes to a file an archive of the images that are published nowhere, for
// a cluster whose nodes pull everything else.
func (b *Builder) Own(ctx context.Context, to string) error {
	return b.Archive(ctx, to, slices.DeleteFunc(Catalogue(), func(i Image) bool { return i.Place != own })...)
}

// OwnImages are the images that are published nowhere, by their references. They are read
// from the folder work, which must stay for as long as they are used.
func (b *Builder) OwnImages(ctx context.Context, work string) (map[name.Reference]v1.Image, error) {
	archive := filepath.Join(work, "own.tar")
	if err := b.Own(ctx, archive); err != nil {
		return nil, err
	}
	images := map[name.Reference]v1.Image{}
	for _, i := range Catalogue() {
		if i.Place != own {
			continue
		}
		tag, err := name.NewTag(i.Reference)
		if err != nil {
			return nil, err
		}
		if images[tag], err = tarball.ImageFromPath(archive, &tag); err != nil {
			return nil, fmt.Errorf("reading %s, which was just made: %w", i.Reference, err)
		}
	}
	return images, nil
}

// Archive makes images from packages and writes them to a file, from which a node
// can load them.
func (b *Builder) Archive(ctx context.Context, to string, images ...Image) error {
	parts, err := b.parts(DefaultKubernetes())
	if err != nil {
		return err
	}
	others, err := b.builtParts(spares())
	if err != nil {
		return err
	}
	parts = slices.DeleteFunc(append(parts, others...), func(p part) bool {
		return !slices.ContainsFunc(images, func(i Image) bool { return i.recipe.uses(p.name) || i.recipe.debian && p.name == podRootfs.name })
	})
	folders := map[string]string{}
	t := newTracker(b.progress, names(parts))
	for _, p := range parts {
		if err := t.track(p.name, func() (err error) {
			folders[p.name], err = b.store.Get(ctx, p.name, p.key, p.make)
			return err
		}); err != nil {
			return err
		}
	}
	if err := b.addModules(ctx, folders, images); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(to), "images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	assembled, err := podImages(work, folders, images)
	if err != nil {
		return err
	}
	return tarball.MultiRefWriteToFile(to, assembled)
}

// podImages assembles images of the parts in the folders.
func podImages(dir string, folders map[string]string, wanted []Image) (map[name.Reference]v1.Image, error) {
	images := map[name.Reference]v1.Image{}
	for _, i := range wanted {
		layer, err := os.MkdirTemp(dir, i.Name+"-") // there may be two versions of it
		if err != nil {
			return nil, err
		}
		files := slices.Clone(i.recipe.programs)
		for n, f := range files {
			if f.content != nil {
				continue
			}
			part, rest, _ := strings.Cut(f.from, "/")
			files[n].from = filepath.Join(folders[part], rest)
		}
		if err := writeLayer(filepath.Join(layer, "layer.tar"), files); err != nil {
			return nil, fmt.Errorf("assembling the image %s: %w", i.Name, err)
		}
		stackOf := []string{layer}
		if i.recipe.debian {
			stackOf = []string{folders[podRootfs.name], layer}
		}
		img, err := stack(v1.Config{
			User:       i.recipe.user,
			Env:        append(i.recipe.env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
			Entrypoint: i.recipe.entry,
			// It has upstream's name, since that is what manifests ask for. It is not upstream's.
			Labels: map[string]string{
				vendorLabel:                            vendor,
				"org.opencontainers.image.description": "made from packages: " + i.recipe.String(),
			},
		}, stackOf...)
		if err != nil {
			return nil, err
		}
		ref, err := name.NewTag(i.Reference)
		if err != nil {
			return nil, err
		}
		images[ref] = img
	}
	return images, nil
}

// How an image says that it was made here.
const (
	vendorLabel = "org.opencontainers.image.vendor"
	vendor      = "mtls-scrape-conformance"
)
