package observe

import (
	"fmt"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sharded is small with three shards, of which each has a replica, and one that is
// being given up.
func sharded() *Observation {
	o := small()
	o.Prometheus.Spec.Shards = ptr(int32(3))
	for shard := range 4 {
		o.Pods = append(o.Pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "apps", Name: fmt.Sprintf("p-%d", shard), Labels: map[string]string{"operator.prometheus.io/name": "p", shardLabel: fmt.Sprint(shard)},
		}})
	}
	return o
}

// shardsOf are the URLs that the replica of each shard must have.
func shardsOf(o *Observation) [][]string {
	expected, _ := Expect(*o)
	var all [][]string
	for shard := range 4 {
		all = append(all, urls(ForReplica(*o, expected, fmt.Sprintf("p-%d", shard))))
	}
	return all
}

// By md5sum, of whose last 16 digits the remainder by 3 is taken, the first address
// belongs to shard 0, the second and the name of the Service to shard 1.
func TestEachShardHasTheTargetsThatHashToIt(t *testing.T) {
	one, two := "https://10.0.0.1:8080/m", "https://10.0.0.2:8080/m"
	for name, c := range map[string]struct {
		change func(o *Observation, rules *[]monitoringv1.RelabelConfig)
		want   [][]string
	}{
		"by the address": {func(*Observation, *[]monitoringv1.RelabelConfig) {}, [][]string{{one}, {two}, {}, {}}},
		"one shard":      {func(o *Observation, _ *[]monitoringv1.RelabelConfig) { o.Prometheus.Spec.Shards = ptr(int32(1)) }, [][]string{{one, two}, {one, two}, {one, two}, {one, two}}},
		"less than one":  {func(o *Observation, _ *[]monitoringv1.RelabelConfig) { o.Prometheus.Spec.Shards = ptr(int32(-2)) }, [][]string{{one, two}, {one, two}, {one, two}, {one, two}}},
		"by another label": {func(_ *Observation, r *[]monitoringv1.RelabelConfig) {
			*r = []monitoringv1.RelabelConfig{rel("", "__meta_kubernetes_service_name", "-", "__tmp_hash", "-")}
		}, [][]string{{}, {one, two}, {}, {}}},
		"not at all": {func(_ *Observation, r *[]monitoringv1.RelabelConfig) {
			*r = []monitoringv1.RelabelConfig{rel("", "pod", "a-1", "__tmp_disable_sharding", "true")}
		}, [][]string{{one}, {one, two}, {one}, {}}},
		"as the owner has it": {func(_ *Observation, r *[]monitoringv1.RelabelConfig) {
			*r = []monitoringv1.RelabelConfig{rel("", "-", "-", "__tmp_disable_sharding", "true"), rel("keep", "pod", "a-$(SHARD)", "-", "-")}
		}, [][]string{{}, {one}, {two}, {}}},
		"each shard in its own way": {func(_ *Observation, r *[]monitoringv1.RelabelConfig) {
			*r = []monitoringv1.RelabelConfig{rel("", "-", "-", "__tmp_disable_sharding", "true"), rel("keep", "pod", "a-1", "-", "-"), rel("", "-", "-", "__metrics_path__", "/$(SHARD)")}
		}, [][]string{{"https://10.0.0.1:8080/0"}, {"https://10.0.0.1:8080/1"}, {"https://10.0.0.1:8080/2"}, {}}},
		"a replica of a shard unknown": {func(o *Observation, _ *[]monitoringv1.RelabelConfig) {
			delete(o.Pods[2].Labels, shardLabel)
			o.Pods[3].Labels[shardLabel] = "x"
			o.Pods[4].Labels[shardLabel] = "-1"
		}, [][]string{{}, {}, {}, {}}},
		"a Probe, by its target": {func(o *Observation, _ *[]monitoringv1.RelabelConfig) {
			o.Prometheus.Spec.ServiceMonitorSelector = nil
			p := probing(o)
			p.ProberSpec.URL, p.Targets.StaticConfig = "b:9", &monitoringv1.ProbeTargetStaticConfig{Targets: []string{"10.0.0.1:8080", "10.0.0.2:8080"}}
		}, [][]string{{"http://b:9/probe?target=10.0.0.1%3A8080"}, {"http://b:9/probe?target=10.0.0.2%3A8080"}, {}, {}}},
		"a ScrapeConfig, by the address": {func(o *Observation, _ *[]monitoringv1.RelabelConfig) {
			o.Prometheus.Spec.ServiceMonitorSelector = nil
			configuring(o).StaticConfigs = []monitoringv1alpha1.StaticConfig{{Targets: []monitoringv1alpha1.Target{"10.0.0.1:8080"}}}
		}, [][]string{{"http://10.0.0.1:8080/metrics"}, {}, {}, {}}},
		"a ScrapeConfig that hashes something itself": {func(o *Observation, _ *[]monitoringv1.RelabelConfig) {
			o.Prometheus.Spec.ServiceMonitorSelector = nil
			s := configuring(o)
			s.StaticConfigs = []monitoringv1alpha1.StaticConfig{{Targets: []monitoringv1alpha1.Target{"a"}}}
			s.RelabelConfigs = []monitoringv1.RelabelConfig{{Action: "HashMod", SourceLabels: sources("x"), TargetLabel: "y", Modulus: 2}}
		}, [][]string{{"http://a/metrics"}, {"http://a/metrics"}, {"http://a/metrics"}, {}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := sharded()
			c.change(o, &o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs)
			_, open := Expect(*o)
			assert.Empty(t, open)
			assert.Equal(t, c.want, shardsOf(o))
		})
	}
}

func TestATargetOfEveryShardIsExpectedOnce(t *testing.T) {
	o := sharded()
	rules := &o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs
	*rules = []monitoringv1.RelabelConfig{rel("", "pod", "a-1", "__tmp_disable_sharding", "true")}
	shards := map[string]string{}
	for _, e := range ExpectedTargets(*o) {
		shards[e.Pod] = e.Shard
	}
	assert.Equal(t, map[string]string{"a-1": "", "a-2": "1"}, shards)

	*rules = []monitoringv1.RelabelConfig{rel("", "__meta_kubernetes_pod_annotation_kubectl_kubernetes_io_last_applied_configuration", "-", "__tmp_hash", "-")}
	expected, open := Expect(*o)
	assert.Empty(t, expected)
	if assert.Len(t, open, 1) {
		assert.Contains(t, open[0].Reason, "a rule of the Operator's own (keep) decides by the label __meta_kubernetes_pod_annotation")
	}
	assert.Nil(t, ForReplica(Observation{Prometheus: o.Prometheus}, []Expected{{}}, "p-0"), "a replica that was not observed")
	assert.Len(t, ForReplica(Observation{}, []Expected{{}}, "p-0"), 1)
}
