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
	"cmp"
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
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
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
	_, err := resolve(ctx, probe.Reference, transport)
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return Packages, fmt.Sprintf("asked for %s, %s %s", refusal.Image, refusal.Registry, refusal.What)
	case err != nil:
		return Packages, err.Error()
	}
	return Registry, "the registry answered for " + probe.Reference
}

// resolve asks a registry for the digest behind a reference. The error of one that
// does not give it is a [Refusal].
func resolve(ctx context.Context, reference string, transport http.RoundTripper) (string, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", err
	}
	d, err := remote.Head(ref, options(ctx, transport)...)
	if err != nil {
		return "", refused(ref, transport, err)
	}
	return d.Digest.String(), nil
}

// options are the client's for one question.
func options(ctx context.Context, transport http.RoundTripper) []remote.Option {
	opts := []remote.Option{remote.WithContext(ctx)}
	if transport != nil {
		opts = append(opts, remote.WithTransport(transport))
	}
	return opts
}

// LockFile is where the checkout at root keeps upstream's digests.
func LockFile(root string) string { return filepath.Join(root, "harness", "image", "images.lock.json") }

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

// RegistryReferences pins every image to a digest. What lockFile says wins, so that
// a mirror may hold images that somebody built anew; what neither it nor the
// catalogue knows is asked for once and kept there, so that later runs use the very
// same image even if upstream moves the tag. What a mirror answers is not kept, as it
// may not be upstream's. Images that are given take the place of the catalogue's of
// the same names. The error is a [Refusal], or the lock's.
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
		digest := cmp.Or(lock[i.Reference], i.Digest)
		if digest == "" {
			if digest, err = resolve(ctx, i.Reference, transport); err != nil {
				return nil, err
			}
			lock[i.Reference], changed = digest, true
		}
		refs[i.Name] = i.Reference + "@" + digest
	}
	if _, mirrored := transport.(throughMirror); changed && !mirrored {
		if err := writeLock(lockFile, lock); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// Check asks the registries for every image that is pinned to a digest, before a
// cluster is made whose pods would wait for it in vain. The error is a [Refusal] of the
// first image by name that is not there; where its tag has another digest, it says so.
func (r References) Check(ctx context.Context, transport http.RoundTripper) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	names := slices.Sorted(maps.Keys(r))
	failed := make([]error, len(names))
	var g errgroup.Group
	g.SetLimit(parallelQuestions)
	for n, short := range names {
		g.Go(func() error {
			failed[n] = checkPinned(ctx, r[short], transport)
			return nil
		})
	}
	_ = g.Wait() // every error has its place above
	return cmp.Or(failed...)
}

const (
	// parallelQuestions is how many questions registries get at a time: enough that
	// their answers take no longer than the slowest few, too few to be held for abuse.
	parallelQuestions = 4
	// checkTimeout bounds the answers to all of them, each of which takes less than a
	// second where a pull of the same image would not take for ever.
	checkTimeout = 30 * time.Second
)

func checkPinned(ctx context.Context, reference string, transport http.RoundTripper) error {
	tagged, digest, pinned := strings.Cut(reference, "@")
	if !pinned {
		return nil
	}
	_, err := resolve(ctx, reference, transport)
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.status() != http.StatusNotFound {
		return err
	}
	if other, tagErr := resolve(ctx, tagged, transport); tagErr == nil && other != digest {
		refusal.What = "has another image under that tag, with the digest " + other
		refusal.Next = "copy the very image there; if the other is meant, write its digest with `images lock` and give the file with LOCK"
	}
	return err
}

// Lock writes the digests that a registry has now into a file that later runs can
// be given, also those that the catalogue knows. The error is a [Refusal].
func Lock(ctx context.Context, file string, transport http.RoundTripper) error {
	lock := map[string]string{}
	for _, i := range Pulled() {
		digest, err := resolve(ctx, i.Reference, transport)
		if err != nil {
			return err
		}
		lock[i.Reference] = digest
	}
	return writeLock(file, lock)
}

// Pulled are the images of the catalogue that a run in registry mode pulls. Images that
// are given take the place of the catalogue's of the same names.
func Pulled(instead ...Image) []Image {
	return slices.DeleteFunc(catalogueWith(instead), func(i Image) bool { return i.Place != host && i.Place != pod })
}

// FromPackages reports whether an image was made from packages by this project,
// whatever registry it lies in, as its label says. The error is a [Refusal].
func FromPackages(ctx context.Context, reference string, transport http.RoundTripper) (bool, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return false, err
	}
	img, err := remote.Image(ref, append(options(ctx, transport), remote.WithPlatform(platform))...)
	if err != nil {
		return false, refused(ref, transport, err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return false, refused(ref, transport, err)
	}
	return file.Config.Labels[vendorLabel] == vendor, nil
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
