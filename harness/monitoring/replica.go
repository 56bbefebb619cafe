package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/podproxy"
)

// Replica is the HTTP API of one Prometheus pod. It is reached through the API
// server's pod proxy, and asked with GET only: a role that may read needs nothing
// more.
type Replica struct {
	Pod     string
	client  *podproxy.Client
	address podproxy.Address
}

// Web is how a Prometheus serves its API, the zero value being the Operator's
// default: plain HTTP at the root.
type Web struct {
	TLS    bool
	Prefix string // of every path, as in "/prometheus"
}

// answerLimit bounds what is read of one answer, in bytes. Ten thousand targets with
// all of their discovered labels are about 30 MiB.
const answerLimit = 256 << 20

// webPort is the one that the Operator gives every Prometheus.
const webPort = "9090"

// NewReplica returns the API of a pod's web port.
func NewReplica(config *rest.Config, namespace, pod string, web Web) (*Replica, error) {
	client, err := podproxy.New(config)
	if err == nil {
		_, err = url.Parse(config.Host)
	}
	if err != nil {
		return nil, fmt.Errorf("preparing to reach %s/%s: %w", namespace, pod, err)
	}
	return &Replica{pod, client, podproxy.Address{Namespace: namespace, Pod: pod, Port: webPort, TLS: web.TLS, Prefix: web.Prefix}}, nil
}

// Query evaluates an expression at an instant: to a vector or to a matrix.
func (r *Replica) Query(ctx context.Context, expression string, at time.Time) (model.Value, error) {
	var answer struct {
		Type   model.ValueType `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	err := r.ask(ctx, queryPath(expression, at), &answer)
	if err != nil {
		return nil, r.explain("the answer to "+expression, err)
	}
	switch answer.Type {
	case model.ValVector:
		var v model.Vector
		err = json.Unmarshal(answer.Result, &v)
		return v, r.explain("the answer to "+expression, err)
	case model.ValMatrix:
		var m model.Matrix
		err = json.Unmarshal(answer.Result, &m)
		return m, r.explain("the answer to "+expression, err)
	}
	return nil, r.explain("the answer to "+expression, fmt.Errorf("it is a %s", answer.Type))
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
	return fmt.Errorf("asking Prometheus in pod %s for %s: %w", r.Pod, what, err)
}

// ScrapePools lists the pools that Prometheus has made: a job whose client could
// not be built is in the configuration but not here.
func (r *Replica) ScrapePools(ctx context.Context) ([]string, error) {
	var answer struct {
		ScrapePools []string `json:"scrapePools"`
	}
	err := r.ask(ctx, "/api/v1/scrape_pools", &answer)
	slices.Sort(answer.ScrapePools)
	return answer.ScrapePools, r.explain("its scrape pools", err)
}

// SelfMetrics returns the gauges and counters without labels that the replica
// serves of its own work, and the release that it says it is, as in "3.16.0".
func (r *Replica) SelfMetrics(ctx context.Context) (metrics map[string]float64, version string, err error) {
	body, err := r.client.Get(ctx, r.address, "/metrics", answerLimit)
	if err != nil {
		return nil, "", r.explain("its own metrics", err)
	}
	defer body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(body)
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
	var answer struct {
		YAML string `json:"yaml"`
	}
	err := r.ask(ctx, "/api/v1/status/config", &answer)
	return answer.YAML, r.explain("its configuration", err)
}

// ask reads the data of an answer of Prometheus' API.
func (r *Replica) ask(ctx context.Context, path string, data any) error {
	body, err := r.client.Get(ctx, r.address, path, answerLimit)
	if err != nil {
		return err
	}
	defer body.Close()
	answer := struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   any    `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return nil
}
