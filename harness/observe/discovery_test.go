package observe

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Each label is asked for by a rule that keeps the targets that have it so.
func TestDiscoveryGivesTheLabelsThatPrometheusGives(t *testing.T) {
	o := small()
	p, s, ep := &o.Pods[0], &o.EndpointSlices[0], &o.EndpointSlices[0].Endpoints[0]
	p.UID, p.Annotations = "u-1", map[string]string{"prometheus.io/port": "8080"}
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "Other", Name: "x"}, {Kind: "ReplicaSet", Name: "rs", Controller: ptr(true)}}
	p.Spec.NodeName, p.Status.HostIP, p.Spec.Containers[0].Image = "n", "1.2.3.4", "img:1"
	p.Spec.InitContainers, p.Spec.Containers = p.Spec.Containers[1:], p.Spec.Containers[:1]
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodInitialized, Status: "False"}, {Type: corev1.PodReady, Status: "True"}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "server", ContainerID: "c://1"}}
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "istio-proxy", ContainerID: "c://2"}}
	o.Services[0].Annotations = map[string]string{"a/b": "c"}
	s.AddressType = discoveryv1.AddressTypeIPv4
	s.Ports[0].Protocol, s.Ports[0].AppProtocol = ptr(corev1.ProtocolTCP), ptr("http")
	ep.NodeName, ep.Hostname, ep.Zone = ptr("n"), ptr("h"), ptr("z")
	ep.Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(true), Terminating: ptr(false)}
	ep.DeprecatedTopology = map[string]string{"k.io/rack": "r"}

	pod := map[string]string{
		"namespace": "apps", "pod_name": "a-1", "pod_ip": "10.0.0.1", "pod_host_ip": "1.2.3.4", "pod_phase": "Running", "pod_ready": "true", "pod_node_name": "n",
		"pod_uid": "u-1", "pod_controller_kind": "ReplicaSet", "pod_controller_name": "rs",
		"pod_label_app": "a", "pod_labelpresent_app": "true", "pod_label_app_kubernetes_io_version": "v1", "pod_labelpresent_app_kubernetes_io_version": "true",
		"pod_annotation_prometheus_io_port": "8080", "pod_annotationpresent_prometheus_io_port": "true",
		"pod_container_name": "server", "pod_container_image": "img:1", "pod_container_init": "false", "pod_container_port_name": "web", "pod_container_port_number": "8080",
	}
	service := map[string]string{"service_name": "a", "service_label_app": "a", "service_labelpresent_app": "true", "service_annotation_a_b": "c", "service_annotationpresent_a_b": "true"}
	for role, labels := range map[string][]map[string]string{
		rolePod:       {pod, {"pod_container_id": "c://1"}},
		roleEndpoints: {pod, service, {"endpoints_name": "a", "endpoint_port_name": "http", "endpoint_port_protocol": "TCP", "endpoint_ready": "false", "endpoint_address_target_kind": "Pod", "endpoint_address_target_name": "a-1", "endpoint_node_name": "n", "endpoint_hostname": "h", "pod_container_port_protocol": "TCP"}},
		roleEndpointSlice: {pod, service, {
			"endpointslice_name": "a-x", "endpointslice_label_kubernetes_io_service_name": "a", "endpointslice_labelpresent_kubernetes_io_service_name": "true", "endpointslice_address_type": "IPv4",
			"endpointslice_port": "8080", "endpointslice_port_name": "http", "endpointslice_port_protocol": "TCP", "endpointslice_port_app_protocol": "http",
			"endpointslice_endpoint_conditions_ready": "false", "endpointslice_endpoint_conditions_serving": "true", "endpointslice_endpoint_conditions_terminating": "false",
			"endpointslice_endpoint_hostname": "h", "endpointslice_endpoint_node_name": "n", "endpointslice_endpoint_zone": "z",
			"endpointslice_endpoint_topology_k_io_rack": "r", "endpointslice_endpoint_topology_present_k_io_rack": "true",
			"endpointslice_address_target_kind": "Pod", "endpointslice_address_target_name": "a-1",
		}},
	} {
		found, err := newDiscovery(*o).groups(query{role: role})
		assert.NoError(t, err)
		got := map[string]string{}
		for _, g := range found {
			assert.NoError(t, g.targets(func(c candidate) error {
				set := labelSet{layers: append(c.layers, g.layers...), lacks: g.lacks}
				if set.get("__address__").text == "10.0.0.1:8080" {
					for _, name := range set.names(func(string) bool { return true }) {
						if v := set.get(name); v.lack == "" {
							got[name] = v.text
						}
					}
				}
				return nil
			}))
		}
		want := map[string]string{"__address__": "10.0.0.1:8080"}
		for _, m := range labels {
			for name, text := range m {
				want[kubernetesPrefix+name] = text
			}
		}
		assert.Equal(t, want, got, role)
	}
}

func TestDiscoveryFollowsTheReleaseAndTheObjects(t *testing.T) {
	one, two := "https://10.0.0.1:8080/m", "https://10.0.0.2:8080/m"
	slices := func(o *Observation) { o.Prometheus.Spec.ServiceDiscoveryRole = ptr(monitoringv1.EndpointSliceRole) }
	dual := func(o *Observation) {
		slices(o)
		o.Services[0].Spec.IPFamilies = []corev1.IPFamily{"IPv6", "IPv4"}
		o.EndpointSlices[0].AddressType = "IPv4"
	}
	proxyPort := func(o *Observation) {
		o.ServiceMonitors[0].Spec.Endpoints[0].Port = ""
		o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "__meta_kubernetes_pod_container_port_name", "http-envoy-prom", "-", "-")}
		o.Pods[0].Spec.InitContainers, o.Pods[0].Spec.Containers = o.Pods[0].Spec.Containers[1:], o.Pods[0].Spec.Containers[:1]
	}
	for name, c := range map[string]struct {
		change func(o *Observation)
		want   []string
	}{
		"the second family, since 3.11": {func(o *Observation) { dual(o); o.Prometheus.Spec.Version = "v3.11.0" }, []string{}},
		"the second family, before":     {func(o *Observation) { dual(o); o.Prometheus.Spec.Version = "v3.10.2" }, []string{one, two}},
		"what runs is the release, not what is asked": {func(o *Observation) {
			dual(o)
			o.Prometheus.Spec.Version = "v3.11.0"
			o.Replicas = []Replica{{Version: "3.10.2"}}
		}, []string{one, two}},
		"a release that nobody can read is the newest": {func(o *Observation) { dual(o); o.Prometheus.Spec.Version = "latest" }, []string{}},
		"a port of an init container":                  {proxyPort, []string{"https://10.0.0.1:15090/m"}},
		"a port of an init container, before 3":        {func(o *Observation) { proxyPort(o); o.Prometheus.Spec.Version = "2.55.1" }, []string{}},

		"a slice of no Service": {func(o *Observation) { slices(o); o.Services = nil }, []string{}},
		"a slice of no Service, for whoever selects everything": {func(o *Observation) {
			slices(o)
			o.Services, o.ServiceMonitors[0].Spec.Selector = nil, metav1.LabelSelector{}
		}, []string{one, two}},
		"an endpoint that leaves and is published all the same": {func(o *Observation) {
			o.Services[0].Spec.PublishNotReadyAddresses = true
			o.EndpointSlices[0].Endpoints[0].Conditions.Terminating = ptr(true)
		}, []string{one, two}},
		"a slice without ports has no pods": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].Port = ""
			o.EndpointSlices[0].Ports = nil
		}, []string{}},
		"a slice that means every port": {func(o *Observation) { slices(o); o.EndpointSlices[0].Ports[0].Port = nil }, []string{"https://10.0.0.1/m", "https://10.0.0.2/m"}},
		"a slice that is mirrored": {func(o *Observation) {
			o.EndpointSlices[0].Labels[discoveryv1.LabelManagedBy] = mirroringController
		}, []string{one, two}},
		"a slice that somebody else makes of a Service that nobody selects": {func(o *Observation) {
			s := o.EndpointSlices[0].DeepCopy()
			s.Labels = map[string]string{discoveryv1.LabelServiceName: "b", discoveryv1.LabelManagedBy: "me"}
			o.EndpointSlices = append(o.EndpointSlices, *s)
		}, []string{one, two}},
		"a pod that was not observed":    {func(o *Observation) { o.Pods = o.Pods[1:] }, []string{one, two}},
		"a port's name is an expression": {func(o *Observation) { o.ServiceMonitors[0].Spec.Endpoints[0].Port = "ht+p" }, []string{one, two}},
		"a selector's value is an expression": {func(o *Observation) {
			o.Services[0].Labels = map[string]string{"app": "a-b"}
			o.ServiceMonitors[0].Spec.Selector.MatchLabels = map[string]string{"app": "a.b"}
		}, []string{one, two}},
		"a selector at the API server is none": {func(o *Observation) {
			o.Services[0].Labels, o.EndpointSlices[0].Labels["app"] = map[string]string{"app": "a-b"}, "a-b"
			o.ServiceMonitors[0].Spec.Selector.MatchLabels = map[string]string{"app": "a.b"}
			o.ServiceMonitors[0].Spec.SelectorMechanism = ptr(monitoringv1.SelectorMechanismRole)
		}, []string{}},
		"a selector at the API server": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.SelectorMechanism = ptr(monitoringv1.SelectorMechanismRole)
		}, []string{one, two}},
		"a selector at the API server selects slices, too": {func(o *Observation) {
			slices(o)
			o.ServiceMonitors[0].Spec.SelectorMechanism = ptr(monitoringv1.SelectorMechanismRole)
		}, []string{}},
		"a selector by expressions": {func(o *Observation) {
			o.Services[0].Labels["x"] = "1"
			o.ServiceMonitors[0].Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{
				{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"b", "a"}}, {Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"c"}},
				{Key: "x", Operator: metav1.LabelSelectorOpExists}, {Key: "y", Operator: metav1.LabelSelectorOpDoesNotExist},
			}
		}, []string{one, two}},
		"a selector by an expression that does not hold": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpDoesNotExist}}
		}, []string{}},
		"the cluster's own API server by its name": {func(o *Observation) {
			o.Prometheus.Spec.APIServerConfig = &monitoringv1.APIServerConfig{Host: "https://kubernetes.default.svc"}
		}, []string{one, two}},
		"the namespace enforced makes two Services one": {func(o *Observation) {
			enforceOverTwoServices(o)
		}, []string{one, two}},
		"the namespace enforced on others only": {func(o *Observation) {
			enforceOverTwoServices(o)
			o.Prometheus.Spec.ExcludedFromEnforcement = []monitoringv1.ObjectReference{{Resource: "servicemonitors", Namespace: "apps"}}
		}, []string{one, one, two, two}},
		"rules by the labels that the Operator gives": {func(o *Observation) {
			o.Prometheus.Spec.PodTargetLabels = []string{"app.kubernetes.io/version"}
			o.ServiceMonitors[0].Spec.TargetLabels, o.ServiceMonitors[0].Spec.JobLabel = []string{"app"}, "app"
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{
				rel("keep", "namespace,service,pod,container,endpoint,job,app,app_kubernetes_io_version,__tmp_prometheus_job_name", "apps;a;a-2;server;http;a;a;v2;serviceMonitor/apps/a/0", "-", "-"),
			}
		}, []string{two}},
		"a port from an annotation": {func(o *Observation) {
			o.Pods[0].Annotations = map[string]string{"prometheus.io/port": "9999", "prometheus.io/path": "/own", "prometheus.io/scheme": "http"}
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{
				rel("", "__address__,__meta_kubernetes_pod_annotation_prometheus_io_port", `([^:]+)(?::\d+)?;(\d+)`, "__address__", "$1:$2"),
				rel("", "__meta_kubernetes_pod_annotation_prometheus_io_path", "(.+)", "__metrics_path__", "-"),
				rel("", "__meta_kubernetes_pod_annotation_prometheus_io_scheme", "(https?)", "__scheme__", "-"),
			}
		}, []string{"http://10.0.0.1:9999/own", two}},
		"an interval that is none is no target": {func(o *Observation) {
			o.Pods[0].Annotations = map[string]string{"every": "often"}
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "__meta_kubernetes_pod_annotation_every", "(.+)", "__scrape_interval__", "-")}
		}, []string{two}},
		"a timeout beyond the interval is no target": {func(o *Observation) {
			o.Pods[0].Annotations = map[string]string{"t": "31s"}
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "__meta_kubernetes_pod_annotation_t", "(.+)", "__scrape_timeout__", "-")}
		}, []string{two}},
		"a timeout within the interval": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].Interval = "1m"
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "-", "-", "__scrape_timeout__", "31s")}
		}, []string{one, two}},
		"rules by the interval and the timeout": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].Interval, o.Prometheus.Spec.ScrapeTimeout = "5s", "20s"
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "__scrape_interval__,__scrape_timeout__", "5s;5s", "-", "-")}
		}, []string{one, two}},
		"a path with what must be escaped": {func(o *Observation) { o.ServiceMonitors[0].Spec.Endpoints[0].Path = "m?a=b" }, []string{"https://10.0.0.1:8080/m%3Fa=b", "https://10.0.0.2:8080/m%3Fa=b"}},
		"a parameter that a rule sets": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].Params = map[string][]string{"a": {"1", "2"}}
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "pod", "-", "__param_a", "-"), rel("labeldrop", "-", "__param_b", "-", "-")}
		}, []string{one + "?a=a-1&a=2", two + "?a=a-2&a=2"}},
		"a PodMonitor without a port takes all": {func(o *Observation) {
			o.Prometheus.Spec.ServiceMonitorSelector, o.Prometheus.Spec.PodMonitorSelector = nil, &metav1.LabelSelector{}
			o.PodMonitors[0].Spec.PodMetricsEndpoints[0].Port = nil
			o.Pods[1].Spec.Containers[0].Ports = nil
		}, []string{"http://10.0.0.1:15090/metrics", "http://10.0.0.1:8080/metrics", "http://10.0.0.1:8081/metrics", "http://10.0.0.2/metrics"}},
		"a PodMonitor whose selector is at the API server": {func(o *Observation) {
			o.Prometheus.Spec.ServiceMonitorSelector, o.Prometheus.Spec.PodMonitorSelector = nil, &metav1.LabelSelector{}
			o.PodMonitors[0].Spec.SelectorMechanism = ptr(monitoringv1.SelectorMechanismRole)
			o.PodMonitors[0].Spec.Selector.MatchLabels = map[string]string{"app.kubernetes.io/version": "v2"}
		}, []string{"http://10.0.0.2:8080/metrics"}},
		"a PodMonitor's labels": {func(o *Observation) {
			o.Prometheus.Spec.ServiceMonitorSelector, o.Prometheus.Spec.PodMonitorSelector = nil, &metav1.LabelSelector{}
			m := &o.PodMonitors[0].Spec
			m.PodTargetLabels = []string{"app.kubernetes.io/version"}
			m.PodMetricsEndpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "namespace,pod,container,endpoint,job,app_kubernetes_io_version", "apps;a-2;server;web;apps/a;v2", "-", "-")}
		}, []string{"http://10.0.0.2:8080/metrics"}},
		"a label of the node that decides nothing": {func(o *Observation) {
			o.ServiceMonitors[0].Spec.AttachMetadata = &monitoringv1.AttachMetadata{Node: ptr(true)}
			o.EndpointSlices[0].Endpoints[0].NodeName = ptr("n")
			o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "__meta_kubernetes_node_label_topology_kubernetes_io_zone", "-", "zone", "-")}
		}, []string{one, two}},
	} {
		t.Run(name, func(t *testing.T) {
			o := small()
			c.change(o)
			expected, open := Expect(*o)
			assert.Empty(t, open)
			assert.Equal(t, c.want, urls(expected))
		})
	}
}

func TestOnlyRelease2AddsPorts(t *testing.T) {
	for _, c := range []struct {
		major           int
		bare            bool
		scheme, address string
		want            string
	}{
		{3, false, "http", "a", "a"},
		{3, true, "http", "a:80", "a:80"},
		{2, false, "http", "a", "a:80"},
		{2, false, "https", "[::1]", "[::1]:443"},
		{2, false, "https", "a:80", "a:80"},
		{2, false, "https", "::1", "::1"},
		{2, false, "ftp", "a", "a"},
		{2, false, "http", "", ""},
		{2, true, "http", "a", "a"},
		{2, true, "http", "a:80", "a"},
		{2, true, "https", "a:80", "a:80"},
	} {
		assert.Equal(t, c.want, release{major: c.major, bare: c.bare}.withPort(c.scheme, c.address), "%+v", c)
	}
}

// enforceOverTwoServices has two Services lead to the same pods, and the label by which
// they differ taken by the namespace.
func enforceOverTwoServices(o *Observation) {
	s := o.EndpointSlices[0].DeepCopy()
	s.Labels[discoveryv1.LabelServiceName] = "b"
	o.EndpointSlices = append(o.EndpointSlices, *s)
	o.Services = append(o.Services, corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "b", Labels: map[string]string{"app": "a"}}})
	o.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{rel("labeldrop", "-", "job", "-", "-")}
	o.Prometheus.Spec.EnforcedNamespaceLabel = "service"
}
