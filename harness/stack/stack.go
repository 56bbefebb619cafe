// Package stack stands the whole subject up on an ephemeral cluster, in the
// order of the guide: the mesh, Bookinfo, the Operator, the Prometheus with
// certificate mounts, the ServiceMonitor.
//
// It judges nothing: a set-up in which nothing is scraped is a finding for the
// checks, not an error here. What it does not know is how progress is shown: it
// reports phases to whoever asked.
//
// Read [Up] first.
package stack

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// Namespace is where everything of the guide lives, as in the guide.
const Namespace = "default"

// Options say what to stand up.
type Options struct {
	ClusterName string
	Dir         string // for files of the cluster; exists, and is removed by the caller
	Cache       string // for artefacts that outlive the run
	Images      image.Source
	Mirror      image.Mirror     // asked in place of every registry, if there is one
	Lock        string           // file with the digests of images; the checkout's own if empty
	Kubernetes  image.Kubernetes // the default one if zero
	Prometheus  string           // version, one of those that [image.Prometheus] has
	Istio       string           // version, one of those that [image.Istio] has
	Next        string           // version of Istio to have at hand for an upgrade, if any
	// NextPrometheus is the version of Prometheus to have at hand for an upgrade, if any.
	NextPrometheus string
	// Operator and NextOperator are the same of the Operator, those that [image.Operator]
	// has; the first is the default one if empty.
	Operator, NextOperator string
	Variant                Variant
	Setting                *Setting // another set-up than the guide's; nil for that
	Phase                  Phase
	Log                    func(format string, args ...any)
	Progress               func(image.Progress)
}

// Phase runs one step of the set-up under a name; the note says in a few words
// what came of it.
type Phase func(name string, work func(ctx context.Context) (note string, err error)) error

// Stack is what stands.
type Stack struct {
	Cluster *cluster.Cluster
	Client  klient.Client
	Source  string       // where the images are from, in words for the report
	Istio   mesh.Release // what was installed
	Next    mesh.Release // what it can be upgraded to, if that was asked for
	// The same of Prometheus.
	Prometheus, NextPrometheus monitoring.Release
	Operator, NextOperator     monitoring.OperatorRelease

	Images     image.Source // which source that is
	References []string     // of every image that the run may use; none of a cluster that an earlier run made
}

// take takes over which versions there are, and where from.
func (s *Stack) take(p sources) {
	s.Source, s.Istio, s.Next = p.String(), p.istio, p.next
	s.Prometheus = monitoring.Release{Version: p.prometheus, Image: p.references[prometheusImage]}
	s.NextPrometheus = p.nextPrometheus
	s.Operator, s.NextOperator = p.operator, p.nextOperator
	s.Images, s.References = p.source, p.allReferences()
}

// prometheusImage is the name of the catalogue's image of Prometheus.
const prometheusImage = "prometheus"

// Up makes the cluster and everything in it. When it fails, the cluster as far as
// it came is returned beside the error, so that evidence can be taken before it
// is removed.
func Up(o Options) (*Stack, error) {
	s := &Stack{}
	var parts sources
	err := o.Phase("engine", func(ctx context.Context) (string, error) {
		e, err := engine.Find(ctx, engine.Options{StateDir: filepath.Join(o.Cache, "engine"), Install: true, Log: o.Log})
		parts.engine = e
		if err != nil {
			return "", err
		}
		return e.Provider + " " + e.Version, nil
	})
	if err != nil {
		return s, err
	}
	if err := o.Phase("images", func(ctx context.Context) (note string, err error) {
		note, err = parts.find(ctx, o)
		s.take(parts)
		return note, err
	}); err != nil {
		return s, err
	}
	if err := o.Phase("cluster", func(ctx context.Context) (string, error) { return s.makeCluster(ctx, o, parts) }); err != nil {
		return s, err
	}
	if err := o.Phase("mesh", func(ctx context.Context) (string, error) { return s.installMesh(ctx, parts) }); err != nil {
		return s, err
	}
	return s, o.Phase("workloads", func(ctx context.Context) (string, error) {
		if o.Setting != nil {
			return s.set(ctx, *o.Setting, parts)
		}
		return s.deploy(ctx, o.Variant, parts)
	})
}

// sources is where this run's parts come from.
type sources struct {
	engine     *engine.Engine
	source     image.Source
	mirror     image.Mirror
	lock       string // file with the digests, if the user gave one
	madeHere   bool   // from packages, whether by this run or for the mirror
	references image.References
	nodeImage  string
	minor      image.Kubernetes
	kubernetes string // release of it
	istio      mesh.Release
	next       mesh.Release
	prometheus string   // version
	further    []string // references of the images of versions to upgrade to
	own        string   // archive of images that the node lacks, if any

	nextPrometheus         monitoring.Release
	operator, nextOperator monitoring.OperatorRelease
}

// find settles where images come from and builds what is missing.
func (p *sources) find(ctx context.Context, o Options) (note string, err error) {
	root, err := image.Root()
	if err != nil {
		return "", err
	}
	var why string
	if p.source, why = image.Choose(ctx, o.Images, o.Mirror.Transport()); o.Images == image.Auto {
		o.Log("images from %s: %s", p.source, why)
	}
	builder, err := image.NewBuilder(root, o.Cache, p.engine, o.Progress)
	if err != nil {
		return "", err
	}
	p.mirror, p.lock = o.Mirror, o.Lock
	images, err := p.choose(ctx, o, root)
	if err != nil {
		return "", err
	}
	p.own = filepath.Join(o.Dir, "own.tar")
	if p.source == image.Registry {
		return p.String(), p.fromRegistry(ctx, builder)
	}
	p.kubernetes = p.minor.Packages
	if p.nodeImage, err = builder.Node(ctx, p.minor); err != nil {
		return "", err
	}
	note = "from packages: " + p.nodeImage
	lacking := slices.DeleteFunc(images, image.Baked)
	if len(lacking) == 0 {
		p.own = ""
		return note, nil
	}
	return note, builder.Archive(ctx, p.own, lacking...)
}

// choose settles the versions, and says of which images the run has chosen one.
func (p *sources) choose(ctx context.Context, o Options, root string) (images []image.Image, err error) {
	p.prometheus, p.minor = o.Prometheus, cmp.Or(o.Kubernetes, image.DefaultKubernetes())
	if images, err = image.Prometheus.Images(o.Prometheus); err != nil {
		return nil, err
	}
	istio, err := image.Istio.Images(o.Istio)
	if err != nil {
		return nil, err
	}
	operator, err := image.Operator.Images(cmp.Or(o.Operator, image.Operator.Default()))
	if err != nil {
		return nil, err
	}
	images = append(append(images, istio...), operator...)
	if p.references, err = p.refer(ctx, root, images); err != nil {
		return nil, err
	}
	if p.istio, err = p.release(ctx, root, o.Istio, p.references); err != nil {
		return nil, err
	}
	if p.operator, err = operatorOf(ctx, root, cmp.Or(o.Operator, image.Operator.Default()), p.references); err != nil {
		return nil, err
	}
	if o.Setting != nil {
		p.istio.Revision = o.Setting.Revision
	}
	p.madeHere = p.istio.UpstreamEnvoy
	more, err := p.chooseNext(ctx, o, root)
	return append(images, more...), err
}

// chooseNext settles the versions to have at hand for an upgrade, and their images.
func (p *sources) chooseNext(ctx context.Context, o Options, root string) (images []image.Image, err error) {
	further := func(product image.Product, version string) (image.References, error) {
		some, err := product.Images(version)
		if err != nil {
			return nil, err
		}
		images = append(images, some...)
		references, err := p.refer(ctx, root, some)
		for _, i := range some {
			p.further = append(p.further, references[i.Name])
		}
		return references, err
	}
	if o.Next != "" {
		references, err := further(image.Istio, o.Next)
		if err != nil {
			return nil, err
		}
		if p.next, err = p.release(ctx, root, o.Next, references); err != nil {
			return nil, err
		}
	}
	if o.NextPrometheus != "" {
		references, err := further(image.Prometheus, o.NextPrometheus)
		if err != nil {
			return nil, err
		}
		p.nextPrometheus = monitoring.Release{Version: o.NextPrometheus, Image: references[prometheusImage]}
	}
	if o.NextOperator != "" {
		references, err := further(image.Operator, o.NextOperator)
		if err != nil {
			return nil, err
		}
		if p.nextOperator, err = operatorOf(ctx, root, o.NextOperator, references); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// refer gives the references of every image, with some in the place of the
// catalogue's, and those of the minor of Kubernetes, and sees that the registries have
// them.
func (p *sources) refer(ctx context.Context, root string, instead []image.Image) (image.References, error) {
	instead = slices.Concat(instead, p.minor.Images())
	if p.source == image.Packages {
		return image.PackagesReferences(instead...), nil
	}
	transport := p.mirror.Transport()
	references, err := image.RegistryReferences(ctx, cmp.Or(p.lock, image.LockFile(root)), transport, instead...)
	if err != nil {
		return nil, err
	}
	return references, references.Check(ctx, transport)
}

// release is a version of Istio under the default revision. Upstream has none of the
// images that are made here, a mirror may.
func (p *sources) release(ctx context.Context, root, version string, references image.References) (mesh.Release, error) {
	r := mesh.Release{Version: version, Revision: mesh.DefaultRevision, PilotImage: references["pilot"], ProxyImage: references["proxyv2"]}
	if p.source == image.Packages {
		dir, err := image.ModuleDir(ctx, root, image.Istio.Component(version), image.IstioModule)
		r.Charts, r.UpstreamEnvoy = mesh.ModuleCharts(dir, version), true
		return r, err
	}
	transport := p.mirror.Transport()
	var err error
	if r.Charts, err = mesh.RegistryCharts(version, transport); err != nil || p.mirror == (image.Mirror{}) {
		return r, err
	}
	r.UpstreamEnvoy, err = image.FromPackages(ctx, r.ProxyImage, transport)
	return r, err
}

// fromRegistry takes from the registries what the nodes cannot pull.
func (p *sources) fromRegistry(ctx context.Context, builder *image.Builder) (err error) {
	p.nodeImage, p.kubernetes = p.references["node"], p.minor.Registry
	if p.mirror != (image.Mirror{}) {
		if p.nodeImage, err = builder.Pull(ctx, p.nodeImage, p.mirror.Transport()); err != nil {
			return err
		}
	}
	return builder.Own(ctx, p.own)
}

// String says where the images are from: a verdict on rebuilt ones is none on
// upstream's.
func (p sources) String() string {
	if p.source != image.Registry {
		return string(p.source)
	}
	from := "registry, by digest"
	if p.mirror != (image.Mirror{}) {
		from = "registry, by digest through the mirror " + p.mirror.Host
	}
	if p.madeHere {
		from += ", which has images made from packages"
	}
	if p.lock != "" {
		from += ", pinned by " + filepath.Base(p.lock)
	}
	return from
}

func (s *Stack) makeCluster(ctx context.Context, o Options, p sources) (note string, err error) {
	options := cluster.Options{
		Name: o.ClusterName, Engine: p.engine, NodeImage: p.nodeImage, KubernetesVersion: p.kubernetes,
		Dir: o.Dir, Audit: o.Setting != nil,
	}
	if p.source == image.Packages {
		options.Baked = &cluster.Baked{EtcdTag: image.BakedTag("etcd"), CoreDNSTag: image.BakedTag("coredns")}
	}
	s.Cluster, err = cluster.Create(ctx, options)
	if err != nil {
		return "", err
	}
	if p.own != "" {
		if err := s.Cluster.Load(p.own); err != nil {
			return "", err
		}
	}
	if p.mirror != (image.Mirror{}) {
		if err := s.Cluster.UseMirror(ctx, p.mirror.URL(), p.mirror.Loopback()); err != nil {
			return "", err
		}
	}
	if s.Client, err = s.Cluster.Client(); err != nil {
		return "", err
	}
	version, err := s.Cluster.KubernetesVersion()
	return "Kubernetes " + version, err
}

// installMesh installs Istio and, beside it, the Operator's definitions, which
// take as long and need nothing of each other.
func (s *Stack) installMesh(ctx context.Context, p sources) (string, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return mesh.Install(gctx, s.Client, mesh.Options{Kubeconfig: s.Cluster.Kubeconfig, Release: s.Istio})
	})
	g.Go(func() error { return monitoring.Define(gctx, s.Client, p.operator) })
	if err := g.Wait(); err != nil {
		return "", err
	}
	return "Istio " + s.Istio.Version + ", STRICT", nil
}

// byUpstream maps upstream's references, which the manifests name, to those of
// this run.
func (p sources) byUpstream() map[string]string {
	m := map[string]string{}
	for _, i := range image.Catalogue() {
		if ref, ok := p.references[i.Name]; ok && ref != i.Reference {
			m[i.Reference] = ref
		}
	}
	return m
}

// Down removes the cluster, if there is one.
func (s *Stack) Down(ctx context.Context) error {
	if s == nil || s.Cluster == nil {
		return nil
	}
	if err := s.Cluster.Delete(ctx); err != nil {
		return fmt.Errorf("taking the cluster down: %w", err)
	}
	return nil
}
