package image

import (
	"fmt"
	"slices"
	"strings"
)

// Kubernetes is a minor of Kubernetes that a run can choose. Which of its releases that
// is depends on the source: the module proxy serves other ones than kind has node
// images of.
type Kubernetes struct {
	Minor    string // as in "1.37"
	Packages string // the release that is built from packages, as in "v1.37.2"
	Registry string // the one in the node image that kind's authors built for the kind in use

	digest string // of that node image where it is known
}

// KubernetesMinors are those that a run can choose, the default first. The node images
// are those that the release notes of kind v0.33.0 list.
func KubernetesMinors() []Kubernetes {
	return []Kubernetes{
		// kind v0.33.0's own default.
		{"1.37", KubernetesVersion, RegistryKubernetesVersion, "sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"},
		{"1.36", "v1.36.3", "v1.36.4", ""},
	}
}

// DefaultKubernetes is that of a run that asks for none.
func DefaultKubernetes() Kubernetes { return KubernetesMinors()[0] }

// ParseKubernetes gives the minor that a user means, with or without the v before it.
func ParseKubernetes(s string) (Kubernetes, error) {
	for _, k := range KubernetesMinors() {
		if strings.TrimPrefix(s, "v") == k.Minor {
			return k, nil
		}
	}
	return Kubernetes{}, fmt.Errorf("there is no node image of Kubernetes %s: use %s", s, strings.Join(KubernetesVersions(), ", "))
}

// KubernetesVersions are the names by which a run chooses, the default first.
func KubernetesVersions() (names []string) {
	for _, k := range KubernetesMinors() {
		names = append(names, k.Minor)
	}
	return names
}

// String is the minor.
func (k Kubernetes) String() string { return k.Minor }

// component names what builds it.
func (k Kubernetes) component() string {
	if k.Minor == DefaultKubernetes().Minor {
		return "kubernetes"
	}
	return "kubernetes-" + k.Minor
}

// Images are the node's and those of Kubernetes inside it that differ between minors.
// They have the names of the catalogue's, in whose place they are put.
func (k Kubernetes) Images() []Image {
	// From packages the node is assembled by [Builder.Node].
	images := []Image{{Name: "node", Place: host, Reference: "docker.io/kindest/node:" + k.Registry, Digest: k.digest}}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		i := kubernetesImage(name, name+":"+k.Packages, static(k.component()+"/"+name, "/usr/local/bin/"+name))
		if name == "kube-proxy" { // it calls programs that set up the network
			i.recipe.debian, i.recipe.entry = true, nil
		}
		images = append(images, i)
	}
	return images
}

// kubernetesImage is one that Kubernetes' own registry has.
func kubernetesImage(name, tag string, r recipe) Image {
	return Image{Name: name, Reference: "registry.k8s.io/" + tag, Place: node, recipe: r}
}

// build is what the Go tool makes of it.
func (k Kubernetes) build() component {
	_, minor, _ := strings.Cut(k.Minor, ".")
	return component{name: k.component(), builds: []build{{
		packages: []string{
			"k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kubeadm", "k8s.io/kubernetes/cmd/kubectl",
			"k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-controller-manager",
			"k8s.io/kubernetes/cmd/kube-scheduler", "k8s.io/kubernetes/cmd/kube-proxy",
		},
		// kubeadm refuses to run without a version; the client sends its own to servers.
		ldflags: "-X k8s.io/component-base/version.gitVersion=" + k.Packages +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=" + minor +
			" -X k8s.io/component-base/version.gitTreeState=clean" +
			" -X k8s.io/client-go/pkg/version.gitVersion=" + k.Packages,
	}}}
}

// BakedTag is the tag under which a node image built from packages has etcd or coredns
// inside: it is the same for every minor, and kubeadm has to be told.
func BakedTag(name string) string {
	reference := Find(name).Reference
	return reference[strings.LastIndex(reference, ":")+1:]
}

// with is the list of components with another minor of Kubernetes in the place of the
// default one.
func (k Kubernetes) with(components []component) []component {
	all := slices.Clone(components)
	for n, c := range all {
		if c.name == DefaultKubernetes().component() {
			all[n] = k.build()
		}
	}
	return all
}
