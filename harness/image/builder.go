package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
)

const (
	// buildTimeout bounds one build, and the wait for another run's: twice the 20
	// minutes that the whole stack may take on two cores.
	buildTimeout = 40 * time.Minute
	// parallelBuilds is how many parts are built at a time. The Go tool already
	// uses every core; the third place is for what waits on the network or a disk.
	parallelBuilds = 3
	// recipeVersion is part of every key: raise it when the code that carries out
	// the recipes changes what comes out.
	recipeVersion = "3"
)

// Builder makes the node image from packages, with every image of the catalogue
// inside.
type Builder struct {
	root     string // of the checkout
	store    *Store
	engine   *engine.Engine
	progress func(Progress)
}

// NewBuilder prepares a builder that keeps its artefacts in cache and reports to
// progress, which may be nil and is never called twice at the same time.
func NewBuilder(root, cache string, e *engine.Engine, progress func(Progress)) (*Builder, error) {
	store, err := NewStore(cache)
	if err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	return &Builder{root: root, store: store, engine: e, progress: progress}, nil
}

// part is one independent artefact that images are made of.
type part struct {
	name string
	key  Key
	make func(ctx context.Context, dir string) error
}

// parts lists the artefacts that do not depend on each other, in the order in
// which they are begun.
func (b *Builder) parts(k Kubernetes) ([]part, error) {
	var all []part
	// First what waits on the network and on one core: beside it the Go tool, which
	// takes every core it can get, keeps the other busy.
	for _, r := range []rootfs{podRootfs, nodeRootfs} {
		all = append(all, part{r.name, r.key(), r.make})
	}
	built, err := b.builtParts(k.with(components))
	if err != nil {
		return nil, err
	}
	all = append(all, built...)
	envoy, err := envoyKey(b.root)
	if err != nil {
		return nil, err
	}
	return append(all, part{"envoy", envoy, func(ctx context.Context, dir string) error { return makeEnvoy(ctx, b.root, dir) }}), nil
}

// builtParts are what the Go tool makes of components.
func (b *Builder) builtParts(of []component) ([]part, error) {
	var all []part
	for _, c := range of {
		key, err := c.key(b.root)
		if err != nil {
			return nil, err
		}
		all = append(all, part{c.name, key, func(ctx context.Context, dir string) error { return c.make(ctx, b.root, dir) }})
	}
	return all, nil
}

// Node returns the tag of the node image with a minor of Kubernetes in the container
// engine, made from packages if it is not there. Nothing is built that is in the store.
func (b *Builder) Node(ctx context.Context, k Kubernetes) (tag string, err error) {
	parts, err := b.parts(k)
	if err != nil {
		return "", err
	}
	key, err := b.nodeKey(parts, k)
	if err != nil {
		return "", err
	}
	tag = "mtls-scrape-conformance/node:" + key.Short()
	if _, err := b.engine.Output(ctx, "image", "inspect", "--format", "{{.Id}}", tag); err == nil {
		return tag, nil
	}
	if err := ensureHostTools(ctx); err != nil {
		return "", err
	}
	t := newTracker(b.progress, append(names(parts), "images", "node"))
	folders, err := b.buildAll(ctx, parts, t)
	if err != nil {
		return "", err
	}
	return tag, b.assemble(ctx, packagesNode(k), key, folders, t, func(img v1.Image) error { return b.load(ctx, tag, img) })
}

// NodeKey names what [Builder.Node] makes of the default Kubernetes in the checkout at
// root: equal keys mean equal node images. A CI keeps the store by it.
func NodeKey(root string) (Key, error) {
	b := &Builder{root: root}
	k := DefaultKubernetes()
	parts, err := b.parts(k)
	if err != nil {
		return "", err
	}
	return b.nodeKey(parts, k)
}

// nodeKey covers everything that the node image is made of: the parts, the
// catalogue, kind's files (by the suite's go.sum) and the code here.
func (b *Builder) nodeKey(parts []part, k Kubernetes) (Key, error) {
	all := []string{recipeVersion, fmt.Sprintf("%+v", catalogueWith(k.Images())), ptpNetwork, storageClass}
	for _, p := range parts {
		all = append(all, p.name, string(p.key))
	}
	kind, err := pinOf(filepath.Join(b.root, "go.mod"), "sigs.k8s.io/kind")
	if err != nil {
		return "", err
	}
	return keyOf(append(all, kind)...), nil
}

// pinOf reads a module's version from a go.mod.
func pinOf(gomod, module string) (string, error) {
	content, err := os.ReadFile(gomod)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(content)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) >= 2 && f[0] == module {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", gomod, module)
}

// buildAll makes the parts side by side and returns the folder of each.
func (b *Builder) buildAll(ctx context.Context, parts []part, t *tracker) (map[string]string, error) {
	folders := map[string]string{}
	var mu sync.Mutex
	g, buildCtx := errgroup.WithContext(ctx)
	g.SetLimit(parallelBuilds)
	for _, p := range parts {
		g.Go(func() error {
			return t.track(p.name, func() error {
				dir, err := b.store.Get(buildCtx, p.name, p.key, p.make)
				mu.Lock()
				defer mu.Unlock()
				folders[p.name] = dir
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return folders, b.addModules(ctx, folders, Catalogue())
}

// moduleSuffix behind the name of a component stands for the folder of Istio's
// module as the component pins it.
const moduleSuffix = "-module"

// addModules adds the folders of the modules of which images take files as they are.
func (b *Builder) addModules(ctx context.Context, folders map[string]string, images []Image) (err error) {
	for _, i := range images {
		for _, f := range i.recipe.programs {
			part, _, _ := strings.Cut(f.from, "/")
			component, ok := strings.CutSuffix(part, moduleSuffix)
			if !ok {
				continue
			}
			if folders[part], err = ModuleDir(ctx, b.root, component, IstioModule); err != nil {
				return err
			}
		}
	}
	return nil
}

// nodeVariant is what differs between node images.
type nodeVariant struct {
	kubernetes   Kubernetes
	images, node string           // names of its artefacts
	inside       func(Image) bool // the images that are baked in
	files        []file           // in addition
}

// baked are the images inside.
func (v nodeVariant) baked() []Image {
	return slices.DeleteFunc(catalogueWith(v.kubernetes.Images()), func(i Image) bool { return !v.inside(i) })
}

// packagesNode has every image inside.
func packagesNode(k Kubernetes) nodeVariant {
	return nodeVariant{kubernetes: k, images: "images", node: "node", inside: func(i Image) bool { return i.Place != host }}
}

// assemble puts a node image together and hands it on.
func (b *Builder) assemble(ctx context.Context, v nodeVariant, key Key, folders map[string]string, t *tracker, to func(v1.Image) error) error {
	var baked string
	err := t.track(v.images, func() (err error) {
		baked, err = b.store.Get(ctx, v.images, key, func(ctx context.Context, dir string) error {
			return b.bake(ctx, dir, folders, v.baked())
		})
		return err
	})
	if err != nil {
		return err
	}
	return t.track(v.node, func() error {
		files, err := b.nodeFiles(ctx, folders, v.kubernetes)
		if err != nil {
			return err
		}
		dir, err := b.store.Get(ctx, v.node, key, func(_ context.Context, dir string) error {
			return writeLayer(filepath.Join(dir, "layer.tar"), append(files, v.files...))
		})
		if err != nil {
			return err
		}
		img, err := stack(
			v1.Config{Env: []string{"container=docker"}, Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"}, StopSignal: "SIGRTMIN+3"},
			folders[nodeRootfs.name], dir, baked,
		)
		if err != nil {
			return err
		}
		return to(img)
	})
}

// stack makes an image of the layer.tar in each of the folders.
func stack(config v1.Config, folders ...string) (v1.Image, error) {
	img := empty.Image
	for _, f := range folders {
		layer, err := openLayer(filepath.Join(f, "layer.tar"))
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, err
		}
	}
	img, err := mutate.Config(img, config)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = platform.OS, platform.Architecture
	return mutate.ConfigFile(img, file)
}

// load hands an image to the container engine.
func (b *Builder) load(ctx context.Context, tag string, img v1.Image) error {
	ref, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	return b.pipe(ctx, b.engine.Binary, []string{"load"}, func(w io.Writer) error { return tarball.Write(ref, img, w) })
}

// pipe runs a program and feeds it what write produces.
func (b *Builder) pipe(ctx context.Context, program string, args []string, write func(io.Writer) error) error {
	r, w := io.Pipe()
	gaveUp := errors.New("the program reads no more")
	written := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err)
		written <- err
	}()
	_, err := command{name: program, args: args, stdin: r}.run(ctx)
	r.CloseWithError(gaveUp) // it must not block the writer
	// What is wrong with the input is the cause of what the program says of it.
	if writeErr := <-written; writeErr != nil && !errors.Is(writeErr, gaveUp) {
		return fmt.Errorf("writing to %s: %w", program, writeErr)
	}
	return err
}

func names(parts []part) []string {
	var out []string
	for _, p := range parts {
		out = append(out, p.name)
	}
	return out
}
