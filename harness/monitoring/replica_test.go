package monitoring

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

const proxied = "/api/v1/namespaces/default/pods/http:prometheus-default-0:9090/proxy"

// prometheus is an API server whose pod proxy reaches one Prometheus; it has an
// answer for some paths and queries.
type prometheus struct {
	answers map[string]string // body by path below the proxy, with the query if there is one
	asked   []string
}

func (p *prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	path, ok := strings.CutPrefix(r.URL.Path, proxied)
	if q := r.Form.Get("query"); q != "" {
		path += "?" + q
	}
	p.asked = append(p.asked, path)
	body, known := p.answers[path]
	if !ok || !known {
		http.Error(w, "no endpoints available", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte(body))
}

func replica(t *testing.T, answers map[string]string) (*Replica, *prometheus) {
	t.Helper()
	p := &prometheus{answers: answers}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	r, err := NewReplica(&rest.Config{Host: server.URL}, "default", "prometheus-default-0", Web{})
	require.NoError(t, err)
	return r, p
}

func TestTargetsAreThoseOfOneReplica(t *testing.T) {
	r, p := replica(t, map[string]string{"/api/v1/targets": `{"status":"success","data":{"activeTargets":[{"scrapePool":"a","scrapeUrl":"https://10.244.0.5:9080/metrics","health":"up"}],"droppedTargets":[]}}`})
	targets, err := r.Targets(t.Context())
	require.NoError(t, err)
	require.Len(t, targets.Active, 1)
	assert.Equal(t, "https://10.244.0.5:9080/metrics", targets.Active[0].ScrapeURL)
	assert.Equal(t, []string{"/api/v1/targets"}, p.asked)
}

func TestEveryErrorNamesThePodAndWhatWasAsked(t *testing.T) {
	r, _ := replica(t, nil)
	for what, ask := range map[string]func() error{
		"its targets":              func() error { _, err := r.Targets(t.Context()); return err },
		"the answer to up":         func() error { _, err := r.Query(t.Context(), "up", time.Now()); return err },
		"the answer to up[2000ms]": func() error { _, err := r.RawSamples(t.Context(), "up", 2*time.Second, time.Now()); return err },
		"its scrape pools":         func() error { _, err := r.ScrapePools(t.Context()); return err },
		"its own metrics":          func() error { _, _, err := r.SelfMetrics(t.Context()); return err },
		"its configuration":        func() error { _, err := r.Configuration(t.Context()); return err },
	} {
		assert.ErrorContains(t, ask(), "asking Prometheus in pod prometheus-default-0 for "+what)
	}
}

func TestAnErrorSaysWhatTheAPIServerSaysOfAPodThatItDidNotReach(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"error trying to reach service: read tcp 10.244.0.1:1->10.244.0.15:9090: read: connection reset by peer","code":503}`))
	}))
	t.Cleanup(server.Close)
	r, err := NewReplica(&rest.Config{Host: server.URL}, "default", "prometheus-default-0", Web{})
	require.NoError(t, err)
	_, err = r.Targets(t.Context())
	assert.ErrorContains(t, err, "server error: 503: error trying to reach service: read tcp 10.244.0.1:1->10.244.0.15:9090: read: connection reset by peer")
	_, err = r.ScrapePools(t.Context())
	assert.ErrorContains(t, err, "503")
}

func TestRawSamplesAreWhatWasStored(t *testing.T) {
	r, _ := replica(t, map[string]string{`/api/v1/query?up{job="a"}[10000ms]`: `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"a"},"values":[[1700000000,"1"],[1700000002,"0"]]}]}}`})
	m, err := r.RawSamples(t.Context(), `up{job="a"}`, 10*time.Second, time.Unix(1_700_000_010, 0))
	require.NoError(t, err)
	require.Len(t, m, 1)
	assert.Equal(t, []model.SamplePair{{Timestamp: 1_700_000_000_000, Value: 1}, {Timestamp: 1_700_000_002_000, Value: 0}}, m[0].Values)
}

func TestAnAnswerThatIsNoSamplesIsRefused(t *testing.T) {
	r, _ := replica(t, map[string]string{"/api/v1/query?up[1000ms]": `{"status":"success","data":{"resultType":"vector","result":[]}}`})
	_, err := r.RawSamples(t.Context(), "up", time.Second, time.Now())
	assert.EqualError(t, err, "prometheus-default-0 answered up[1000ms] with a vector, not with samples")
}

func TestAQueryThatPrometheusRefusesIsToldInItsWords(t *testing.T) {
	r, _ := replica(t, map[string]string{"/api/v1/query?up{": `{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}`})
	_, err := r.Query(t.Context(), "up{", time.Now())
	assert.ErrorContains(t, err, "unexpected end of input")
}

func TestScrapePoolsAreSorted(t *testing.T) {
	r, _ := replica(t, map[string]string{"/api/v1/scrape_pools": `{"status":"success","data":{"scrapePools":["b","a"]}}`})
	pools, err := r.ScrapePools(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, pools)
}

func TestScrapePoolsThatCannotBeReadAreAnError(t *testing.T) {
	r, _ := replica(t, map[string]string{"/api/v1/scrape_pools": `<html>`})
	_, err := r.ScrapePools(t.Context())
	assert.ErrorContains(t, err, "its scrape pools")
}

func TestSelfMetricsAreTheGaugesAndCountersWithoutLabels(t *testing.T) {
	r, _ := replica(t, map[string]string{"/metrics": `# TYPE prometheus_target_scrape_pools_failed_total counter
prometheus_target_scrape_pools_failed_total 1
# TYPE prometheus_config_last_reload_successful gauge
prometheus_config_last_reload_successful 0
# TYPE prometheus_labelled gauge
prometheus_labelled{a="b"} 7
# TYPE prometheus_build_info gauge
prometheus_build_info{branch="packages",version="3.16.0"} 1
# TYPE prometheus_http_seconds histogram
prometheus_http_seconds_bucket{le="+Inf"} 1
prometheus_http_seconds_sum 1
prometheus_http_seconds_count 1
`})
	metrics, version, err := r.SelfMetrics(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{"prometheus_target_scrape_pools_failed_total": 1, "prometheus_config_last_reload_successful": 0}, metrics)
	assert.Equal(t, "3.16.0", version)
}

func TestMetricsThatCannotBeReadAreAnError(t *testing.T) {
	r, _ := replica(t, map[string]string{"/metrics": "<html>\n"})
	_, _, err := r.SelfMetrics(t.Context())
	assert.ErrorContains(t, err, "its own metrics")
}

// Rancher and others put a cluster below a path, with or without a slash at its end.
func TestAnAddressWithAPathIsKept(t *testing.T) {
	for _, path := range []string{"/", "/k8s/clusters/c-1", "/k8s/clusters/c-1/"} {
		var asked string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Path
			_, _ = w.Write([]byte(`{"status":"success","data":{"scrapePools":[]}}`))
		}))
		r, err := NewReplica(&rest.Config{Host: server.URL + path}, "default", "prometheus-default-0", Web{})
		require.NoError(t, err)
		_, err = r.ScrapePools(t.Context())
		require.NoError(t, err)
		server.Close()
		assert.Equal(t, strings.TrimRight(path, "/")+proxied+"/api/v1/scrape_pools", asked)
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	_, err := NewReplica(&rest.Config{Host: "http://[::1"}, "default", "p", Web{})
	assert.ErrorContains(t, err, "preparing to reach default/p")
}
