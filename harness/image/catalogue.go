package image

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/seed-140c7b37/mtls-scrape-conformance/fixtures/bookinfo"
)

// Versions of everything that is installed. Where a version is also a pin in a
// component's go.mod, a test holds the two together.
const (
	// KubernetesVersion is what the node image runs when it is built from packages,
	// unless a run chooses another of [KubernetesMinors].
	KubernetesVersion = "v1.37.2"
	// IstioVersion is the release in registry mode. From packages it is the commit of
	// the same minor in [istioCommits].
	IstioVersion = "1.31.0"
	// PrometheusVersion is set in the Prometheus CR beside the image: the Operator
	// derives the configuration it generates from it.
	PrometheusVersion = "v3.16.0"
	// OperatorVersion is that of the Operator, its reloader and its CRDs.
	OperatorVersion = "v0.92.0"
	// RegistryKubernetesVersion is that of kind's own node image.
	RegistryKubernetesVersion = "v1.37.0"
)

// Where an image lives at run time.
const (
	host = "host" // run by the container engine: the node itself
	node = "node" // part of the node image, upstream's too
	pod  = "pod"  // pulled from a registry, or baked into a node image built from packages
	own  = "own"  // the suite's own, published nowhere: baked in, or loaded into a node from a registry
)

// Image is one image of the run: what upstream calls it, and how it is made here.
type Image struct {
	Name      string // short and unique, as in "proxyv2"
	Reference string // upstream's repository and tag
	Digest    string // upstream's digest where it is known, as in "sha256:..."
	Place     string // host, node, pod or own
	recipe    recipe
}

// recipe makes an image from packages.
type recipe struct {
	debian   bool   // on top of the pod root file system; otherwise from scratch
	programs []file // from is "<component>/<program>" or "<component>-module/<file>", resolved when built
	user     string
	entry    []string
	env      []string
}

// uses reports whether the image has a program of a component.
func (r recipe) uses(component string) bool {
	return slices.ContainsFunc(r.programs, func(f file) bool { return strings.HasPrefix(f.from, component+"/") })
}

func program(from, path string) file { return file{from: from, path: path, mode: 0o755} }

// static is an image with one static program and nothing else.
func static(from, path string) recipe {
	return recipe{programs: []file{program(from, path)}, entry: []string{path}}
}

// Catalogue lists every image that a run needs.
func Catalogue() []Image {
	// What `kubeadm config images list` prints for the default version; the names are kubeadm's.
	images := append(DefaultKubernetes().Images(),
		kubernetesImage("etcd", "etcd:3.7.0-0", static("etcd/etcd", "/usr/local/bin/etcd")),
		kubernetesImage("coredns", "coredns/coredns:v1.14.6", static("coredns/coredns", "/coredns")),
		kubernetesImage("pause", pauseTag, static("pause/pause", "/pause")),
	)
	images = append(images, istioImages("istio", IstioVersion)...)
	images = append(images, prometheusImages("prometheus", PrometheusVersion)...)
	images = append(images, operatorImages("prometheus-operator", OperatorVersion)...)
	images = append(images,
		Image{
			Name: "probe", Place: own, Reference: "localhost/mtls-scrape-conformance/probe:1",
			recipe: withUser(static("probe/probe", "/probe"), "1000:1000"),
		},
	)
	return append(images, bookinfoImages()...)
}

// istioImages are the control plane and the proxy of a release of Istio, from the
// component that builds them. All have one Envoy, which for an older release is
// newer than its own: 1.39 takes the bootstrap of 1.30's agent and all that the
// control planes of 1.30 and 1.31 send to it. So an upgrade changes all but Envoy.
func istioImages(component, version string) []Image {
	return []Image{
		{
			Name: "pilot", Place: pod, Reference: "registry.istio.io/release/pilot:" + version,
			recipe: recipe{
				debian: true, user: "1337:1337", entry: []string{"/usr/local/bin/pilot-discovery"},
				programs: []file{program(component+"/pilot-discovery", "/usr/local/bin/pilot-discovery")},
			},
		},
		{
			Name: "proxyv2", Place: pod, Reference: "registry.istio.io/release/proxyv2:" + version,
			recipe: recipe{
				debian: true, entry: []string{"/usr/local/bin/pilot-agent"},
				programs: []file{
					program(component+"/pilot-agent", "/usr/local/bin/pilot-agent"),
					program("envoy/envoy", "/usr/local/bin/envoy"),
					{from: component + moduleSuffix + "/tools/packaging/common/envoy_bootstrap.json", path: "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"},
				},
			},
		},
	}
}

// prometheusImages are the one of a release of Prometheus, from the component that
// builds it.
func prometheusImages(component, version string) []Image {
	return []Image{{
		Name: "prometheus", Place: pod, Reference: "quay.io/prometheus/prometheus:" + version,
		recipe: recipe{
			debian: true, user: "65534:65534", entry: []string{"/bin/prometheus"},
			programs: []file{program(component+"/prometheus", "/usr/bin/prometheus")},
		},
	}}
}

// operatorImages are the Operator and the reloader that it puts beside Prometheus, of a
// release, from the component that builds them.
func operatorImages(component, version string) []Image {
	return []Image{
		{
			Name: "prometheus-operator", Place: pod, Reference: "quay.io/prometheus-operator/prometheus-operator:" + version,
			recipe: withUser(static(component+"/operator", "/bin/operator"), "65534:65534"),
		},
		{
			Name: "prometheus-config-reloader", Place: pod, Reference: "quay.io/prometheus-operator/prometheus-config-reloader:" + version,
			recipe: withUser(static(component+"/prometheus-config-reloader", "/bin/prometheus-config-reloader"), "65534:65534"),
		},
	}
}

func withUser(r recipe, user string) recipe {
	r.user = user
	return r
}

// pauseTag must agree with the sandbox image in the node's containerd config, or
// the node would pull it.
const pauseTag = "pause:3.10.2"

// bookinfoImages are the sample's, as the fixture describes them.
func bookinfoImages() []Image {
	var images []Image
	for _, b := range bookinfo.Images() {
		repository, _, _ := strings.Cut(path.Base(b.Ref), ":")
		r := recipe{user: fmt.Sprintf("%d:%d", bookinfo.User, bookinfo.User), entry: b.Entrypoint, env: b.Env}
		if b.Entrypoint[0] == bookinfo.ServicesPath {
			r.programs = []file{program("bookinfo/bookinfo", bookinfo.ServicesPath)}
		} else {
			r.debian = true
			r.programs = []file{{content: bookinfo.ProductpageSource, path: bookinfo.ProductpagePath}}
		}
		images = append(images, Image{Name: strings.TrimPrefix(repository, "examples-"), Reference: b.Ref, Place: pod, recipe: r})
	}
	return images
}

// Find returns an image of the catalogue by its short name. An unknown name is a
// mistake in this program, hence the panic.
func Find(name string) Image {
	for _, i := range Catalogue() {
		if i.Name == name {
			return i
		}
	}
	panic("no image named " + name + " in the catalogue")
}

// Table prints the catalogue for people.
func Table(images []Image) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPLACE\tUPSTREAM\tFROM PACKAGES")
	for _, i := range images {
		ref := i.Reference
		if i.Digest != "" {
			ref += "@" + i.Digest
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.Name, i.Place, ref, i.recipe)
	}
	w.Flush()
	return b.String()
}

// String tells in a few words how an image is made.
func (r recipe) String() string {
	if len(r.programs) == 0 {
		return "Debian " + debianSuite + " + Kubernetes " + KubernetesVersion + " + containerd + every image below"
	}
	base := "scratch"
	if r.debian {
		base = "Debian " + debianSuite
	}
	for _, p := range r.programs {
		if p.content != nil {
			p.from = path.Base(p.path)
		}
		base += " + " + p.from
	}
	return base
}
