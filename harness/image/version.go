package image

import (
	"fmt"
	"slices"
	"strings"
)

// Product is a part of the set-up that can be had in several versions. A node
// image built from packages has the default one inside; the others are built, or
// pulled, only for a run that asks for them.
type Product struct {
	Name     string   // as in "Prometheus"
	Versions []string // the default first
	// component builds the default version; that of another has its minor behind the
	// name, as in "prometheus-3.12".
	component string
	build     func(component, version string) component
	images    func(component, version string) []Image
}

// The products. Prometheus 3.12 is the Operator's own, and the last that does not
// get over a renewal without caFile; 3.5 is a release with long support. Istio
// 1.30 is what a mesh is upgraded from, and the Operator's 0.91 what that is.
var (
	Prometheus = Product{
		Name: "Prometheus", Versions: []string{PrometheusVersion, "v3.12.0", "v3.5.0"},
		component: "prometheus", build: prometheusComponent, images: prometheusImages,
	}
	Istio = Product{
		Name: "Istio", Versions: []string{IstioVersion, "1.30.4"},
		component: "istio", build: istioComponent, images: istioImages,
	}
	Operator = Product{
		Name: "the Operator", Versions: []string{OperatorVersion, "v0.91.0"},
		component: "prometheus-operator", build: operatorComponent, images: operatorImages,
	}
)

// products are all of them.
func products() []Product { return []Product{Prometheus, Istio, Operator} }

// Default is the version of a run that asks for none.
func (p Product) Default() string { return p.Versions[0] }

// Parse gives the version that a user means by itself or by its minor.
func (p Product) Parse(s string) (version string, err error) {
	for _, v := range p.Versions {
		if s == v || s == minorOf(v) {
			return v, nil
		}
	}
	return "", fmt.Errorf("there is no image of %s %s: use %s", p.Name, s, strings.Join(p.Versions, ", "))
}

// Images are those of a version. They have the names of the catalogue's, in whose
// place they are put.
func (p Product) Images(version string) ([]Image, error) {
	if !slices.Contains(p.Versions, version) {
		_, err := p.Parse(version)
		return nil, err
	}
	return p.images(p.Component(version), version), nil
}

// Component names what builds a version, for [ModuleDir].
func (p Product) Component(version string) string {
	if version == p.Default() {
		return p.component
	}
	return p.component + "-" + strings.TrimPrefix(minorOf(version), "v")
}

// spares build the versions that only some runs need.
func spares() []component {
	var all []component
	for _, k := range KubernetesMinors()[1:] {
		all = append(all, k.build())
	}
	for _, p := range products() {
		for _, v := range p.Versions[1:] {
			all = append(all, p.build(p.Component(v), v))
		}
	}
	return all
}

// minorOf is "3.12" of "3.12.0".
func minorOf(version string) string { return version[:strings.LastIndex(version, ".")] }

// Baked reports whether a node image built from packages has an image inside.
func Baked(i Image) bool {
	return slices.ContainsFunc(Catalogue(), func(c Image) bool { return c.Reference == i.Reference })
}

// catalogueWith is the catalogue with images in the place of its own of the same
// names.
func catalogueWith(instead []Image) []Image {
	all := Catalogue()
	for n, i := range all {
		if at := slices.IndexFunc(instead, func(other Image) bool { return other.Name == i.Name }); at >= 0 {
			all[n] = instead[at]
		}
	}
	return all
}
