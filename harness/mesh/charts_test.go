package mesh

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
)

// redirected sends whatever it is asked to one server.
type redirected struct{ to *url.URL }

func (r redirected) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host = r.to.Scheme, r.to.Host
	return http.DefaultTransport.RoundTrip(request)
}

func registryHere(t *testing.T) redirected {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	require.NoError(t, err)
	return redirected{to}
}

// small are charts of Istio's names with next to nothing in them.
func small(_ context.Context, name string) (chart.Charter, error) {
	return &chartv2.Chart{
		Metadata: &chartv2.Metadata{APIVersion: chartv2.APIVersionV2, Name: name, Version: "1.0.0"},
	}, nil
}

func TestChartsArePulledFromWhereTheyWerePublished(t *testing.T) {
	here := registryHere(t)
	require.NoError(t, PublishCharts(t.Context(), small, "1.31.0", here.to.Host))
	charts, err := RegistryCharts("1.31.0", here)
	require.NoError(t, err)
	for name := range ChartFolders {
		got, err := charts(t.Context(), name)
		require.NoError(t, err)
		assert.Equal(t, name, got.(*chartv2.Chart).Name())
	}
}

func TestAChartThatIsNotThereIsNamedWithTheWayOut(t *testing.T) {
	_, err := RegistryCharts("1.31.0", registryHere(t))
	require.ErrorContains(t, err, "pulling the chart "+chartRepository+"base:1.31.0")
	assert.ErrorContains(t, err, "use IMAGES=packages")
}

func TestAChartThatCannotBeReadIsNotPublished(t *testing.T) {
	broken := func(context.Context, string) (chart.Charter, error) { return nil, errors.New("no such folder") }
	assert.ErrorContains(t, PublishCharts(t.Context(), broken, "1.31.0", registryHere(t).to.Host), "reading the chart base: no such folder")
}
