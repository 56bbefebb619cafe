package observe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// GuideQuery is what the guide has its reader enter at the end of step 4.
const GuideQuery = "python_gc_objects_collected_total"

// readRunning asks every replica of the Prometheus for what it knows.
func (p *pass) readRunning(ctx context.Context) {
	var reads []func(context.Context)
	for _, pod := range Replicas(p.o) {
		reads = append(reads, func(ctx context.Context) {
			r := p.readReplica(ctx, pod.Name)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.o.Replicas = append(p.o.Replicas, r)
			if r.Certificate != nil && len(r.Certificate.URIs) > 0 {
				p.o.TrustDomain, _, _ = strings.Cut(strings.TrimPrefix(r.Certificate.URIs[0], "spiffe://"), "/")
			}
		})
	}
	each(ctx, reads...)
}

func (p *pass) readReplica(ctx context.Context, pod string) Replica {
	r := Replica{Pod: pod}
	api, err := p.replica(pod)
	if err != nil {
		p.unread("the API of "+pod, err)
		return r
	}
	targets, err := api.Targets(ctx)
	p.unread("the targets of "+pod, err)
	r.Targets, r.Dropped = readTargets(targets)
	r.ScrapePools, err = api.ScrapePools(ctx)
	p.unread("the scrape pools of "+pod, err)
	r.Version, err = api.Version(ctx)
	p.unread("the version of "+pod, err)
	own, err := api.SelfMetrics(ctx)
	p.unread("the own metrics of "+pod, err)
	r.Metrics = SelfMetrics{
		ReloadSuccessful:  own["prometheus_config_last_reload_successful"],
		ScrapePoolsFailed: own["prometheus_target_scrape_pools_failed_total"],
	}
	r.Guide, err = instant(ctx, api, GuideQuery)
	p.unread("the guide's query at "+pod, err)
	r.StartTimes, err = instant(ctx, api, startTimeMetric)
	p.unread("process start times at "+pod, err)
	r.Certificate, err = p.certificate(ctx, pod)
	p.unread("the certificate of "+pod, err)
	return r
}

// readCertificate reads a chain and its roots in the container that scrapes with
// them.
func (o *Observer) readCertificate(ctx context.Context, pod, chain, roots string) (*Certificate, error) {
	chainPEM, err := o.exec(ctx, o.namespace, pod, prometheusContainer, "cat", chain)
	if err != nil {
		return nil, err
	}
	rootsPEM, err := o.exec(ctx, o.namespace, pod, prometheusContainer, "cat", roots)
	if err != nil {
		return nil, err
	}
	return ParseCertificate([]byte(chainPEM), []byte(rootsPEM))
}

// prometheusContainer is what the Operator calls the container of Prometheus.
const prometheusContainer = "prometheus"

// certificate reads the files that the monitors name.
func (p *pass) certificate(ctx context.Context, pod string) (*Certificate, error) {
	chain, roots := CertificateFiles(p.o)
	if chain == "" {
		return nil, errors.New("no selected monitor names a client certificate")
	}
	return p.readCertificate(ctx, pod, chain, roots)
}

func readTargets(result promv1.TargetsResult) (targets []Target, dropped int) {
	for _, t := range result.Active {
		labels := map[string]string{}
		for name, value := range t.Labels {
			labels[string(name)] = string(value)
		}
		interval, err := model.ParseDuration(t.DiscoveredLabels["__scrape_interval__"])
		if err != nil {
			interval = 0 // no target is without one; a check that needs it sees none
		}
		targets = append(targets, Target{
			Pool: t.ScrapePool, URL: t.ScrapeURL, Labels: labels, Health: string(t.Health),
			LastError: t.LastError, LastScrape: t.LastScrape.UTC(), Interval: Duration(interval),
		})
	}
	return targets, len(result.Dropped)
}

// instant evaluates a selector and gives each value the time of its scrape: the
// time of an answer is that of the question, however stale the value.
func instant(ctx context.Context, api *monitoring.Replica, selector string) ([]Sample, error) {
	now := time.Now()
	values, err := vector(ctx, api, selector, now)
	if err != nil {
		return nil, err
	}
	times, err := vector(ctx, api, "timestamp("+selector+")", now)
	if err != nil {
		return nil, err
	}
	at := map[model.Fingerprint]float64{}
	for _, s := range times {
		at[s.Metric.Fingerprint()] = float64(s.Value)
	}
	var samples []Sample
	for _, s := range values {
		labels := labelsOf(s.Metric)
		delete(s.Metric, model.MetricNameLabel) // timestamp() drops it too
		samples = append(samples, Sample{
			Labels: labels, Value: float64(s.Value),
			At: time.UnixMilli(int64(at[s.Metric.Fingerprint()] * 1000)).UTC(),
		})
	}
	return samples, nil
}

func vector(ctx context.Context, api *monitoring.Replica, expression string, at time.Time) (model.Vector, error) {
	v, err := api.Query(ctx, expression, at)
	if err != nil {
		return nil, err
	}
	vec, ok := v.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s was answered with a %s", expression, v.Type())
	}
	return vec, nil
}

func labelsOf(m model.Metric) map[string]string {
	labels := map[string]string{}
	for name, value := range m {
		labels[string(name)] = string(value)
	}
	return labels
}

// rawUp reads every stored sample of up in a window.
func rawUp(ctx context.Context, api *monitoring.Replica, from, to time.Time) ([]Series, error) {
	matrix, err := api.RawSamples(ctx, "up", to.Sub(from), to)
	if err != nil {
		return nil, err
	}
	var all []Series
	for _, s := range matrix {
		series := Series{Labels: labelsOf(s.Metric)}
		for _, v := range s.Values {
			series.Points = append(series.Points, Point{At: v.Timestamp.Time().UTC(), Value: float64(v.Value)})
		}
		all = append(all, series)
	}
	return all, nil
}

// envoyVersion takes the release out of what Envoy says of itself,
// "<commit>/1.39.3/Clean/RELEASE/BoringSSL".
func envoyVersion(serverInfo string) string {
	for part := range strings.SplitSeq(serverInfo, "/") {
		if major, _, ok := strings.Cut(part, "."); ok {
			if _, err := strconv.Atoi(major); err == nil {
				return "Envoy " + part
			}
		}
	}
	return ""
}
