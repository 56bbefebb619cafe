package mesh

import (
	"bytes"
	"context"
	"fmt"

	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/registry"
)

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
