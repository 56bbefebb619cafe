package simulated

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// Interval is how often the simulated Prometheus scrapes.
const Interval = time.Second

// proxy answers for a pod.
func (c *Cluster) proxy(w http.ResponseWriter, r *http.Request, a address) {
	parts := strings.Split(a.name, ":")
	if len(parts) != 3 {
		refuse(w, http.StatusServiceUnavailable, "no endpoints available")
		return
	}
	pod, port := parts[1], parts[2]
	i := slices.IndexFunc(c.observation.Replicas, func(x observe.Replica) bool { return x.Pod == pod })
	switch {
	case port == "9090" && i >= 0:
		c.prometheus(w, r, a.rest, c.observation.Replicas[i])
	case port == "15020" && a.rest == "/stats/prometheus":
		c.sidecar(w, a.namespace+"/"+pod)
	default:
		refuse(w, http.StatusServiceUnavailable, "error trying to reach service: connection refused")
	}
}

// prometheus answers as a replica does.
func (c *Cluster) prometheus(w http.ResponseWriter, r *http.Request, path string, replica observe.Replica) {
	switch path {
	case "/api/v1/targets":
		targets(w, replica)
	case "/api/v1/scrape_pools":
		succeed(w, map[string]any{"scrapePools": replica.ScrapePools})
	case "/api/v1/status/config":
		succeed(w, map[string]any{"yaml": replica.Configuration})
	case "/metrics":
		fmt.Fprintf(w, "# TYPE prometheus_config_last_reload_successful gauge\nprometheus_config_last_reload_successful 1\n# TYPE prometheus_build_info gauge\nprometheus_build_info{version=%q} 1\n", replica.Version)
	case "/api/v1/query":
		c.query(w, r.URL.Query().Get("query"), replica)
	default:
		http.NotFound(w, r)
	}
}

// targets are written one by one: all of them at a time would count as memory of
// whoever reads them.
func targets(w io.Writer, replica observe.Replica) {
	fmt.Fprint(w, `{"status":"success","data":{"activeTargets":[`)
	for i, t := range replica.Targets {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		discovered := maps.Clone(t.Labels)
		discovered["__scrape_interval__"] = Interval.String()
		_ = json.NewEncoder(w).Encode(map[string]any{
			"discoveredLabels": discovered, "labels": t.Labels, "scrapePool": t.Pool, "scrapeUrl": t.URL, "lastError": t.LastError,
			"lastScrape": time.Now().UTC(), "health": t.Health,
		})
	}
	fmt.Fprint(w, `],"droppedTargets":[]}}`)
}

func succeed(w http.ResponseWriter, data any) {
	reply(w, map[string]any{"status": "success", "data": data})
}

// query answers the few expressions that are asked, of a Prometheus that scraped every
// target without a loss for as long as it is asked about.
func (c *Cluster) query(w http.ResponseWriter, expression string, replica observe.Replica) {
	now := model.Now()
	selector, window, _ := strings.Cut(expression, "[")
	span, _ := time.ParseDuration(strings.TrimRight(window, "])"))
	switch {
	case strings.HasPrefix(expression, "count_over_time("), strings.HasPrefix(expression, "sum_over_time("):
		vector := model.Vector{}
		for _, t := range replica.Targets {
			vector = append(vector, &model.Sample{Metric: metric(t.Labels, ""), Timestamp: now, Value: model.SampleValue(span / Interval)})
		}
		succeed(w, map[string]any{"resultType": "vector", "result": vector})
	case selector == "up":
		matrix := model.Matrix{}
		for _, t := range replica.Targets {
			stream := &model.SampleStream{Metric: metric(t.Labels, "up")}
			for at := now.Add(-span); !at.After(now); at = at.Add(Interval) {
				stream.Values = append(stream.Values, model.SamplePair{Timestamp: at, Value: 1})
			}
			matrix = append(matrix, stream)
		}
		succeed(w, map[string]any{"resultType": "matrix", "result": matrix})
	case strings.HasPrefix(expression, "min(timestamp("):
		succeed(w, map[string]any{"resultType": "vector", "result": model.Vector{{Timestamp: now, Value: model.SampleValue(now) / 1000}}})
	case strings.HasPrefix(selector, "scrape_samples_post_metric_relabeling"):
		matrix := model.Matrix{}
		for _, t := range replica.Targets {
			matrix = append(matrix, &model.SampleStream{Metric: metric(t.Labels, "scrape_samples_post_metric_relabeling"), Values: []model.SamplePair{{Timestamp: now, Value: 40}}})
		}
		succeed(w, map[string]any{"resultType": "matrix", "result": matrix})
	case strings.HasPrefix(selector, "process_start_time_seconds"):
		matrix := model.Matrix{}
		for _, s := range replica.StartTimes {
			matrix = append(matrix, &model.SampleStream{Metric: metric(s.Labels, "process_start_time_seconds"), Values: []model.SamplePair{{Timestamp: now, Value: model.SampleValue(s.Value)}}})
		}
		succeed(w, map[string]any{"resultType": "matrix", "result": matrix})
	default:
		succeed(w, map[string]any{"resultType": "matrix", "result": model.Matrix{}})
	}
}

func metric(labels map[string]string, name string) model.Metric {
	m := model.Metric{}
	for k, v := range labels {
		m[model.LabelName(k)] = model.LabelValue(v)
	}
	if name != "" {
		m[model.MetricNameLabel] = model.LabelValue(name)
	}
	return m
}

// sidecar answers as a target's agent does: each time it served Prometheus once more.
func (c *Cluster) sidecar(w io.Writer, pod string) {
	c.mu.Lock()
	c.asked++
	n := c.asked
	c.mu.Unlock()
	fmt.Fprintln(w, "# TYPE istio_agent_process_start_time_seconds gauge\nistio_agent_process_start_time_seconds 5")
	for _, p := range observe.Replicas(c.observation) {
		if !c.NoTelemetry {
			fmt.Fprintf(w, "istio_requests_total{reporter=\"destination\",source_principal=%q,connection_security_policy=\"mutual_tls\",response_code=\"200\"} %d\n", observe.IdentityOf(c.observation, &p), n)
			break
		}
	}
	fmt.Fprintln(w, `istio_requests_total{reporter="destination",source_principal="unknown",connection_security_policy="none",response_code="200"} 7`)
	for _, r := range c.observation.Replicas {
		for _, s := range r.StartTimes {
			if s.Labels["namespace"]+"/"+s.Labels["pod"] == pod {
				fmt.Fprintf(w, "process_start_time_seconds %f\n", s.Value)
				return
			}
		}
	}
}

// log answers with what a target's proxy logged of the replicas.
func (c *Cluster) log(w io.Writer, a address) {
	for _, p := range c.observation.Proxies {
		if p.Pod != a.namespace+"/"+a.name {
			continue
		}
		for _, q := range p.Requests {
			_ = json.NewEncoder(w).Encode(map[string]any{
				"time": float64(time.Now().UnixMilli()) / 1000, "peer": q.Peer, "serial": q.Serial, "tls": q.TLS, "remote": q.Remote, "local": q.Local, "path": q.Path, "code": q.Code,
			})
		}
	}
}
