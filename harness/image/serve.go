package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Server is a registry in this process. The layers of the images that it is filled
// with stay where they are, on disk; it copies none.
type Server struct {
	http.Handler
	blobs *blobs
}

// NewServer makes an empty registry.
func NewServer() *Server {
	b := &blobs{open: map[v1.Hash]blob{}}
	return &Server{blobs: b, Handler: registry.New(registry.WithBlobHandler(b), registry.Logger(log.New(io.Discard, "", 0)))}
}

// Fill puts images into the registry, which must answer to the transport already.
func (s *Server) Fill(ctx context.Context, images map[name.Reference]v1.Image, transport http.RoundTripper) error {
	for ref, img := range images {
		layers, err := img.Layers()
		if err != nil {
			return err
		}
		for _, l := range layers {
			if err := s.blobs.lend(l); err != nil {
				return fmt.Errorf("serving a layer of %s: %w", ref, err)
			}
		}
		if err := remote.Write(ref, img, options(ctx, transport)...); err != nil {
			return fmt.Errorf("serving %s: %w", ref, err)
		}
	}
	return nil
}

// blobs are what the registry's manifests are made of: layers that are lent, and
// small things that clients put, such as configurations and charts.
type blobs struct {
	mu   sync.Mutex
	open map[v1.Hash]blob
}

type blob struct {
	size int64
	open func() (io.ReadCloser, error)
}

// lend makes a layer readable for as long as it exists.
func (b *blobs) lend(l v1.Layer) error {
	hash, err := l.Digest()
	if err != nil {
		return err
	}
	size, err := l.Size()
	if err != nil {
		return err
	}
	b.keep(hash, blob{size, l.Compressed})
	return nil
}

func (b *blobs) keep(hash v1.Hash, what blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[hash] = what
}

func (b *blobs) find(hash v1.Hash) (blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	what, ok := b.open[hash]
	if !ok {
		return blob{}, registry.ErrNotFound
	}
	return what, nil
}

// Stat is the size of a blob. The error is the registry's for one that is not there.
func (b *blobs) Stat(_ context.Context, _ string, hash v1.Hash) (int64, error) {
	what, err := b.find(hash)
	return what.size, err
}

// Get reads a blob. The error is the registry's for one that is not there, or the
// disk's.
func (b *blobs) Get(_ context.Context, _ string, hash v1.Hash) (io.ReadCloser, error) {
	what, err := b.find(hash)
	if err != nil {
		return nil, err
	}
	return what.open()
}

// Put keeps a blob in memory. The error is that of reading it: the registry checks
// its digest meanwhile.
func (b *blobs) Put(_ context.Context, _ string, hash v1.Hash, content io.ReadCloser) error {
	defer content.Close()
	all, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	b.keep(hash, blob{int64(len(all)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(all)), nil }})
	return nil
}

// publishedNode stands in for kind's own node image in a registry: like that, it has
// only Kubernetes' images inside and a manifest for kind to install, where kind's
// brings its pod network. This one's network needs nothing installed.
var publishedNode = nodeVariant{
	kubernetes: DefaultKubernetes(),
	images:     "published-images", node: "published-node",
	inside: func(i Image) bool { return i.Place == node },
	files:  []file{{path: "/kind/manifests/default-cni.yaml", content: []byte(noNetwork)}},
}

// noNetwork is a manifest, as kind insists on one, that changes nothing.
const noNetwork = `apiVersion: v1
kind: ConfigMap
metadata:
  name: pod-network
  namespace: kube-system
data:
  type: ptp, part of the node image
`

// Published makes from packages every image that a run in registry mode pulls, under
// the names that upstream's have. They are read from the folder work, which must stay
// for as long as they are used.
func (b *Builder) Published(ctx context.Context, work string) (map[name.Reference]v1.Image, error) {
	if err := ensureHostTools(ctx); err != nil {
		return nil, err
	}
	parts, err := b.parts(publishedNode.kubernetes)
	if err != nil {
		return nil, err
	}
	key, err := b.nodeKey(parts, publishedNode.kubernetes)
	if err != nil {
		return nil, err
	}
	t := newTracker(b.progress, append(names(parts), publishedNode.images, publishedNode.node))
	folders, err := b.buildAll(ctx, parts, t)
	if err != nil {
		return nil, err
	}
	images, err := podImages(work, folders, slices.DeleteFunc(Catalogue(), func(i Image) bool { return i.Place != pod }))
	if err != nil {
		return nil, err
	}
	ref, err := name.NewTag(Find("node").Reference)
	if err != nil {
		return nil, err
	}
	err = b.assemble(ctx, publishedNode, keyOf(string(key), noNetwork), folders, t, func(img v1.Image) error {
		images[ref] = img
		return nil
	})
	return images, err
}

// Pull takes an image from a registry through this process and gives it to the
// engine, which so need not trust a mirror or know of it. It returns the tag that the
// image has there, and takes nothing that is there already. The error is a [Refusal],
// or the engine's.
func (b *Builder) Pull(ctx context.Context, reference string, transport http.RoundTripper) (tag string, err error) {
	ref, err := name.NewDigest(reference)
	if err != nil {
		return "", err
	}
	tag = "mtls-scrape-conformance/pulled:" + strings.TrimPrefix(ref.DigestStr(), "sha256:")[:12]
	if _, err := b.engine.Output(ctx, "image", "inspect", "--format", "{{.Id}}", tag); err == nil {
		return tag, nil
	}
	img, err := remote.Image(ref, append(options(ctx, transport), remote.WithPlatform(platform))...)
	if err != nil {
		return "", refused(ref, transport, err)
	}
	if err := b.load(ctx, tag, img); err != nil {
		return "", fmt.Errorf("giving %s to the container engine: %w", reference, err)
	}
	return tag, nil
}
