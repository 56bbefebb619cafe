package mesh

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/registry"
)

// Charts finds Istio's two charts: "base" and "istiod".
type Charts func(ctx context.Context, name string) (chart.Charter, error)

// ChartFolders are where the charts lie below the root of Istio's module.
var ChartFolders = map[string]string{
	"base":   "manifests/charts/base",
	"istiod": "manifests/charts/istio-control/istio-discovery",
}

// ModuleCharts reads the charts from the folder of Istio's Go module. There all are
// of version 1.0.0; they get that of the release, as Istio's release builder does it.
func ModuleCharts(dir, version string) Charts {
	return func(_ context.Context, name string) (chart.Charter, error) {
		loaded, err := loader.LoadDir(dir + "/" + ChartFolders[name])
		if err != nil {
			return nil, err
		}
		c, ok := loaded.(*chartv2.Chart)
		if !ok {
			return nil, fmt.Errorf("the chart is of a kind that is not known: %T", loaded)
		}
		c.Metadata.Version, c.Metadata.AppVersion = version, version
		return c, nil
	}
}

// chartRepository is where Istio publishes its charts; istioctl prints the same
// address when it translates an installation to Helm.
const chartRepository = "ghcr.io/istio/release/charts/"

// ChartReferences are where the charts of a release lie in Istio's registry.
func ChartReferences(version string) []string {
	var refs []string
	for _, name := range slices.Sorted(maps.Keys(ChartFolders)) {
		refs = append(refs, chartRepository+name+":"+version)
	}
	return refs
}

// RegistryCharts pulls the charts of a release from Istio's OCI registry, through a
// transport if one is given. It does so at once: that one is missing is better known
// before there is a cluster.
func RegistryCharts(version string, transport http.RoundTripper) (Charts, error) {
	var options []registry.ClientOption
	if transport != nil { // else Helm's own, which tries again
		options = append(options, registry.ClientOptHTTPClient(&http.Client{Transport: transport}))
	}
	client, err := registry.NewClient(options...)
	if err != nil {
		return nil, err
	}
	archives := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(ChartFolders)) {
		ref := chartRepository + name + ":" + version
		pulled, err := client.Pull(ref)
		if err != nil {
			return nil, fmt.Errorf("pulling the chart %s: %w (copy it to where MIRROR says, if it does; use IMAGES=packages where no registry is in reach)", ref, err)
		}
		archives[name] = pulled.Chart.Data
	}
	return func(_ context.Context, name string) (chart.Charter, error) {
		return loader.LoadArchive(bytes.NewReader(archives[name]))
	}, nil
}

// PublishCharts puts charts into a registry at an address of this machine, where a
// client finds them for which it is a mirror of Istio's, under the version of a release.
func PublishCharts(ctx context.Context, charts Charts, version, address string) error {
	client, err := registry.NewClient(registry.ClientOptPlainHTTP())
	if err != nil {
		return err
	}
	_, repository, _ := strings.Cut(chartRepository, "/")
	dir, err := os.MkdirTemp("", "charts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range slices.Sorted(maps.Keys(ChartFolders)) {
		read, err := charts(ctx, name)
		if err != nil {
			return fmt.Errorf("reading the chart %s: %w", name, err)
		}
		c, ok := read.(*chartv2.Chart)
		if !ok {
			return fmt.Errorf("the chart %s has an unknown format, %T", name, read)
		}
		file, err := util.Save(c, dir)
		if err != nil {
			return fmt.Errorf("packing the chart %s: %w", name, err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		// In the module the charts have a version of their own, not that of the release.
		if _, err := client.Push(content, address+"/"+repository+name+":"+version, registry.PushOptStrictMode(false)); err != nil {
			return fmt.Errorf("publishing the chart %s: %w", name, err)
		}
	}
	return nil
}

// chart finds one of the release's.
func (r Release) chart(ctx context.Context, name string) (chart.Charter, error) {
	c, err := r.Charts(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("finding the chart %s of Istio %s: %w", name, r.Version, err)
	}
	return c, nil
}
