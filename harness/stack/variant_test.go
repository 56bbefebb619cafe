package stack

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// guide has every object that the variant may change, by kind and name.
func guide(t *testing.T, edits ...manifests.Edit) map[string]*unstructured.Unstructured {
	t.Helper()
	m := map[string]*unstructured.Unstructured{}
	for _, folder := range []string{manifests.Bookinfo, manifests.Guide} {
		objects, err := manifests.Read(folder)
		require.NoError(t, err)
		for _, u := range manifests.Apply(objects, edits...) {
			m[u.GetKind()+"/"+u.GetName()] = u
		}
	}
	return m
}

// proxyMetadata is what Prometheus' sidecar is told.
func proxyMetadata(t *testing.T, u *unstructured.Unstructured) map[string]string {
	t.Helper()
	annotation, _, err := unstructured.NestedString(u.Object, "spec", "podMetadata", "annotations", "proxy.istio.io/config")
	require.NoError(t, err)
	var config struct{ ProxyMetadata map[string]string }
	require.NoError(t, yaml.UnmarshalStrict([]byte(annotation), &config), annotation)
	return config.ProxyMetadata
}

func interval(t *testing.T, u *unstructured.Unstructured) any {
	t.Helper()
	endpoints, _, err := unstructured.NestedSlice(u.Object, "spec", "endpoints")
	require.NoError(t, err)
	require.Len(t, endpoints, 1)
	return endpoints[0].(map[string]any)["interval"]
}

func TestTheVariantAddsThePaceOfCertificatesToWhatTheGuideSays(t *testing.T) {
	was, is := guide(t)["Prometheus/default"], guide(t, Default.Edits()...)["Prometheus/default"]
	want := proxyMetadata(t, was)
	require.Equal(t, map[string]string{"OUTPUT_CERTS": "/etc/istio-output-certs"}, want)
	want["SECRET_TTL"], want["SECRET_GRACE_PERIOD_RATIO_JITTER"] = "20s", "0"
	assert.Equal(t, want, proxyMetadata(t, is))
}

func TestTheVariantHasEllipticKeysMadeOnlyIfAsked(t *testing.T) {
	v := Default
	v.EllipticKeys = true
	assert.Equal(t, "ECDSA", proxyMetadata(t, guide(t, v.Edits()...)["Prometheus/default"])["ECC_SIGNATURE_ALGORITHM"])
	assert.NotContains(t, proxyMetadata(t, guide(t, Default.Edits()...)["Prometheus/default"]), "ECC_SIGNATURE_ALGORITHM")
}

func TestTheVariantSetsTheScrapeInterval(t *testing.T) {
	assert.Equal(t, "30s", interval(t, guide(t)["ServiceMonitor/productpage"]))
	assert.Equal(t, "2s", interval(t, guide(t, Default.Edits()...)["ServiceMonitor/productpage"]))
}

func TestEveryMonitorOfASetUpHasTheIntervalOfTheVariant(t *testing.T) {
	objects, err := Workloads(Default, "x", "v3.16.0", nil)
	require.NoError(t, err)
	monitors := 0
	for _, u := range objects {
		if u.GetKind() == "ServiceMonitor" {
			monitors++
			assert.Equal(t, "2s", interval(t, u), u.GetName())
		}
	}
	assert.Equal(t, 2, monitors)
}

func TestTheVariantRunsMoreThanOneProductpage(t *testing.T) {
	replicas, _, err := unstructured.NestedInt64(guide(t, Default.Edits()...)["Deployment/productpage-v1"].Object, "spec", "replicas")
	require.NoError(t, err)
	assert.EqualValues(t, 2, replicas)
}

func TestTheVariantChangesNothingElse(t *testing.T) {
	was, is := guide(t), guide(t, Default.Edits()...)
	for _, path := range []struct {
		object string
		fields []string
	}{
		{"Prometheus/default", []string{"spec", "podMetadata", "annotations", "proxy.istio.io/config"}},
		{"ServiceMonitor/productpage", []string{"spec", "endpoints"}},
		{"Deployment/productpage-v1", []string{"spec", "replicas"}},
		{"Deployment/productpage-v1", []string{"spec", "template", "metadata", "annotations", "proxy.istio.io/config"}},
	} {
		unstructured.RemoveNestedField(was[path.object].Object, path.fields...)
		unstructured.RemoveNestedField(is[path.object].Object, path.fields...)
	}
	assert.Equal(t, was, is)
}

func TestTheVariantKeepsTheRestOfTheEndpoint(t *testing.T) {
	endpoint := func(u *unstructured.Unstructured) map[string]any {
		endpoints, _, err := unstructured.NestedSlice(u.Object, "spec", "endpoints")
		require.NoError(t, err)
		e := endpoints[0].(map[string]any)
		delete(e, "interval")
		return e
	}
	assert.Equal(t, endpoint(guide(t)["ServiceMonitor/productpage"]), endpoint(guide(t, Default.Edits()...)["ServiceMonitor/productpage"]))
}

func TestEveryIntervalIsOneThatTheOperatorAccepts(t *testing.T) {
	// The pattern of the type Duration in the Operator's definitions.
	accepted := regexp.MustCompile(`^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$`)
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 500 * time.Millisecond, 1500 * time.Millisecond, time.Minute, 90 * time.Second, time.Hour} {
		v := Default
		v.ScrapeInterval = d
		assert.Regexp(t, accepted, interval(t, guide(t, v.Edits()...)["ServiceMonitor/productpage"]), d.String())
	}
}

func TestEveryLifetimeIsOneThatTheAgentAccepts(t *testing.T) {
	for _, d := range []time.Duration{20 * time.Second, 2 * time.Minute, 90 * time.Second, 24 * time.Hour} {
		v := Default
		v.CertificateLifetime = d
		read, err := time.ParseDuration(proxyMetadata(t, guide(t, v.Edits()...)["Prometheus/default"])["SECRET_TTL"])
		require.NoError(t, err)
		assert.Equal(t, d, read)
	}
}

// Two rotations past the end of the first certificate must fit into the default
// time to watch, each over several scrapes.
func TestThePacesOfTheDefaultFitTogether(t *testing.T) {
	renewal := Default.CertificateLifetime / 2
	assert.GreaterOrEqual(t, int64(renewal/Default.ScrapeInterval), int64(5))
	assert.Less(t, Default.CertificateLifetime, time.Minute)
}

func TestASmallSetUpHasOneOfEachThatIsScrapedOrScrapes(t *testing.T) {
	names := func(v Variant) (names []string) {
		objects, err := v.SetUp()
		require.NoError(t, err)
		for _, u := range objects {
			if replicas, found, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); found {
				names = append(names, fmt.Sprintf("%s %s: %d", u.GetKind(), u.GetName(), replicas))
			}
		}
		return names
	}
	small := Default
	small.Small = true
	assert.Equal(t, []string{"Deployment productpage-v1: 1", "Prometheus default: 1"}, names(small))
	assert.Equal(t, []string{
		"Deployment details-v1: 1", "Deployment productpage-v1: 2", "Deployment ratings-v1: 1",
		"Deployment reviews-v1: 1", "Deployment reviews-v2: 1", "Deployment reviews-v3: 1", "Prometheus default: 2",
	}, names(Default))
}
