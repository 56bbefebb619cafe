package mesh

import (
	"bytes"
	"context"
	"fmt"

	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
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

// RegistryCharts pulls the charts of a release from Istio's OCI registry.
func RegistryCharts(version string) Charts {
	return func(_ context.Context, name string) (chart.Charter, error) {
		client, err := registry.NewClient()
		if err != nil {
			return nil, err
		}
		pulled, err := client.Pull(chartRepository + name + ":" + version)
		if err != nil {
			return nil, fmt.Errorf("pulling %s%s:%s: %w (use IMAGES=packages where no registry is in reach)", chartRepository, name, version, err)
		}
		return loader.LoadArchive(bytes.NewReader(pulled.Chart.Data))
	}
}

// chart finds one of the release's.
func (r Release) chart(ctx context.Context, name string) (chart.Charter, error) {
	c, err := r.Charts(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("finding the chart %s of Istio %s: %w", name, r.Version, err)
	}
	return c, nil
}
