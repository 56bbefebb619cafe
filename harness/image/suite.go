package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// SuiteReference is what the suite's own image is called unless it has another name. No
// registry has it: nodes load it from an archive.
const SuiteReference = "localhost/mtls-scrape-conformance/suite:1"

// runPackage has the variables that say which version a binary is of.
const runPackage = "github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"

// SuiteImage says how to make the suite's own image.
type SuiteImage struct {
	Reference       string // of the image in its archive
	Version, Commit string // as reports of it say; empty for what the code says
}

// Write builds the test binary from the checkout at root and writes an archive of an
// image with nothing else in it, as scripts/Dockerfile has it. It takes the Go tool and
// no container engine. It is in no node image, and so in no catalogue: whatever changes
// in the suite would change those.
func (s SuiteImage) Write(ctx context.Context, root, to string) error {
	// A name that leaves the registry out means another one to each container runtime.
	ref, err := name.NewTag(s.Reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("the suite's image cannot be called %q: %w (use host/path:tag)", s.Reference, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(to), ".suite-")
	if err != nil {
		return fmt.Errorf("making room for the suite's image: %w", explain(err, filepath.Dir(to)))
	}
	defer os.RemoveAll(work)
	programs := filepath.Join(work, "suite")
	if err := os.Mkdir(programs, 0o755); err != nil {
		return err
	}
	build := command{dir: root, env: goEnvironment, name: "go", args: s.arguments(filepath.Join(programs, "conformance"))}
	if _, err := build.run(ctx); err != nil {
		return fmt.Errorf("building the suite: %w", explain(err, work))
	}
	image := suiteImage
	image.Reference = ref.Name()
	images, err := podImages(work, map[string]string{"suite": programs}, []Image{image})
	if err != nil {
		return err
	}
	archive := filepath.Join(work, "image.tar")
	if err := tarball.MultiRefWriteToFile(archive, images); err != nil {
		return fmt.Errorf("writing the suite's image: %w", explain(err, work))
	}
	return os.Rename(archive, to)
}

// suiteImage has what scripts/Dockerfile has.
var suiteImage = Image{
	Name: "suite", Reference: SuiteReference, Place: own,
	recipe: withUser(static("suite/conformance", "/conformance"), "65534:65534"),
}

// arguments are those by which the Go tool builds the binary.
func (s SuiteImage) arguments(to string) []string {
	ldflags := "-s -w"
	if s.Version != "" {
		ldflags += " -X " + runPackage + ".Version=" + s.Version
	}
	if s.Commit != "" {
		ldflags += " -X " + runPackage + ".Commit=" + s.Commit
	}
	return []string{"test", "-c", "-ldflags", ldflags, "-o", to, "./suites/conformance"}
}

// Push puts the image of an archive that [SuiteImage.Write] wrote into the registry that
// its name begins with. It logs in as the container engine's configuration says.
func Push(ctx context.Context, archive string) (reference string, err error) {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil {
		return "", fmt.Errorf("%s is no archive of an image: %w (`images suite` makes one)", archive, err)
	}
	if len(manifest) != 1 || len(manifest[0].RepoTags) != 1 {
		return "", fmt.Errorf("%s has not one image with one name: `images suite` makes such an archive", archive)
	}
	ref, err := name.NewTag(manifest[0].RepoTags[0])
	if err != nil {
		return "", fmt.Errorf("the image of %s has no name: %w", archive, err)
	}
	img, err := tarball.ImageFromPath(archive, &ref)
	if err != nil {
		return "", fmt.Errorf("reading the image of %s: %w", archive, err)
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return "", fmt.Errorf("putting %s into its registry: %w (see that it may be written to; log in with the container engine if it asks for that)", ref, err)
	}
	return ref.Name(), nil
}
