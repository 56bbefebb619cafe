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
	Prometheus  string // version, one of those that [image.Prometheus] has
	Variant     Variant
	Phase       Phase
	Log         func(format string, args ...any)
	Progress    func(image.Progress)
}

// Phase runs one step of the set-up under a name; the note says in a few words
// what came of it.
type Phase func(name string, work func(ctx context.Context) (note string, err error)) error

// Stack is what stands.
type Stack struct {
	Cluster *cluster.Cluster
	Client  klient.Client
	Source  image.Source
}

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
		s.Source = parts.source
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
	return s, o.Phase("workloads", func(ctx context.Context) (string, error) { return s.deploy(ctx, o.Variant, parts) })
}

// sources is where this run's parts come from.
type sources struct {
	engine     *engine.Engine
	source     image.Source
	references image.References
	nodeImage  string
	kubernetes string
	charts     mesh.Charts
	bundle     string // folder of the Operator's module
	prometheus string // version
	own        string // archive of images that the node lacks, if any
}

// find settles where images come from and builds what is missing.
func (p *sources) find(ctx context.Context, o Options) (note string, err error) {
	root, err := image.Root()
	if err != nil {
		return "", err
	}
	var why string
	if p.source, why = image.Choose(ctx, o.Images, nil); o.Images == image.Auto {
		o.Log("images from %s: %s", p.source, why)
	}
	if p.bundle, err = image.ModuleDir(ctx, root, "prometheus-operator", "github.com/prometheus-operator/prometheus-operator"); err != nil {
		return "", err
	}
	builder, err := image.NewBuilder(root, o.Cache, p.engine, o.Progress)
	if err != nil {
		return "", err
	}
	p.prometheus = o.Prometheus
	chosen, err := image.Prometheus.Images(o.Prometheus)
	if err != nil {
		return "", err
	}
	if p.source == image.Registry {
		p.own = filepath.Join(o.Dir, "own.tar")
		if err := builder.Own(ctx, p.own); err != nil {
			return "", err
		}
		p.references, err = image.RegistryReferences(ctx, filepath.Join(root, "harness", "image", "images.lock.json"), nil, chosen...)
		if err != nil {
			return "", err
		}
		p.nodeImage, p.kubernetes = p.references["node"], image.RegistryKubernetesVersion
		p.charts = mesh.RegistryCharts(image.IstioVersion)
		return "from the registry, by digest", nil
	}
	istio, err := image.ModuleDir(ctx, root, image.Istio.Component(image.IstioVersion), image.IstioModule)
	if err != nil {
		return "", err
	}
	p.charts = mesh.ModuleCharts(istio, image.IstioVersion)
	p.references, p.kubernetes = image.PackagesReferences(chosen...), image.KubernetesVersion
	if p.nodeImage, err = builder.Node(ctx); err != nil {
		return "", err
	}
	if lacking := slices.DeleteFunc(chosen, image.Baked); len(lacking) > 0 {
		p.own = filepath.Join(o.Dir, "own.tar")
		if err := builder.Archive(ctx, p.own, lacking...); err != nil {
			return "", err
		}
	}
	return "from packages: " + p.nodeImage, nil
}

func (s *Stack) makeCluster(ctx context.Context, o Options, p sources) (note string, err error) {
	s.Cluster, err = cluster.Create(ctx, cluster.Options{
		Name: o.ClusterName, Engine: p.engine, NodeImage: p.nodeImage, KubernetesVersion: p.kubernetes,
		BakedNetwork: p.source == image.Packages, Dir: o.Dir,
	})
	if err != nil {
		return "", err
	}
	if p.own != "" {
		if err := s.Cluster.Load(p.own); err != nil {
			return "", err
		}
	}
	s.Client, err = s.Cluster.Client()
	return "Kubernetes " + p.kubernetes, err
}

// installMesh installs Istio and, beside it, the Operator's definitions, which
// take as long and need nothing of each other.
func (s *Stack) installMesh(ctx context.Context, p sources) (string, error) {
	definitions, _, err := monitoring.Bundle(p.bundle)
	if err != nil {
		return "", err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return mesh.Install(gctx, s.Client, mesh.Options{Kubeconfig: s.Cluster.Kubeconfig, Release: mesh.Release{
			Version: image.IstioVersion, Revision: mesh.DefaultRevision, Charts: p.charts,
			PilotImage: p.references["pilot"], ProxyImage: p.references["proxyv2"],
			UpstreamEnvoy: p.source == image.Packages,
		}})
	})
	g.Go(func() error { return cluster.Apply(gctx, s.Client, definitions...) })
	if err := g.Wait(); err != nil {
		return "", err
	}
	return "Istio " + image.IstioVersion + ", STRICT", nil
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
