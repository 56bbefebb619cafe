package observe

import (
	"fmt"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func ptr[T any](v T) *T { return &v }

// small is a Prometheus, one monitor of each kind that is derived, one Service and
// the two pods behind it: one with a sidecar, one of another version without.
func small() *Observation {
	app := map[string]string{"app": "a"}
	meta := metav1.ObjectMeta{Namespace: "apps", Name: "a", Labels: app}
	pod := func(name, ip, version string, containers ...corev1.Container) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: name, Labels: map[string]string{"app": "a", "app.kubernetes.io/version": version}},
			Spec:       corev1.PodSpec{Containers: containers},
			Status:     corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning},
		}
	}
	server := corev1.Container{Name: "server", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}, {Name: "admin", ContainerPort: 8081}}}
	proxy := corev1.Container{Name: "istio-proxy", Ports: []corev1.ContainerPort{{Name: "http-envoy-prom", ContainerPort: 15090}}}
	endpoint := func(pod, ip string) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{ip}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod}}
	}
	https := monitoringv1.Scheme("HTTPS")
	return &Observation{
		Namespaces: []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "apps", Labels: map[string]string{"team": "x"}}}, {ObjectMeta: metav1.ObjectMeta{Name: "mon"}}},
		Prometheus: &monitoringv1.Prometheus{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "p"}, Spec: monitoringv1.PrometheusSpec{
			CommonPrometheusFields: monitoringv1.CommonPrometheusFields{ServiceMonitorSelector: &metav1.LabelSelector{}},
		}},
		Services: []corev1.Service{{ObjectMeta: meta}},
		Pods:     []corev1.Pod{pod("a-1", "10.0.0.1", "v1", server, proxy), pod("a-2", "10.0.0.2", "v2", server)},
		EndpointSlices: []discoveryv1.EndpointSlice{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "a-x", Labels: map[string]string{discoveryv1.LabelServiceName: "a"}},
			Ports:      []discoveryv1.EndpointPort{{Name: ptr("http"), Port: ptr(int32(8080))}},
			Endpoints:  []discoveryv1.Endpoint{endpoint("a-1", "10.0.0.1"), endpoint("a-2", "10.0.0.2")},
		}},
		ServiceMonitors: []monitoringv1.ServiceMonitor{{ObjectMeta: meta, Spec: monitoringv1.ServiceMonitorSpec{
			Selector: metav1.LabelSelector{MatchLabels: app}, Endpoints: []monitoringv1.Endpoint{{Port: "http", Scheme: &https, Path: "/m"}},
		}}},
		PodMonitors: []monitoringv1.PodMonitor{{ObjectMeta: meta, Spec: monitoringv1.PodMonitorSpec{
			Selector: metav1.LabelSelector{MatchLabels: app}, PodMetricsEndpoints: []monitoringv1.PodMetricsEndpoint{{Port: ptr("web")}},
		}}},
	}
}

// probing adds a Probe that is selected.
func probing(o *Observation) *monitoringv1.ProbeSpec {
	o.Prometheus.Spec.ProbeSelector = &metav1.LabelSelector{}
	o.ProbeMonitors = []monitoringv1.Probe{{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "b"}}}
	return &o.ProbeMonitors[0].Spec
}

// configuring adds a ScrapeConfig that is selected.
func configuring(o *Observation) *monitoringv1alpha1.ScrapeConfigSpec {
	o.Prometheus.Spec.ScrapeConfigSelector = &metav1.LabelSelector{}
	o.ScrapeConfigs = []monitoringv1alpha1.ScrapeConfig{{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "c"}}}
	return &o.ScrapeConfigs[0].Spec
}

func urls(expected []Expected) []string {
	all := []string{}
	for _, e := range expected {
		all = append(all, e.URL)
	}
	return all
}

func TestExpectedTargetsFollowTheOperatorAndServiceDiscovery(t *testing.T) {
	one, two := "https://10.0.0.1:8080/m", "https://10.0.0.2:8080/m"
	endpoint := func(o *Observation) *monitoringv1.Endpoint { return &o.ServiceMonitors[0].Spec.Endpoints[0] }
	podMonitorOnly := func(o *Observation) *monitoringv1.PodMetricsEndpoint {
		o.Prometheus.Spec.ServiceMonitorSelector, o.Prometheus.Spec.PodMonitorSelector = nil, &metav1.LabelSelector{}
		return &o.PodMonitors[0].Spec.PodMetricsEndpoints[0]
	}
	relabel := func(rules ...monitoringv1.RelabelConfig) func(*Observation) {
		return func(o *Observation) { endpoint(o).RelabelConfigs = rules }
	}
	labels := func(names ...monitoringv1.LabelName) []monitoringv1.LabelName { return names }
	for name, c := range map[string]struct {
		change func(o *Observation)
		want   []string
	}{
		"both endpoints":              {func(*Observation) {}, []string{one, two}},
		"no Prometheus":               {func(o *Observation) { o.Prometheus = nil }, []string{}},
		"no selector selects nothing": {func(o *Observation) { o.Prometheus.Spec.ServiceMonitorSelector = nil }, []string{}},
		"labels that do not match": {func(o *Observation) {
			o.ServiceMonitors[0].Labels = nil
			o.Prometheus.Spec.ServiceMonitorSelector.MatchLabels = map[string]string{"x": "y"}
		}, []string{}},
		"another namespace without a selector": {func(o *Observation) { o.Prometheus.Namespace = "mon" }, []string{}},
		"another namespace that is selected": {func(o *Observation) {
			o.Prometheus.Namespace = "mon"
			o.Prometheus.Spec.ServiceMonitorNamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "x"}}
		}, []string{one, two}},
		"a Service in another namespace": {func(o *Observation) { o.ServiceMonitors[0].Spec.NamespaceSelector.MatchNames = []string{"mon"} }, []string{}},
		"any namespace":                  {func(o *Observation) { o.ServiceMonitors[0].Spec.NamespaceSelector.Any = true }, []string{one, two}},
		"any namespace, which the Prometheus ignores": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.NamespaceSelector.MatchNames = []string{"mon"}
			o.Prometheus.Spec.IgnoreNamespaceSelectors = true
		}, []string{one, two}},
		"a port that no endpoint has":            {func(o *Observation) { endpoint(o).Port = "metrics" }, []string{}},
		"the path and scheme by default":         {func(o *Observation) { endpoint(o).Path, endpoint(o).Scheme = "", nil }, []string{"http://10.0.0.1:8080/metrics", "http://10.0.0.2:8080/metrics"}},
		"parameters":                             {func(o *Observation) { endpoint(o).Params = map[string][]string{"b": {"2"}, "a": {"1"}} }, []string{one + "?a=1&b=2", two + "?a=1&b=2"}},
		"a container's port by name":             {func(o *Observation) { endpoint(o).Port = ""; endpoint(o).TargetPort = ptr(intstr.FromString("web")) }, []string{one, two}},
		"a container's port that is no endpoint": {func(o *Observation) { endpoint(o).Port = ""; endpoint(o).TargetPort = ptr(intstr.FromString("admin")) }, []string{"https://10.0.0.1:8081/m", "https://10.0.0.2:8081/m"}},
		"a container's port by number":           {func(o *Observation) { endpoint(o).Port = ""; endpoint(o).TargetPort = ptr(intstr.FromInt32(15090)) }, []string{"https://10.0.0.1:15090/m"}},
		"no port takes all that there are":       {func(o *Observation) { endpoint(o).Port = "" }, []string{"https://10.0.0.1:15090/m", one, "https://10.0.0.1:8081/m", two, "https://10.0.0.2:8081/m"}},
		"a pod that is done":                     {func(o *Observation) { o.Pods[0].Status.Phase = corev1.PodSucceeded }, []string{two}},
		"a pod that is done and wanted all the same": {func(o *Observation) {
			o.Pods[0].Status.Phase = corev1.PodFailed
			endpoint(o).FilterRunning = ptr(false)
		}, []string{one, two}},
		"an endpoint that leaves, by the older role": {func(o *Observation) { o.EndpointSlices[0].Endpoints[0].Conditions.Terminating = ptr(true) }, []string{two}},
		"an endpoint that leaves, by the newer one": {func(o *Observation) {
			o.Prometheus.Spec.ServiceDiscoveryRole = ptr(monitoringv1.EndpointSliceRole)
			o.EndpointSlices[0].Endpoints[0].Conditions.Terminating = ptr(true)
		}, []string{one, two}},
		"an endpoint that is not ready": {func(o *Observation) { o.EndpointSlices[0].Endpoints[0].Conditions.Ready = ptr(false) }, []string{one, two}},
		"the second of two families": {func(o *Observation) {
			o.Services[0].Spec.IPFamilies = []corev1.IPFamily{"IPv6", "IPv4"}
			o.EndpointSlices[0].AddressType = "IPv4"
		}, []string{}},
		"a slice of another Service":    {func(o *Observation) { o.EndpointSlices[0].Labels[discoveryv1.LabelServiceName] = "b" }, []string{}},
		"a slice without a port number": {func(o *Observation) { o.EndpointSlices[0].Ports[0].Port = nil }, []string{}},
		"an endpoint that is no pod":    {func(o *Observation) { o.EndpointSlices[0].Endpoints[0].TargetRef = nil }, []string{one, two}},
		"two Services to the same pods": {func(o *Observation) {
			s := o.EndpointSlices[0].DeepCopy()
			s.Labels[discoveryv1.LabelServiceName] = "b"
			o.EndpointSlices = append(o.EndpointSlices, *s)
			o.Services = append(o.Services, corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "b", Labels: map[string]string{"app": "a"}}})
		}, []string{one, one, two, two}},

		"kept by a label of the pod":                {relabel(monitoringv1.RelabelConfig{Action: "keep", SourceLabels: labels("__meta_kubernetes_pod_label_app_kubernetes_io_version"), Regex: "v2"}), []string{two}},
		"dropped by a label of the pod":             {relabel(monitoringv1.RelabelConfig{Action: "Drop", SourceLabels: labels("__meta_kubernetes_pod_label_app_kubernetes_io_version"), Regex: "v2"}), []string{one}},
		"kept by two labels, the expression whole":  {relabel(monitoringv1.RelabelConfig{Action: "keep", SourceLabels: labels("namespace", "pod"), Separator: ptr("/"), Regex: "apps/a-1"}), []string{one}},
		"kept by a part of a label is not kept":     {relabel(monitoringv1.RelabelConfig{Action: "keep", SourceLabels: labels("pod"), Regex: "a"}), []string{}},
		"kept by a label that is not there":         {relabel(monitoringv1.RelabelConfig{Action: "keep", SourceLabels: labels("__meta_kubernetes_pod_labelpresent_none"), Regex: "true"}), []string{}},
		"kept by the address":                       {relabel(monitoringv1.RelabelConfig{Action: "keep", SourceLabels: labels("__address__"), Regex: `10\.0\.0\.2:8080`}), []string{two}},
		"another label does not change the targets": {relabel(monitoringv1.RelabelConfig{TargetLabel: "cluster", Replacement: ptr("c")}, monitoringv1.RelabelConfig{Action: "labelmap", Regex: "__meta_kubernetes_pod_label_(.+)"}), []string{one, two}},
		"kept by the scrape class": {func(o *Observation) {
			o.Prometheus.Spec.ScrapeClasses = []monitoringv1.ScrapeClass{{Name: "c", Default: ptr(true), Relabelings: []monitoringv1.RelabelConfig{
				{Action: "keep", SourceLabels: labels("__meta_kubernetes_pod_container_port_name", "__meta_kubernetes_service_name"), Regex: "web;a"},
			}}}
		}, []string{one, two}},

		"a PodMonitor by the port's name":   {func(o *Observation) { podMonitorOnly(o) }, []string{"http://10.0.0.1:8080/metrics", "http://10.0.0.2:8080/metrics"}},
		"a PodMonitor by the port's number": {func(o *Observation) { e := podMonitorOnly(o); e.Port, e.PortNumber = nil, ptr(int32(15090)) }, []string{"http://10.0.0.1:15090/metrics"}},
		"a PodMonitor by the older field": {func(o *Observation) {
			e := podMonitorOnly(o)
			e.Port, e.TargetPort = nil, ptr(intstr.FromString("admin"))
		}, []string{"http://10.0.0.1:8081/metrics", "http://10.0.0.2:8081/metrics"}},
		"a PodMonitor and a pod that is done":       {func(o *Observation) { podMonitorOnly(o); o.Pods[0].Status.Phase = corev1.PodFailed }, []string{"http://10.0.0.2:8080/metrics"}},
		"a PodMonitor and a pod without an address": {func(o *Observation) { podMonitorOnly(o); o.Pods[0].Status.PodIP = "" }, []string{"http://10.0.0.2:8080/metrics"}},
		"a PodMonitor and a port of a native sidecar": {func(o *Observation) {
			podMonitorOnly(o).Port = ptr("http-envoy-prom")
			o.Pods[0].Spec.InitContainers, o.Pods[0].Spec.Containers = o.Pods[0].Spec.Containers[1:], o.Pods[0].Spec.Containers[:1]
		}, []string{"http://10.0.0.1:15090/metrics"}},
		"a PodMonitor and a port that is declared twice": {func(o *Observation) {
			podMonitorOnly(o)
			c := &o.Pods[0].Spec.Containers[0]
			c.Ports = append(c.Ports, corev1.ContainerPort{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolUDP})
		}, []string{"http://10.0.0.1:8080/metrics", "http://10.0.0.2:8080/metrics"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := small()
			c.change(o)
			expected, open := Expect(*o)
			assert.Equal(t, c.want, urls(expected))
			assert.Empty(t, open)
		})
	}
}

func TestWhatCannotBeWorkedOutIsLeftOpen(t *testing.T) {
	// A rule, with node metadata attached.
	rule := func(r monitoringv1.RelabelConfig) func(*Observation) {
		return func(o *Observation) {
			m := &o.ServiceMonitors[0].Spec
			m.AttachMetadata = &monitoringv1.AttachMetadata{Node: ptr(true)}
			m.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{{TargetLabel: "pod"}, r}
			for i := range o.EndpointSlices[0].Endpoints {
				o.EndpointSlices[0].Endpoints[i].NodeName = ptr("n")
			}
		}
	}
	const pool = "serviceMonitor/apps/a/0"
	for name, c := range map[string]struct {
		change func(o *Observation)
		pool   string
		reason string
	}{
		"more shards than anybody has": {func(o *Observation) { o.Prometheus.Spec.Shards = ptr(int32(1 << 30)) }, "", "Prometheus apps/p has spec.shards 1073741824"},
		"shards by zone": {func(o *Observation) {
			o.Prometheus.Spec.ShardingStrategy = &monitoringv1.ShardingStrategy{Mode: ptr(monitoringv1.TopologyShardingStrategyMode)}
		}, "", "spec.shardingStrategy.mode Topology"},
		"another API server": {func(o *Observation) {
			o.Prometheus.Spec.APIServerConfig = &monitoringv1.APIServerConfig{Host: "https://elsewhere"}
		}, pool, "ServiceMonitor apps/a, endpoints[0]: it discovers by the API server https://elsewhere"},
		"a selector that is none": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}
		}, pool, "its selector is none"},
		"a path that is filled in": {func(o *Observation) { o.ServiceMonitors[0].Spec.Endpoints[0].Path = "/$(SHARD)" }, pool, "the request holds $(SHARD)"},
		"a parameter that is filled in": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].Params = map[string][]string{"a": {"$(X)"}}
		}, pool, "the request holds $(X)"},
		"a rule that is none":            {rule(rel("keep", "a", "[", "-", "-")), pool, "ServiceMonitor apps/a, endpoints[0]: relabelings[1].regex is no regular expression"},
		"a rule by a label of the node":  {rule(rel("keep", "__meta_kubernetes_node_label_zone", "a", "-", "-")), pool, "relabelings[1] (keep) decides by the label __meta_kubernetes_node_label_zone, which was not observed"},
		"a rule by what is not kept":     {rule(rel("drop", "__meta_kubernetes_pod_annotation_kubectl_kubernetes_io_last_applied_configuration", ".+", "-", "-")), pool, "last_applied_configuration, which was not observed"},
		"an address from the node":       {rule(rel("", "__meta_kubernetes_node_name", "-", "__address__", "-")), pool, "the label __address__ depends on __meta_kubernetes_node_name, which was not observed"},
		"a parameter from the node":      {rule(rel("", "__meta_kubernetes_node_name", "-", "__param_node", "-")), pool, "the parameter node depends on"},
		"parameters from the node":       {rule(rel("labelmap", "-", "__meta_kubernetes_node_label_(.+)", "-", "__param_$1")), pool, "parameters are made of labels that were not observed"},
		"an interval from the node":      {rule(rel("", "__meta_kubernetes_node_label_pause", "-", "__scrape_interval__", "-")), pool, "the label __scrape_interval__ depends on"},
		"a label of an Endpoints object": {rule(rel("keep", "__meta_kubernetes_endpoints_label_app", "a", "-", "-")), pool, "__meta_kubernetes_endpoints_label_app, which was not observed"},
		"two that may be one by the node": {func(o *Observation) {
			rule(rel("", "__meta_kubernetes_node_name", "-", "node", "-"))(o)
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = append(o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs, rel("", "-", "-", "__address__", "all:1"))
		}, pool, "whether https://all:1/m is one target or more depends on the label __meta_kubernetes_node_name, which was not observed"},
		"two that may be one by labels unknown": {func(o *Observation) {
			rule(rel("labelmap", "-", "__meta_kubernetes_node_label_(.+)", "-", "-"))(o)
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = append(o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs, rel("", "-", "-", "__address__", "all:1"))
		}, pool, "whether https://all:1/m is one target or more depends on"},
		"more endpoints than the older role finds": {func(o *Observation) {
			for i := range endpointsLimit {
				o.EndpointSlices[0].Endpoints = append(o.EndpointSlices[0].Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.1.%d.%d", i/250, i%250)}})
			}
		}, pool, "an Endpoints object holds 1000 of the 1002 addresses of Service apps/a"},
		"a slice that somebody else makes, by the older role": {func(o *Observation) { o.EndpointSlices[0].Labels[discoveryv1.LabelManagedBy] = "me" }, pool, "EndpointSlice apps/a-x is made by me"},

		"a Probe whose module is filled in": {func(o *Observation) {
			p := probing(o)
			p.Module, p.Targets.StaticConfig = "$(SHARD)", &monitoringv1.ProbeTargetStaticConfig{}
		}, "probe/apps/b", "Probe apps/b: the request holds $(SHARD)"},
		"a Probe of nothing": {func(o *Observation) { probing(o) }, "probe/apps/b", "Probe apps/b: it has neither targets.staticConfig nor targets.ingress"},
		"a Probe of Ingresses": {func(o *Observation) {
			probing(o).Targets.Ingress = &monitoringv1.ProbeTargetIngress{}
		}, "probe/apps/b", "Probe apps/b: targets.ingress: it discovers by the role ingress, whose objects are not observed"},
		"a Probe whose labels are filled in": {func(o *Observation) {
			probing(o).Targets.StaticConfig = &monitoringv1.ProbeTargetStaticConfig{Labels: map[string]string{"a": "$(POD_NAME)"}}
		}, "probe/apps/b", "targets.staticConfig holds $(POD_NAME)"},
		"a Probe of a prober that is filled in": {func(o *Observation) {
			p := probing(o)
			p.ProberSpec.URL, p.Targets.StaticConfig = "$(POD_NAME):9", &monitoringv1.ProbeTargetStaticConfig{}
		}, "probe/apps/b", "holds $(POD_NAME)"},
		"a ScrapeConfig with another discovery": {func(o *Observation) {
			s := configuring(o)
			s.StaticConfigs = []monitoringv1alpha1.StaticConfig{{Targets: []monitoringv1alpha1.Target{"a:1"}}}
			s.HTTPSDConfigs, s.DNSSDConfigs = make([]monitoringv1alpha1.HTTPSDConfig, 1), make([]monitoringv1alpha1.DNSSDConfig, 1)
		}, "scrapeConfig/apps/c", "ScrapeConfig apps/c: it has httpSDConfigs and dnsSDConfigs: what is discovered there was not observed"},
		"a ScrapeConfig of nodes": {func(o *Observation) {
			configuring(o).KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Pod"}, {Role: "Node"}}
		}, "scrapeConfig/apps/c", "ScrapeConfig apps/c: kubernetesSDConfigs[1]: it discovers by the role node, whose objects are not observed"},
		"a ScrapeConfig of an unknown role": {func(o *Observation) {
			configuring(o).KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Gateway"}}
		}, "scrapeConfig/apps/c", `kubernetesSDConfigs[0]: it discovers by the role "gateway", which is not known`},
		"a ScrapeConfig elsewhere": {func(o *Observation) {
			configuring(o).KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Pod", APIServer: ptr("https://else")}}
		}, "scrapeConfig/apps/c", "it discovers by the API server https://else"},
		"a ScrapeConfig with a field that is not known": {func(o *Observation) {
			configuring(o).KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Pod", Selectors: []monitoringv1alpha1.K8SSelectorConfig{{Role: "Pod", Field: ptr("spec.schedulerName=x")}}}}
		}, "scrapeConfig/apps/c", "kubernetesSDConfigs[0]: selection by the field spec.schedulerName is not worked out"},
		"a ScrapeConfig with a selector that is none": {func(o *Observation) {
			configuring(o).KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Pod", Selectors: []monitoringv1alpha1.K8SSelectorConfig{{Role: "Pod", Label: ptr("a=b=c")}}}}
		}, "scrapeConfig/apps/c", "kubernetesSDConfigs[0]: selectors[0].label is no selector"},
		"a ScrapeConfig with a field selector that is none": {func(o *Observation) {
			configuring(o).KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Pod", Selectors: []monitoringv1alpha1.K8SSelectorConfig{{Role: "Pod", Field: ptr("a")}}}}
		}, "scrapeConfig/apps/c", "kubernetesSDConfigs[0]: selectors[0].field is no selector"},
		"a ScrapeConfig by a balancer's address": {func(o *Observation) {
			s := configuring(o)
			o.Services[0].Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}}
			s.KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Service"}}
			s.RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "__meta_kubernetes_service_loadbalancer_ip", ".+", "-", "-")}
		}, "scrapeConfig/apps/c", "relabelings[0] (keep) decides by the label __meta_kubernetes_service_loadbalancer_ip"},
		"additional configurations": {func(o *Observation) { o.Prometheus.Spec.AdditionalScrapeConfigs = &corev1.SecretKeySelector{} }, otherPools, "spec.additionalScrapeConfigs"},
	} {
		t.Run(name, func(t *testing.T) {
			o := small()
			c.change(o)
			expected, open := Expect(*o)
			if assert.Len(t, open, 1) {
				assert.Equal(t, c.pool, open[0].Pool)
				assert.Contains(t, open[0].Reason, c.reason)
			}
			for _, e := range expected {
				assert.False(t, open[0].Covers(e.Pool), "%s is expected and open", e.URL)
			}
		})
	}
	assert.True(t, Open{}.Covers("anything"))
	assert.True(t, Open{Pool: otherPools}.Covers("node"))
	assert.False(t, Open{Pool: otherPools}.Covers(pool))
}

func TestTheFilesOfAJobAreTheMonitorsThenThoseOfItsScrapeClass(t *testing.T) {
	o := small()
	o.Prometheus.Spec.PodMonitorSelector = &metav1.LabelSelector{}
	o.Prometheus.Spec.ScrapeClasses = []monitoringv1.ScrapeClass{
		{Name: "mesh", TLSConfig: &monitoringv1.TLSConfig{TLSFilesConfig: monitoringv1.TLSFilesConfig{CAFile: "/c/ca", CertFile: "/c/cert", KeyFile: "/c/key"}}},
		{Name: "none", Default: ptr(true)},
	}
	assert.Empty(t, UsedFiles(*o), "the default class has no files")

	o.PodMonitors[0].Spec.ScrapeClassName = ptr("mesh")
	o.ServiceMonitors[0].Spec.ScrapeClassName = ptr("mesh")
	o.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig = &monitoringv1.TLSConfig{
		TLSFilesConfig: monitoringv1.TLSFilesConfig{CAFile: "/own/ca"},
		SafeTLSConfig:  monitoringv1.SafeTLSConfig{KeySecret: &corev1.SecretKeySelector{}},
	}
	class := "Prometheus apps/p, scrape class mesh, tlsConfig."
	assert.Equal(t, []NamedFile{
		{"/own/ca", RoleCA, "ServiceMonitor apps/a, endpoints[0].tlsConfig.caFile"},
		{"/c/cert", RoleCert, class + "certFile"},
		{"/c/ca", RoleCA, class + "caFile"},
		{"/c/key", RoleKey, class + "keyFile"},
	}, UsedFiles(*o))
	chain, roots := CertificateFiles(*o)
	assert.Equal(t, []string{"/c/cert", "/own/ca"}, []string{chain, roots})

	o.ServiceMonitors[0].Spec.ScrapeClassName = ptr("unknown")
	assert.Len(t, UsedFiles(*o), 4, "an unknown class is the default one")
}

func TestSidecarsTellWhichControlPlaneInjectedThem(t *testing.T) {
	pod := func(name, image, status string) corev1.Pod {
		p := corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: name, Labels: map[string]string{"istio.io/rev": "prod"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "istio-proxy", Image: image}}},
		}
		if status != "" {
			p.Annotations = map[string]string{"sidecar.istio.io/status": status}
		}
		return p
	}
	// As Istio 1.31 writes it.
	const status = `{"initContainers":["istio-init","istio-proxy"],"containers":null,"volumes":["istio-data"],"imagePullSecrets":null,"revision":`
	got := map[string][]string{}
	for name, s := range Sidecars([]corev1.Pod{
		pod("old", "proxyv2:1.30.4", status+`"default"}`), pod("new", "proxyv2:1.31.0", status+`"1-31"}`),
		pod("by-hand", "proxyv2:1.31.0", ""), pod("odd", "proxyv2:1.31.0", "injected"),
		{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "unmeshed"}},
	}) {
		got[name.String()] = []string{s.Version(), s.Revision}
	}
	assert.Equal(t, map[string][]string{
		"apps/old": {"1.30.4", "default"}, "apps/new": {"1.31.0", "1-31"}, "apps/by-hand": {"1.31.0", ""}, "apps/odd": {"1.31.0", ""},
	}, got)
}

func TestASidecarIsNativeOrClassic(t *testing.T) {
	proxy := corev1.Container{Name: "istio-proxy", Image: "r.io:5000/p/proxyv2:1.31.0"}
	_, ok := SidecarOf(&corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{proxy}}})
	assert.False(t, ok, "an init container that ends is none")
	_, ok = SidecarOf(nil)
	assert.False(t, ok)
	native := proxy
	native.RestartPolicy, native.SecurityContext = ptr(corev1.ContainerRestartPolicyAlways), &corev1.SecurityContext{RunAsUser: ptr(int64(7))}
	s, ok := SidecarOf(&corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{native}}, Status: corev1.PodStatus{
		InitContainerStatuses: []corev1.ContainerStatus{{Name: "istio-proxy", Ready: true}},
	}})
	assert.True(t, ok)
	assert.Equal(t, Sidecar{Native: true, Image: proxy.Image, Ready: true, UID: 7}, s)
	s, ok = SidecarOf(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{proxy}}})
	assert.True(t, ok)
	assert.Equal(t, Sidecar{Image: proxy.Image, UID: 1337}, s)
	for image, version := range map[string]string{
		"proxyv2": "", "r.io:5000/proxyv2": "", "r.io:5000/proxyv2:latest": "", "proxyv2:1.31.0": "1.31.0", "proxyv2:latest@sha256:a": "sha256:a", "proxyv2:1.30@sha256:a": "1.30",
	} {
		assert.Equal(t, version, Sidecar{Image: image}.Version(), image)
	}
}
