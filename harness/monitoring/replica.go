package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Replica is the HTTP API of one Prometheus pod. It is reached through the API
// server's pod proxy, which every cluster has and which needs no port to be
// forwarded and nothing to run in the cluster.
type Replica struct {
	Pod    string
	client api.Client
	api    promv1.API
}

// NewReplica returns the API of a pod's web port.
func NewReplica(config *rest.Config, namespace, pod string) (*Replica, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing to reach %s/%s: %w", namespace, pod, err)
	}
	address := fmt.Sprintf("%s/api/v1/namespaces/%s/pods/http:%s:9090/proxy", config.Host, namespace, pod)
	client, err := api.NewClient(api.Config{Address: address, RoundTripper: transport})
	if err != nil {
		return nil, fmt.Errorf("preparing to reach %s/%s: %w", namespace, pod, err)
	}
	return &Replica{Pod: pod, client: client, api: promv1.NewAPI(client)}, nil
}

// Targets returns the active and the dropped targets.
func (r *Replica) Targets(ctx context.Context) (promv1.TargetsResult, error) {
	t, err := r.api.Targets(ctx)
	return t, r.explain("its targets", err)
}

// Query evaluates an expression at an instant.
func (r *Replica) Query(ctx context.Context, expression string, at time.Time) (model.Value, error) {
	v, _, err := r.api.Query(ctx, expression, at)
	return v, r.explain("the answer to "+expression, err)
}

// RawSamples returns every sample that was stored for a selector in the window
// that ends at an instant: not what a graph would interpolate, but what each
// scrape left.
func (r *Replica) RawSamples(ctx context.Context, selector string, window time.Duration, end time.Time) (model.Matrix, error) {
	expression := fmt.Sprintf("%s[%dms]", selector, window.Milliseconds())
	v, err := r.Query(ctx, expression, end)
	if err != nil {
		return nil, err
	}
	m, ok := v.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("%s answered %s with a %s, not with samples", r.Pod, expression, v.Type())
	}
	return m, nil
}

func (r *Replica) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("asking Prometheus in pod %s for %s: %w%s", r.Pod, what, err, details(err))
}

// details is what the API server says of why it did not reach Prometheus. The
// client library's error has only the code, and of a proxy that ends connections
// the code says as much as of a pod that is not there.
func details(err error) string {
	var e *promv1.Error
	var status metav1.Status
	if !errors.As(err, &e) || json.Unmarshal([]byte(e.Detail), &status) != nil || status.Message == "" {
		return ""
	}
	return ": " + status.Message
}

// ScrapePools lists the pools that Prometheus has made: a job whose client could
// not be built is in the configuration but not here.
func (r *Replica) ScrapePools(ctx context.Context) ([]string, error) {
	var answer struct {
		Data struct {
			ScrapePools []string `json:"scrapePools"`
		} `json:"data"`
	}
	body, err := r.get(ctx, "/api/v1/scrape_pools")
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	slices.Sort(answer.Data.ScrapePools)
	return answer.Data.ScrapePools, r.explain("its scrape pools", err)
}

// SelfMetrics returns the gauges and counters without labels that the replica
// serves of its own work, and the release that it says it is, as in "3.16.0".
func (r *Replica) SelfMetrics(ctx context.Context) (metrics map[string]float64, version string, err error) {
	body, err := r.get(ctx, "/metrics")
	if err != nil {
		return nil, "", r.explain("its own metrics", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, "", r.explain("its own metrics", err)
	}
	metrics = map[string]float64{}
	for name, family := range families {
		for _, m := range family.Metric {
			if len(m.Label) == 0 && (m.Gauge != nil || m.Counter != nil) {
				metrics[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() // one of them is absent, hence 0
			}
			for _, l := range m.Label {
				if name == "prometheus_build_info" && l.GetName() == "version" {
					version = l.GetValue()
				}
			}
		}
	}
	return metrics, version, nil
}

// Configuration returns what the replica has loaded, as YAML. Prometheus itself
// leaves out what is secret.
func (r *Replica) Configuration(ctx context.Context) (string, error) {
	c, err := r.api.Config(ctx)
	return c.YAML, r.explain("its configuration", err)
}

// get asks for something that the client library has no call for.
func (r *Replica) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.client.URL(path, nil).String(), nil)
	if err != nil {
		return nil, err
	}
	response, body, err := r.client.Do(ctx, request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer was %s", response.Status)
	}
	return body, nil
}
