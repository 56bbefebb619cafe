package observe

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPrometheusNeedsToReadWhatItsMonitorsDiscover(t *testing.T) {
	in := func(namespace string, resources ...string) []need {
		var all []need
		for _, r := range resources {
			group := map[string]string{"endpointslices": "discovery.k8s.io", "ingresses": "networking.k8s.io"}[r]
			all = append(all, need{namespace, group, r})
		}
		return all
	}
	podMonitorOnly := func(o *Observation) *monitoringv1.PodMonitorSpec {
		o.Prometheus.Spec.ServiceMonitorSelector, o.Prometheus.Spec.PodMonitorSelector = nil, &metav1.LabelSelector{}
		return &o.PodMonitors[0].Spec
	}
	configOnly := func(o *Observation, all ...monitoringv1alpha1.KubernetesSDConfig) {
		o.Prometheus.Spec.ServiceMonitorSelector = nil
		configuring(o).KubernetesSDConfigs = all
	}
	monitor := func(o *Observation) *monitoringv1.ServiceMonitorSpec { return &o.ServiceMonitors[0].Spec }
	for name, c := range map[string]struct {
		change func(o *Observation)
		want   []need
	}{
		"no Prometheus":       {func(o *Observation) { o.Prometheus = nil }, nil},
		"nothing is selected": {func(o *Observation) { o.Prometheus.Spec.ServiceMonitorSelector = nil }, nil},
		"a ServiceMonitor":    {func(*Observation) {}, in("apps", "endpoints", "pods", "services")},
		"by the newer role":   {func(o *Observation) { o.Prometheus.Spec.ServiceDiscoveryRole = ptr(monitoringv1.EndpointSliceRole) }, in("apps", "endpointslices", "pods", "services")},
		"by its own role": {func(o *Observation) {
			o.Prometheus.Spec.ServiceDiscoveryRole, monitor(o).ServiceDiscoveryRole = ptr(monitoringv1.EndpointSliceRole), ptr(monitoringv1.EndpointsRole)
		}, in("apps", "endpoints", "pods", "services")},
		"in all namespaces": {func(o *Observation) { monitor(o).NamespaceSelector.Any = true }, in("", "endpoints", "pods", "services")},
		"in some": {func(o *Observation) { monitor(o).NamespaceSelector.MatchNames = []string{"y", "x", "x"} },
			append(in("x", "endpoints", "pods", "services"), in("y", "endpoints", "pods", "services")...)},
		"in some that are ignored": {func(o *Observation) {
			monitor(o).NamespaceSelector.MatchNames, o.Prometheus.Spec.IgnoreNamespaceSelectors = []string{"x"}, true
		}, in("apps", "endpoints", "pods", "services")},
		"with the labels of nodes": {func(o *Observation) { monitor(o).AttachMetadata = &monitoringv1.AttachMetadata{Node: ptr(true)} },
			append(in("", "nodes"), in("apps", "endpoints", "pods", "services")...)},
		"with the labels of nodes, by the scrape class": {func(o *Observation) {
			o.Prometheus.Spec.ScrapeClasses = []monitoringv1.ScrapeClass{{Name: "c", Default: ptr(true), AttachMetadata: &monitoringv1.AttachMetadata{Node: ptr(true)}}}
		}, append(in("", "nodes"), in("apps", "endpoints", "pods", "services")...)},
		"by another API server":   {func(o *Observation) { o.Prometheus.Spec.APIServerConfig = &monitoringv1.APIServerConfig{Host: "x"} }, nil},
		"a PodMonitor":            {func(o *Observation) { podMonitorOnly(o) }, in("apps", "pods")},
		"a PodMonitor in another": {func(o *Observation) { podMonitorOnly(o).NamespaceSelector.MatchNames = []string{"x"} }, in("x", "pods")},
		"a Probe of what is written": {func(o *Observation) {
			configOnly(o)
			probing(o).Targets.StaticConfig = &monitoringv1.ProbeTargetStaticConfig{}
		}, nil},
		"a Probe of Ingresses": {func(o *Observation) { configOnly(o); probing(o).Targets.Ingress = &monitoringv1.ProbeTargetIngress{} }, in("apps", "ingresses")},
		"a ScrapeConfig of each role": {func(o *Observation) {
			configOnly(o, monitoringv1alpha1.KubernetesSDConfig{Role: "Pod"}, monitoringv1alpha1.KubernetesSDConfig{Role: "Service"}, monitoringv1alpha1.KubernetesSDConfig{Role: "Endpoints"},
				monitoringv1alpha1.KubernetesSDConfig{Role: "EndpointSlice"}, monitoringv1alpha1.KubernetesSDConfig{Role: "Node"}, monitoringv1alpha1.KubernetesSDConfig{Role: "Ingress"})
		}, in("", "endpoints", "endpointslices", "ingresses", "nodes", "pods", "services")},
		"a ScrapeConfig of its own namespace": {func(o *Observation) {
			configOnly(o, monitoringv1alpha1.KubernetesSDConfig{Role: "Pod", Namespaces: &monitoringv1alpha1.NamespaceDiscovery{IncludeOwnNamespace: ptr(true)}})
		}, in("apps", "pods")},
		"a ScrapeConfig of nodes, whose namespaces say nothing": {func(o *Observation) {
			configOnly(o, monitoringv1alpha1.KubernetesSDConfig{Role: "Node", Namespaces: &monitoringv1alpha1.NamespaceDiscovery{Names: []string{"x"}}})
		}, in("", "nodes")},
		"a ScrapeConfig of an unknown role": {func(o *Observation) { configOnly(o, monitoringv1alpha1.KubernetesSDConfig{Role: "Gateway"}) }, nil},
		"a ScrapeConfig by another server": {func(o *Observation) {
			configOnly(o, monitoringv1alpha1.KubernetesSDConfig{Role: "Pod", APIServer: ptr("x")})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := small()
			c.change(o)
			assert.Equal(t, c.want, needs(*o))
		})
	}
}
