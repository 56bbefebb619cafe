// Command images prints the image catalogue, builds the node image from packages
// ahead of a run, and fills and pins a mirror.
//
//	images list                  print the catalogue
//	images versions              print the versions that a run can choose, as a CI's matrix
//	images key                   print the key of the node image, for a CI's cache
//	images build                 build the node image from packages
//	images mirror [HOST:PORT]    serve what `build` makes as a registry, until interrupted
//	images lock FILE             write the digests that the registries have now
//	images save FILE             write every image and chart that a run needs into one archive
//	images load FILE             put such an archive into the registry MIRROR or REGISTRY
//	images suite FILE [NAME]     write an archive of the suite's own image, without a container engine
//	images push FILE             put the image of such an archive into the registry of its name
//
// CACHE names the folder for artefacts. MIRROR names a registry for lock and save to
// ask in place of all others, LOCK the digests that save takes, and KUBERNETES, ISTIO,
// PROMETHEUS and OPERATOR other versions for it than a run's own, as their options do. REGISTRY is a prefix, as in
// host:port/path, below which a sandbox's nodes find every image. VERSION and COMMIT are
// those that the suite's own image says it is of.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(int(code))
}

const usage = "usage: images list|versions|key|build|mirror [HOST:PORT]|lock FILE|save FILE|load FILE|suite FILE [NAME]|push FILE"

// verb is one command and how many arguments it takes.
type verb struct {
	least, most int
	do          func(ctx context.Context, args []string, stdout io.Writer) error
}

var verbs = map[string]verb{
	"list":     {0, 0, list},
	"versions": {0, 0, versions},
	"key":      {0, 0, key},
	"build":    {0, 0, build},
	"mirror":   {0, 1, mirror},
	"lock":     {1, 1, lock},
	"save":     {1, 1, save},
	"load":     {1, 1, load},
	"suite":    {1, 2, suite},
	"push":     {1, 1, push},
}

// run carries out one command and returns the exit code, of the same meaning as
// those of the test binary.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) reports.ExitCode {
	if len(args) == 0 {
		fmt.Fprintln(stderr, usage)
		return reports.ExitUsage
	}
	v, known := verbs[args[0]]
	args = args[1:]
	if !known || len(args) < v.least || len(args) > v.most {
		fmt.Fprintln(stderr, usage)
		return reports.ExitUsage
	}
	err := v.do(ctx, args, stdout)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	if ctx.Err() != nil {
		return reports.ExitInterrupted
	}
	return reports.ExitSetupFailed
}

func list(_ context.Context, _ []string, stdout io.Writer) error {
	_, err := fmt.Fprint(stdout, image.Table(image.Catalogue()))
	return err
}

// versions has a list for every option that chooses a version, by the option's name.
func versions(_ context.Context, _ []string, stdout io.Writer) error {
	return json.NewEncoder(stdout).Encode(map[string][]string{
		"kubernetes": image.KubernetesVersions(), "istio": image.Istio.Versions, "prometheus": image.Prometheus.Versions, "operator": image.Operator.Versions,
	})
}

func key(_ context.Context, _ []string, stdout io.Writer) error {
	root, err := image.Root()
	if err != nil {
		return err
	}
	key, err := image.NodeKey(root)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, key)
	return err
}

func build(ctx context.Context, _ []string, stdout io.Writer) error {
	builder, err := newBuilder(ctx, stdout)
	if err != nil {
		return err
	}
	start := time.Now()
	tag, err := builder.Node(ctx, image.DefaultKubernetes())
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is ready after %s\n", tag, time.Since(start).Round(time.Second))
	return nil
}

// mirror serves until it is interrupted, which is its regular end. The lock that it
// writes is needed since the images are not upstream's, and nor are their digests.
func mirror(ctx context.Context, args []string, stdout io.Writer) error {
	address := "127.0.0.1:0"
	if len(args) > 0 {
		address = args[0]
	}
	builder, err := newBuilder(ctx, stdout)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serving a mirror: %w", err)
	}
	registry := image.NewServer()
	server := &http.Server{Handler: registry, ReadHeaderTimeout: time.Minute}
	defer server.Close()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	work, err := os.MkdirTemp("", "mirror-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	file, err := fill(ctx, builder, registry, image.Mirror{Scheme: "http", Host: listener.Addr().String()}, work)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "serving; in another terminal:\n  make e2e IMAGES=registry MIRROR=%s LOCK=%s\n", listener.Addr(), file)
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return fmt.Errorf("serving a mirror: %w", err)
	}
}

// fill puts everything that a run pulls into the mirror, and returns the file with
// its digests.
func fill(ctx context.Context, builder *image.Builder, registry *image.Server, m image.Mirror, work string) (lock string, err error) {
	images, err := builder.Published(ctx, work)
	if err != nil {
		return "", err
	}
	if err := registry.Fill(ctx, images, m.Transport()); err != nil {
		return "", err
	}
	root, err := image.Root()
	if err != nil {
		return "", err
	}
	istio, err := image.ModuleDir(ctx, root, image.Istio.Component(image.IstioVersion), image.IstioModule)
	if err != nil {
		return "", err
	}
	if err := mesh.PublishCharts(ctx, mesh.ModuleCharts(istio, image.IstioVersion), image.IstioVersion, m.Host); err != nil {
		return "", err
	}
	lock = filepath.Join(work, "images.lock.json")
	return lock, image.Lock(ctx, lock, m.Transport())
}

func lock(ctx context.Context, args []string, stdout io.Writer) error {
	m, err := mirrorFromEnvironment()
	if err != nil {
		return err
	}
	if err := image.Lock(ctx, args[0], m.Transport()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s has the digests of %d images; use it with IMAGES=registry LOCK=%s\n", args[0], len(image.Pulled()), args[0])
	return err
}

// save takes what a run with the same options pulls, by digest, and what it makes itself,
// which is published nowhere and is built here.
func save(ctx context.Context, args []string, stdout io.Writer) error {
	m, err := mirrorFromEnvironment()
	if err != nil {
		return err
	}
	istio, instead, err := versionsFromEnvironment()
	if err != nil {
		return err
	}
	root, err := image.Root()
	if err != nil {
		return err
	}
	lock := cmp.Or(os.Getenv("LOCK"), image.LockFile(root))
	pinned, err := image.RegistryReferences(ctx, lock, m.Transport(), instead...)
	if err != nil {
		return err
	}
	references := mesh.ChartReferences(istio)
	for _, i := range image.Pulled(instead...) {
		references = append(references, pinned[i.Name])
	}
	work, err := os.MkdirTemp("", "images-")
	if err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	defer os.RemoveAll(work)
	made, err := ownImages(ctx, root, work)
	if err != nil {
		return err
	}
	if err := image.Save(ctx, args[0], references, made, m.Transport()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s has %d images and charts; put them into a registry with MIRROR=host:port images load %s\n", args[0], len(references)+len(made), args[0])
	return err
}

// ownImages builds what is published nowhere. That takes the Go tool and no engine.
func ownImages(ctx context.Context, root, work string) (map[name.Reference]v1.Image, error) {
	cache, err := image.CacheDir()
	if err != nil {
		return nil, err
	}
	builder, err := image.NewBuilder(root, cache, nil, nil)
	if err != nil {
		return nil, err
	}
	return builder.OwnImages(ctx, work)
}

// versionsFromEnvironment are the version of Istio, for its charts, and the images of the
// versions that the environment asks for.
func versionsFromEnvironment() (istio string, instead []image.Image, err error) {
	kubernetes := image.DefaultKubernetes()
	if asked := os.Getenv("KUBERNETES"); asked != "" {
		if kubernetes, err = image.ParseKubernetes(asked); err != nil {
			return "", nil, err
		}
	}
	instead = kubernetes.Images()
	for _, o := range []struct {
		variable string
		product  image.Product
	}{{"ISTIO", image.Istio}, {"PROMETHEUS", image.Prometheus}, {"OPERATOR", image.Operator}} {
		version := o.product.Default()
		if asked := os.Getenv(o.variable); asked != "" {
			if version, err = o.product.Parse(asked); err != nil {
				return "", nil, err
			}
		}
		images, err := o.product.Images(version)
		if err != nil {
			return "", nil, err
		}
		instead = append(instead, images...)
		if o.product.Name == image.Istio.Name {
			istio = version
		}
	}
	return istio, instead, nil
}

// load puts an archive where a run finds it for which that is the mirror, or a sandbox for
// which it is the registry.
func load(ctx context.Context, args []string, stdout io.Writer) error {
	to, below, option, err := placeFromEnvironment()
	if err != nil {
		return err
	}
	n, err := image.Load(ctx, args[0], to, below)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s has %d images and charts more; use it with %s\n", path.Join(to.Host, below), n, option)
	return err
}

// placeFromEnvironment is the registry to put images into, the path below it, and the
// option by which a run finds them there.
func placeFromEnvironment() (to image.Mirror, below, option string, err error) {
	registry, mirror := os.Getenv("REGISTRY"), os.Getenv("MIRROR")
	switch {
	case registry != "" && mirror != "":
		return to, "", "", errors.New("load needs one place: MIRROR=host:port for a run, or REGISTRY=host:port/path for a sandbox, not both")
	case registry != "":
		if registry, err = image.ParsePrefix(registry); err != nil {
			return to, "", "", err
		}
		host, rest, _ := strings.Cut(registry, "/")
		to, err = image.ParseMirror(host)
		return to, rest, "make sandbox REGISTRY=" + registry, err
	case mirror != "":
		to, err = image.ParseMirror(mirror)
		return to, "", "MIRROR=" + to.String(), err
	}
	return to, "", "", errors.New("load needs the registry to put the images into: MIRROR=host:port, or REGISTRY=host:port/path for a sandbox")
}

// suite needs no container engine, and so none of what [newBuilder] looks for.
func suite(ctx context.Context, args []string, stdout io.Writer) error {
	root, err := image.Root()
	if err != nil {
		return err
	}
	s := image.SuiteImage{Reference: image.SuiteReference, Version: os.Getenv("VERSION"), Commit: os.Getenv("COMMIT")}
	if len(args) > 1 {
		s.Reference = args[1]
	}
	if err := s.Write(ctx, root, args[0]); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s has the image %s; load it onto the nodes, or put it into a registry with images push %s\n", args[0], s.Reference, args[0])
	return err
}

func push(ctx context.Context, args []string, stdout io.Writer) error {
	reference, err := image.Push(ctx, args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s is in its registry; use it with make certify IN_CLUSTER=1 IMAGE=%s\n", reference, reference)
	return err
}

// mirrorFromEnvironment is the registry that MIRROR names, if it does.
func mirrorFromEnvironment() (image.Mirror, error) {
	from := os.Getenv("MIRROR")
	if from == "" {
		return image.Mirror{}, nil
	}
	return image.ParseMirror(from)
}

// newBuilder finds everything that building needs, and shows its progress.
func newBuilder(ctx context.Context, stdout io.Writer) (*image.Builder, error) {
	cache, err := image.CacheDir()
	if err != nil {
		return nil, err
	}
	root, err := image.Root()
	if err != nil {
		return nil, err
	}
	logf := func(format string, args ...any) { fmt.Fprintf(stdout, format+"\n", args...) }
	e, err := engine.Find(ctx, engine.Options{StateDir: filepath.Join(cache, "engine"), Install: true, Log: logf})
	if err != nil {
		return nil, err
	}
	return image.NewBuilder(root, cache, e, func(p image.Progress) {
		if p.Finished != "" {
			logf("[%d/%d] %-20s %6s   running: %s", p.Done, p.Total, p.Finished, p.Took.Round(100*time.Millisecond), strings.Join(p.Running, ", "))
		}
	})
}
