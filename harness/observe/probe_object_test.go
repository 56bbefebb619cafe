package observe

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
)

func TestAProbeAsksItsProberForEachTarget(t *testing.T) {
	static := func(p *monitoringv1.ProbeSpec) *monitoringv1.ProbeTargetStaticConfig { return p.Targets.StaticConfig }
	for name, c := range map[string]struct {
		change func(o *Observation, p *monitoringv1.ProbeSpec)
		want   []string
	}{
		"each once": {func(*Observation, *monitoringv1.ProbeSpec) {}, []string{
			"http://blackbox.mon:9115/probe?target=ex.org", "http://blackbox.mon:9115/probe?target=https%3A%2F%2Fex.org%2Fa",
		}},
		"no target": {func(_ *Observation, p *monitoringv1.ProbeSpec) { static(p).Targets = nil }, []string{}},
		"the scheme, the path and the module": {func(_ *Observation, p *monitoringv1.ProbeSpec) {
			p.ProberSpec.Scheme, p.ProberSpec.Path, p.Module = ptr(monitoringv1.Scheme("HTTPS")), "/p", "tcp"
			static(p).Targets = []string{"a"}
		}, []string{"https://blackbox.mon:9115/p?module=tcp&target=a"}},
		"the module before the parameter of that name": {func(_ *Observation, p *monitoringv1.ProbeSpec) {
			p.Module, static(p).Targets = "tcp", []string{"a"}
			p.Params = []monitoringv1.ProbeParam{{Name: "module", Values: []string{"icmp"}}, {Name: "x", Values: []string{"1", "2"}}}
		}, []string{"http://blackbox.mon:9115/probe?module=tcp&target=a&x=1&x=2"}},
		"a label that is a parameter": {func(_ *Observation, p *monitoringv1.ProbeSpec) {
			static(p).Targets, static(p).Labels = []string{"a"}, map[string]string{"__param_hop": "2"}
		}, []string{"http://blackbox.mon:9115/probe?hop=2&target=a"}},
		"rules on the target": {func(_ *Observation, p *monitoringv1.ProbeSpec) {
			static(p).RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "instance", "ex.*", "-", "-"), rel("", "__param_target", "(.*)", "__param_target", "tcp://$1")}
		}, []string{"http://blackbox.mon:9115/probe?target=tcp%3A%2F%2Fex.org"}},
		"rules of the scrape class, on the address of the prober": {func(o *Observation, p *monitoringv1.ProbeSpec) {
			static(p).Targets = []string{"a"}
			o.Prometheus.Spec.ScrapeClasses = []monitoringv1.ScrapeClass{{Name: "c", Default: ptr(true), Relabelings: []monitoringv1.RelabelConfig{rel("", "__address__", "(.*):9115", "__address__", "$1:9116")}}}
		}, []string{"http://blackbox.mon:9116/probe?target=a"}},
		"the namespace and the job as labels": {func(_ *Observation, p *monitoringv1.ProbeSpec) {
			p.JobName = "j"
			static(p).RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "namespace,job,__tmp_prometheus_job_name", "apps;j;probe/apps/b", "-", "-"), rel("drop", "instance", "http.*", "-", "-")}
		}, []string{"http://blackbox.mon:9115/probe?target=ex.org"}},
		"its own namespace label": {func(_ *Observation, p *monitoringv1.ProbeSpec) {
			static(p).Labels = map[string]string{"namespace": "other"}
			static(p).RelabelConfigs = []monitoringv1.RelabelConfig{rel("drop", "namespace", "apps", "-", "-")}
			static(p).Targets = []string{"a"}
		}, []string{"http://blackbox.mon:9115/probe?target=a"}},
		"static targets before Ingresses": {func(_ *Observation, p *monitoringv1.ProbeSpec) {
			static(p).Targets, p.Targets.Ingress = []string{"a"}, &monitoringv1.ProbeTargetIngress{}
		}, []string{"http://blackbox.mon:9115/probe?target=a"}},
		"a prober that is no address": {func(_ *Observation, p *monitoringv1.ProbeSpec) { p.ProberSpec.URL = "http://blackbox/" }, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			o := small()
			o.Prometheus.Spec.ServiceMonitorSelector = nil
			p := probing(o)
			p.ProberSpec.URL = "blackbox.mon:9115"
			p.Targets.StaticConfig = &monitoringv1.ProbeTargetStaticConfig{Targets: []string{"https://ex.org/a", "ex.org"}}
			c.change(o, p)
			labels := len(p.Targets.StaticConfig.Labels)
			expected, open := Expect(*o)
			assert.Empty(t, open)
			assert.Equal(t, c.want, urls(expected))
			assert.Len(t, p.Targets.StaticConfig.Labels, labels, "the object stays as it was")
			for _, e := range expected {
				assert.Equal(t, "probe/apps/b", e.Pool)
				assert.Empty(t, e.Namespace+e.Pod+e.Service, "the prober is not known to be a pod")
			}
		})
	}
}
