// Package image knows every image of a run and where each comes from: from
// upstream's registries, or built on this machine from package registries.
//
// It never pulls or loads anything into a running cluster: from packages every
// image is inside the node image before the cluster starts; from a registry the
// nodes pull by reference, by digest where it is known.
//
// Read [Image] first, then [Catalogue]; [Builder] is the packages side.
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Source is where the images of a run come from.
type Source string

// The sources that a user can ask for. Auto is settled by [Choose].
const (
	Registry Source = "registry"
	Packages Source = "packages"
	Auto     Source = "auto"
)

// ParseSource reads a user's choice.
func ParseSource(s string) (Source, error) {
	switch source := Source(s); source {
	case Registry, Packages, Auto:
		return source, nil
	}
	return "", fmt.Errorf("IMAGES=%q is not a source of images: use registry, packages or auto", s)
}

// registryProbe is how long auto waits for a registry's answer. A registry that
// needs longer for one small request would make a run of it crawl.
const registryProbe = 4 * time.Second

// Choose settles auto by asking the registry once for one small image, and says
// why it chose what it chose.
func Choose(ctx context.Context, wanted Source, transport http.RoundTripper) (chosen Source, why string) {
	if wanted != Auto {
		return wanted, "asked for"
	}
	probe := Find("pause")
	ctx, cancel := context.WithTimeout(ctx, registryProbe)
	defer cancel()
	if _, err := resolve(ctx, probe.Reference, transport); err != nil {
		return Packages, fmt.Sprintf("no registry answered for %s", probe.Reference)
	}
	return Registry, "the registry answered for " + probe.Reference
}

// resolve asks a registry for the digest behind a tag.
func resolve(ctx context.Context, reference string, transport http.RoundTripper) (string, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", err
	}
	opts := []remote.Option{remote.WithContext(ctx)}
	if transport != nil {
		opts = append(opts, remote.WithTransport(transport))
	}
	d, err := remote.Head(ref, opts...)
	if err != nil {
		return "", fmt.Errorf("asking the registry for %s: %w", reference, err)
	}
	return d.Digest.String(), nil
}

// References gives the reference to use for every image that is pulled at run
// time, by short name.
type References map[string]string

// PackagesReferences are plain tags: the node has these images inside, or has them
// loaded if they were given to take the place of the catalogue's of the same names.
func PackagesReferences(instead ...Image) References {
	refs := References{}
	for _, i := range catalogueWith(instead) {
		refs[i.Name] = i.Reference
	}
	return refs
}

// RegistryReferences pins every image to a digest. A digest that the catalogue
// does not know is asked for once and kept in lockFile, so that later runs use
// the very same image even if upstream moves the tag. Images that are given take
// the place of the catalogue's of the same names.
func RegistryReferences(ctx context.Context, lockFile string, transport http.RoundTripper, instead ...Image) (References, error) {
	lock, err := readLock(lockFile)
	if err != nil {
		return nil, err
	}
	refs, changed := References{}, false
	for _, i := range catalogueWith(instead) {
		switch i.Place {
		case node: // inside upstream's node image
			continue
		case own: // loaded into the node
			refs[i.Name] = i.Reference
			continue
		}
		digest := i.Digest
		if digest == "" {
			digest = lock[i.Reference]
		}
		if digest == "" {
			if digest, err = resolve(ctx, i.Reference, transport); err != nil {
				return nil, fmt.Errorf("%w (use IMAGES=packages where no registry is in reach)", err)
			}
			lock[i.Reference], changed = digest, true
		}
		refs[i.Name] = i.Reference + "@" + digest
	}
	if changed {
		if err := writeLock(lockFile, lock); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

func readLock(path string) (map[string]string, error) {
	lock := map[string]string{}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return lock, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &lock)
	}
	if err == nil && lock == nil { // the file says null
		err = errors.New("it holds no object")
	}
	for _, reference := range slices.Sorted(maps.Keys(lock)) {
		if _, hashErr := v1.NewHash(lock[reference]); hashErr != nil && err == nil {
			err = fmt.Errorf("the digest of %s: %w", reference, hashErr)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the image lock %s: %w (mend it, or delete it to have the digests asked for again)", path, err)
	}
	return lock, nil
}

func writeLock(path string, lock map[string]string) error {
	content, err := json.MarshalIndent(lock, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("keeping the digests: %w", err)
	}
	unfinished := path + ".unfinished"
	err = os.WriteFile(unfinished, append(content, '\n'), 0o644)
	if err == nil {
		err = os.Rename(unfinished, path)
	}
	if err != nil {
		_ = os.Remove(unfinished) // the first error is the one to tell
		return fmt.Errorf("keeping the digests: %w", err)
	}
	return nil
}
