package observe

import (
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

const prometheusID = "spiffe://cluster.local/ns/monitoring/sa/prometheus"

// sidecarMetrics is a part of what an agent serves: its own, Envoy's, the application's.
const sidecarMetrics = `# HELP istio_agent_process_start_time_seconds Start time
istio_agent_process_start_time_seconds 1
process_start_time_seconds 1.79558264699e+09
istio_requests_total{reporter="destination",source_principal="` + prometheusID + `",connection_security_policy="mutual_tls",response_code="200"} 40
istio_requests_total{reporter="destination",source_principal="` + prometheusID + `",connection_security_policy="mutual_tls",response_code="404"} 2
istio_requests_total{reporter="destination",source_principal="unknown",connection_security_policy="none",response_code="200"} 7
istio_requests_total{reporter="source",source_principal="` + prometheusID + `",connection_security_policy="unknown",response_code="200"} 99
istio_request_bytes_sum{reporter="destination"} 8
`

func TestASidecarSaysWhomItServed(t *testing.T) {
	a, err := parseAgent(strings.NewReader(sidecarMetrics))
	require.NoError(t, err)
	assert.Equal(t, map[Served]float64{{Peer: prometheusID, TLS: true}: 42, {}: 7}, a.served)
	assert.Equal(t, []float64{1.79558264699e+09}, a.startTimes, "the agent's own is another metric")
}

func TestWhatASidecarServedBetweenTwoLooksIsByHowMuchItGrew(t *testing.T) {
	peer := Served{Peer: prometheusID, TLS: true}
	for name, c := range map[string]struct{ before, now, grew float64 }{
		"it grew": {40, 42, 2}, "it is the same": {40, 40, 0}, "it began anew": {40, 3, 3}, "it is new": {0, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := agent{served: map[Served]float64{peer: c.now}}.since(agent{served: map[Served]float64{peer: c.before}})
			if c.grew == 0 {
				assert.Empty(t, got)
				return
			}
			assert.Equal(t, []Served{{Peer: prometheusID, TLS: true, Count: c.grew}}, got)
		})
	}
}

func TestMetricsThatAreNoneAreAnError(t *testing.T) {
	_, err := parseAgent(strings.NewReader("istio_requests_total{reporter=\"destination\n"))
	assert.ErrorContains(t, err, "istio_requests_total")
	a, err := parseAgent(strings.NewReader("<html>\nit is no agent\n"))
	require.NoError(t, err)
	assert.Empty(t, a.served)
}

func TestTargetsAreTakenAtEvenDistances(t *testing.T) {
	var all []Expected
	for i := range 10_000 {
		all = append(all, Expected{Namespace: "a", Pod: string(rune('a'+i%26)) + strings.Repeat("x", i/26)})
	}
	assert.Len(t, sample(all), sampleSize)
	assert.Len(t, sample(all[:7]), 7)
	assert.Len(t, sample([]Expected{{Pod: "x", Port: "1"}, {Pod: "x", Port: "2"}}), 1, "a pod is asked once")
	assert.Empty(t, sample(nil))
}

func TestAPrometheusIsReachedAsItsSpecSays(t *testing.T) {
	p := &monitoringv1.Prometheus{}
	assert.Equal(t, monitoring.Web{}, webOf(nil))
	assert.Equal(t, monitoring.Web{}, webOf(p))
	p.Spec.ExternalURL = "https://example.org/prom"
	assert.Equal(t, monitoring.Web{Prefix: "/prom"}, webOf(p))
	p.Spec.RoutePrefix = "/"
	p.Spec.Web = &monitoringv1.PrometheusWebSpec{}
	p.Spec.Web.TLSConfig = &monitoringv1.WebTLSConfig{}
	assert.Equal(t, monitoring.Web{TLS: true, Prefix: "/"}, webOf(p))
}

func TestScrapesAreWholeIfAsManyWereStoredAsTheSpanHas(t *testing.T) {
	for name, c := range map[string]struct {
		samples, up int
		whole       bool
	}{
		"all": {120, 120, true}, "one just outside": {119, 119, true}, "one more": {121, 121, true},
		"two lack": {118, 118, false}, "one failed": {120, 119, false},
	} {
		assert.Equal(t, c.whole, Stored{Samples: c.samples, Up: c.up}.Whole(time.Hour, 30*time.Second), name)
	}
	assert.False(t, Stored{Samples: 1, Up: 1}.Whole(time.Hour, 0), "without an interval nothing is known")
}

func TestARenewalThatSeveralReplicasSawIsOne(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r := func(pod string, after int) Renewal {
		return Renewal{Pod: pod, After: at.Add(time.Duration(after) * time.Second), Before: at.Add(time.Duration(after+30) * time.Second)}
	}
	assert.Equal(t, []Renewal{r("a", 0), r("a", 3600), r("b", 5)}, earliest([]Renewal{r("a", 3600), r("b", 5), r("a", 10), r("a", 0)}))
}
