package conformance

import (
	"net"
	"slices"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// targetsOpen are the ways in which the set of targets stays open.
func targetsOpen() []spoilt {
	return []spoilt{
		{"shards by zone are inconclusive, since who scrapes what is not worked out", func(o *observe.Observation) {
			zones := monitoringv1.TopologyShardingStrategyMode
			o.Prometheus.Spec.ShardingStrategy = &monitoringv1.ShardingStrategy{Mode: &zones}
		}, reports.Inconclusive, "Prometheus default/default has spec.shardingStrategy.mode Topology"},
		{"a relabeling that is not worked out is inconclusive and is named", func(o *observe.Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{{SourceLabels: []monitoringv1.LabelName{"__meta_kubernetes_pod_annotation_kubectl_kubernetes_io_last_applied_configuration"}, TargetLabel: "__address__"}}
		}, reports.Inconclusive, "ServiceMonitor default/productpage, endpoints[0]: the label __address__ depends on __meta_kubernetes_pod_annotation_kubectl_kubernetes_io_last_applied_configuration"},
		{"no target to expect is inconclusive", func(o *observe.Observation) { o.Services = nil }, reports.Inconclusive, "no target is expected"},
		{"services that could not be listed are inconclusive", couldNotRead("services"), reports.Inconclusive, "services could not be read"},
	}
}

func TestTargetsComplete(t *testing.T) {
	examine(t, targetsComplete, append(targetsOpen(), []spoilt{
		{"a missing target fails", func(o *observe.Observation) {
			replica(o).Targets = replica(o).Targets[1:]
		}, reports.Fail, "prometheus-default-0 lacks the target serviceMonitor/default/productpage/0 https://"},
		{"a target too many fails", func(o *observe.Observation) {
			replica(o).Targets = append(replica(o).Targets, observe.Target{Pool: "serviceMonitor/default/old/0", URL: "http://10.0.0.1:1/metrics"})
		}, reports.Fail, "has the target serviceMonitor/default/old/0 http://10.0.0.1:1/metrics, which nothing asks for"},
		{"the same target twice fails", func(o *observe.Observation) {
			replica(o).Targets = append(replica(o).Targets, replica(o).Targets[0])
		}, reports.Fail, "which nothing asks for"},
		{"another scheme fails", func(o *observe.Observation) {
			replica(o).Targets[0].URL = "http" + replica(o).Targets[0].URL[len("https"):]
		}, reports.Fail, "lacks the target"},
		{"a pool that could not be made is named", func(o *observe.Observation) {
			replica(o).Targets, replica(o).ScrapePools, replica(o).Metrics.ScrapePoolsFailed = nil, nil, 1
		}, reports.Fail, "prometheus_target_scrape_pools_failed_total is not 0"},
		{"a configuration that could not be loaded fails", func(o *observe.Observation) {
			replica(o).Metrics.ReloadSuccessful = 0
		}, reports.Fail, "prometheus_config_last_reload_successful is 0"},
		{"a missing replica fails", func(o *observe.Observation) { o.Replicas = o.Replicas[1:] }, reports.Fail, "1 replicas of Prometheus run, 2 are asked for"},
		{"targets of additional scrape configurations are inconclusive, and no surplus", func(o *observe.Observation) {
			o.Prometheus.Spec.AdditionalScrapeConfigs = &corev1.SecretKeySelector{}
			replica(o).Targets = append(replica(o).Targets, observe.Target{Pool: "node", URL: "http://10.0.0.1:1/metrics"})
		}, reports.Inconclusive, "spec.additionalScrapeConfigs"},
		{"targets that could not be read are inconclusive, not missing", func(o *observe.Observation) {
			couldNotRead("the targets of " + replica(o).Pod)(o)
			replica(o).Targets = nil
		}, reports.Inconclusive, "could not be read"},
	}...))
}

func TestTargetsUp(t *testing.T) {
	examine(t, targetsUp, append(targetsOpen(), []spoilt{
		{"a target that is down fails with its error", func(o *observe.Observation) {
			replica(o).Targets[0].Health, replica(o).Targets[0].LastError = "down", "remote error: tls: certificate required"
		}, reports.Fail, "is down: remote error: tls: certificate required"},
		{"an error beside the word up fails", func(o *observe.Observation) { replica(o).Targets[0].LastError = "x" }, reports.Fail, "is up: x"},
		{"an old scrape fails", func(o *observe.Observation) {
			o.Since = time.Time{}
			replica(o).Targets[0].LastScrape = o.At.Add(-time.Minute)
		}, reports.Fail, "was last scraped 1m0s before it was looked at, its interval is 2s"},
		{"a scrape from before the run fails", func(o *observe.Observation) { o.Since = o.At }, reports.Fail, "before this run began to look"},
		{"a target that is not there fails", func(o *observe.Observation) { replica(o).Targets = nil }, reports.Fail, "does not scrape https://"},
		{"one that was not scraped yet is inconclusive", func(o *observe.Observation) {
			replica(o).Targets[0].Health, replica(o).Targets[0].LastScrape = "unknown", time.Time{}
		}, reports.Inconclusive, "look again after that"},
		{"an unknown interval is inconclusive", func(o *observe.Observation) { replica(o).Targets[0].Interval = 0 }, reports.Inconclusive, "how often it has to"},
	}...))
}

func TestMetricsQueryable(t *testing.T) {
	examine(t, metricsQueryable, append(targetsOpen(), []spoilt{
		{"no answer to the guide's query fails", func(o *observe.Observation) { replica(o).Guide = nil }, reports.Fail, "answers python_gc_objects_collected_total with nothing from any of the targets"},
		{"no answer from one of the pods fails", func(o *observe.Observation) {
			e := firstTarget(o)
			var kept []observe.Sample
			for _, s := range replica(o).Guide {
				if s.Labels["pod"] != e.Pod {
					kept = append(kept, s)
				}
			}
			replica(o).Guide = kept
		}, reports.Fail, "with nothing from default/productpage"},
		{"a stale value fails", func(o *observe.Observation) {
			for i := range replica(o).Guide {
				replica(o).Guide[i].At = o.At.Add(-time.Minute)
			}
		}, reports.Fail, "was scraped 1m0s before it was asked for"},
		{"a value of another process fails", func(o *observe.Observation) { replica(o).StartTimes[0].Value++ }, reports.Fail, "the values come from somewhere else"},
		{"a value too many fails", func(o *observe.Observation) {
			replica(o).StartTimes = append(replica(o).StartTimes, replica(o).StartTimes[0])
		}, reports.Fail, "has 2 values of process_start_time_seconds"},
		{"a pod that was not asked itself is inconclusive", func(o *observe.Observation) { o.Direct = o.Direct[:1] }, reports.Inconclusive, "was not asked behind its proxy"},
		{"relabelled targets are recognised by their labels", func(o *observe.Observation) {
			rename := func(labels map[string]string) { labels["instance"] = "renamed-" + labels["pod"] }
			for i := range o.Replicas {
				r := &o.Replicas[i]
				for j := range r.Targets {
					rename(r.Targets[j].Labels)
				}
				for j := range r.Guide {
					rename(r.Guide[j].Labels)
				}
				for j := range r.StartTimes {
					rename(r.StartTimes[j].Labels)
				}
			}
		}, reports.Pass, ""},
		{"a target that serves neither metric is inconclusive", func(o *observe.Observation) { withUnmeshed(o) }, reports.Inconclusive, "which of its metrics to ask for is not known"},
		{"a query that could not be asked is inconclusive, not unanswered", func(o *observe.Observation) {
			couldNotRead("the guide's query at " + replica(o).Pod)(o)
			replica(o).Guide = nil
		}, reports.Inconclusive, "could not be read"},
	}...))
}

func TestMutualTLSOnTheWire(t *testing.T) {
	// scrape changes what a proxy logged of the first replica.
	scrape := func(change func(o *observe.Observation, q *observe.Request)) func(o *observe.Observation) {
		return func(o *observe.Observation) {
			p := proxyFor(o, firstTarget(o))
			for i := range p.Requests {
				if host, _, _ := net.SplitHostPort(p.Requests[i].Remote); host == firstReplicaPod(o).Status.PodIP {
					change(o, &p.Requests[i])
				}
			}
		}
	}
	examine(t, mutualTLSOnTheWire, append(targetsOpen(), []spoilt{
		{"a scrape in plain text fails and says who lets it in", scrape(func(_ *observe.Observation, q *observe.Request) {
			q.TLS, q.Peer, q.Serial = "", "", ""
		}), reports.Fail, "in plain text; the effective mTLS mode of its port 9080 is STRICT, from PeerAuthentication istio-system/default"},
		{"a scrape under another name fails", scrape(func(_ *observe.Observation, q *observe.Request) {
			q.Peer = "spiffe://cluster.local/ns/default/sa/default"
		}), reports.Fail, `from "spiffe://cluster.local/ns/default/sa/default", it must be from spiffe://cluster.local/ns/default/sa/prometheus-full-access`},
		{"a scrape with an older certificate than the file has fails", scrape(func(o *observe.Observation, q *observe.Request) {
			q.Serial, q.Ends = "123", replica(o).Certificate.NotAfter.Add(-time.Second)
		}), reports.Fail, "Prometheus does not use what its sidecar writes"},
		{"earlier ones with the certificate before pass", func(o *observe.Observation) {
			p := proxyFor(o, firstTarget(o))
			for _, q := range slices.Clone(p.Requests) {
				q.Serial, q.Ends = "123", replica(o).Certificate.NotAfter.Add(-time.Second)
				p.Requests = slices.Insert(p.Requests, 0, q)
			}
		}, reports.Pass, ""},
		{"one with a newer certificate is inconclusive", scrape(func(o *observe.Observation, q *observe.Request) {
			q.Serial, q.Ends = "123", replica(o).Certificate.NotAfter.Add(time.Second)
		}), reports.Inconclusive, "was not in its file when that was read"},
		{"leading zeros and capitals do not matter", scrape(func(_ *observe.Observation, q *observe.Request) {
			q.Serial = "00" + q.Serial
		}), reports.Pass, ""},
		{"no logged scrape is inconclusive", func(o *observe.Observation) {
			proxyFor(o, firstTarget(o)).Requests = nil
		}, reports.Inconclusive, "logged no scrape by prometheus-default-0 among 0 lines"},
		{"a proxy that was not asked is inconclusive", func(o *observe.Observation) { o.Proxies = nil }, reports.Inconclusive, "was not asked what it saw"},
		{"a log that could not be read is inconclusive", couldNotRead("the access log of the proxy of default/productpage"), reports.Inconclusive, "could not be read"},
		{"an unknown trust domain is inconclusive", func(o *observe.Observation) { o.Mesh.TrustDomain = "" }, reports.Inconclusive, "is not known"},
	}...))
}

// withUnmeshed adds a workload without a sidecar that is scraped in plain text.
func withUnmeshed(o *observe.Observation) *observe.Target {
	labels := map[string]string{"app": "plain", "team": "bookinfo"}
	meta := metav1.ObjectMeta{Namespace: "default", Name: "plain", Labels: labels}
	name, port := "http", int32(8080)
	o.Services = append(o.Services, corev1.Service{ObjectMeta: meta})
	o.Pods = append(o.Pods, corev1.Pod{ObjectMeta: meta, Status: corev1.PodStatus{PodIP: "10.244.9.9", Phase: corev1.PodRunning}})
	o.EndpointSlices = append(o.EndpointSlices, discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "plain-1", Labels: map[string]string{discoveryv1.LabelServiceName: "plain"}},
		Ports:      []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.244.9.9"}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "plain"}}},
	})
	o.ServiceMonitors = append(o.ServiceMonitors, monitoringv1.ServiceMonitor{ObjectMeta: meta, Spec: monitoringv1.ServiceMonitorSpec{
		Selector:  metav1.LabelSelector{MatchLabels: map[string]string{"app": "plain"}},
		Endpoints: []monitoringv1.Endpoint{{Port: "http"}},
	}})
	for i := range o.Replicas {
		o.Replicas[i].Targets = append(o.Replicas[i].Targets, observe.Target{
			Pool: "serviceMonitor/default/plain/0", URL: "http://10.244.9.9:8080/metrics", Health: "up", LastScrape: o.At, Interval: observe.Duration(2 * time.Second),
			Labels: map[string]string{"namespace": "default", "pod": "plain", "instance": "10.244.9.9:8080", "job": "plain"},
		})
	}
	targets := o.Replicas[0].Targets
	return &targets[len(targets)-1]
}

func TestUnmeshedStillScraped(t *testing.T) {
	r := unmeshedStillScraped.Judge(good(t))
	require.Equal(t, reports.Skip, r.Verdict)
	require.Contains(t, r.Reason, "without a sidecar in plain text")
	examineCases(t, unmeshedStillScraped, good, append(targetsOpen(), []spoilt{
		{"a workload without a sidecar that is up passes", func(o *observe.Observation) { withUnmeshed(o) }, reports.Pass, ""},
		{"one that is down fails", func(o *observe.Observation) {
			x := withUnmeshed(o)
			x.Health, x.LastError = "down", "connection refused"
		}, reports.Fail, "http://10.244.9.9:8080/metrics is down: connection refused"},
		{"one that is not scraped fails", func(o *observe.Observation) {
			withUnmeshed(o)
			replica(o).Targets = replica(o).Targets[:2]
		}, reports.Fail, "which has no sidecar, at all"},
		{"one whose pod was not seen is inconclusive", func(o *observe.Observation) {
			withUnmeshed(o)
			o.Pods = o.Pods[:len(o.Pods)-1]
		}, reports.Inconclusive, "open whether it has a sidecar"},
	}...))
}
