package observe

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

func TestAScrapeConfigScrapesWhatItWritesDownAndDiscovers(t *testing.T) {
	kubernetes := func(role monitoringv1alpha1.KubernetesRole) monitoringv1alpha1.KubernetesSDConfig {
		return monitoringv1alpha1.KubernetesSDConfig{Role: role}
	}
	selecting := func(role, by monitoringv1alpha1.KubernetesRole, label, field *string) monitoringv1alpha1.KubernetesSDConfig {
		return monitoringv1alpha1.KubernetesSDConfig{Role: role, Selectors: []monitoringv1alpha1.K8SSelectorConfig{{Role: by, Label: label, Field: field}}}
	}
	in := func(own bool, names ...string) monitoringv1alpha1.KubernetesSDConfig {
		return monitoringv1alpha1.KubernetesSDConfig{Role: "Service", Namespaces: &monitoringv1alpha1.NamespaceDiscovery{Names: names, IncludeOwnNamespace: &own}}
	}
	static := func(labels map[string]string, targets ...monitoringv1alpha1.Target) []monitoringv1alpha1.StaticConfig {
		return []monitoringv1alpha1.StaticConfig{{Targets: targets, Labels: labels}}
	}
	type spec = monitoringv1alpha1.ScrapeConfigSpec
	discovering := func(all ...monitoringv1alpha1.KubernetesSDConfig) func(*Observation, *spec) {
		return func(_ *Observation, s *spec) { s.KubernetesSDConfigs = all }
	}
	one, two, proxy := "http://10.0.0.1:8080/metrics", "http://10.0.0.2:8080/metrics", "http://10.0.0.1:15090/metrics"
	adminOne, adminTwo, services := "http://10.0.0.1:8081/metrics", "http://10.0.0.2:8081/metrics", []string{"http://a.apps.svc:80/metrics", "http://b.mon.svc:9090/metrics"}
	all := []string{proxy, one, adminOne, two, adminTwo}
	for name, c := range map[string]struct {
		change func(o *Observation, s *spec)
		want   []string
	}{
		"nothing":              {func(*Observation, *spec) {}, []string{}},
		"what is written down": {func(_ *Observation, s *spec) { s.StaticConfigs = static(nil, "b:1", "a") }, []string{"http://a/metrics", "http://b:1/metrics"}},
		"what is no address":   {func(_ *Observation, s *spec) { s.StaticConfigs = static(nil, "http://b:1/metrics", "") }, []string{}},
		"the same twice":       {func(_ *Observation, s *spec) { s.StaticConfigs = static(nil, "b:1", "b:1") }, []string{"http://b:1/metrics"}},
		"the same, under two": {func(_ *Observation, s *spec) {
			s.StaticConfigs = append(static(nil, "b:1"), static(map[string]string{"x": "y"}, "b:1")...)
		}, []string{"http://b:1/metrics", "http://b:1/metrics"}},
		"how it is to be asked": {func(_ *Observation, s *spec) {
			s.Scheme, s.MetricsPath, s.Params, s.StaticConfigs = ptr(monitoringv1.Scheme("HTTPS")), ptr("/m"), map[string][]string{"a": {"1", "2"}, "b": {}}, static(nil, "b")
		}, []string{"https://b/m?a=1&a=2"}},
		"labels that say how": {func(_ *Observation, s *spec) {
			s.Params = map[string][]string{"a": {"1", "2"}}
			s.StaticConfigs = static(map[string]string{"__scheme__": "https", "__metrics_path__": "/l", "__param_a": "3", "__param_b": "4"}, "b:1")
		}, []string{"https://b:1/l?a=3&a=2&b=4"}},
		"labels that say nothing": {func(_ *Observation, s *spec) {
			s.StaticConfigs = static(map[string]string{"__scheme__": "", "__metrics_path__": ""}, "b:1")
		}, []string{"http://b:1/metrics"}},
		"rules": {func(_ *Observation, s *spec) {
			s.StaticConfigs, s.JobName = static(map[string]string{"x": "y"}, "b:1", "a:1"), ptr("j")
			s.RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "job,__tmp_prometheus_job_name,x", "j;scrapeConfig/apps/c;y", "-", "-"), rel("drop", "__address__", "a.*", "-", "-")}
		}, []string{"http://b:1/metrics"}},
		"rules of the scrape class, which come before the job's name": {func(o *Observation, s *spec) {
			s.StaticConfigs, s.JobName, s.ScrapeClassName = static(nil, "b:1"), ptr("j"), ptr("c")
			o.Prometheus.Spec.ScrapeClasses = []monitoringv1.ScrapeClass{{Name: "c", Relabelings: []monitoringv1.RelabelConfig{rel("drop", "job", "j", "-", "-"), rel("", "-", "-", "__metrics_path__", "/class")}}}
		}, []string{"http://b:1/class"}},

		"pods":                {discovering(kubernetes("Pod")), all},
		"pods of a namespace": {discovering(monitoringv1alpha1.KubernetesSDConfig{Role: "Pod", Namespaces: &monitoringv1alpha1.NamespaceDiscovery{Names: []string{"mon"}}}), []string{}},
		"pods by a label":     {discovering(selecting("Pod", "Pod", ptr("app.kubernetes.io/version in (v2)"), nil)), []string{two, adminTwo}},
		"pods by their node": {func(o *Observation, s *spec) {
			o.Pods[1].Spec.NodeName = "n"
			discovering(selecting("Pod", "Pod", nil, ptr("spec.nodeName=n")))(o, s)
		}, []string{two, adminTwo}},
		"pods by what they are not": {discovering(selecting("Pod", "Pod", nil, ptr("metadata.name!=a-1,status.phase=Running"))), []string{two, adminTwo}},
		"pods that are done, too": {func(o *Observation, s *spec) {
			o.Pods[1].Status.Phase = corev1.PodFailed
			discovering(kubernetes("Pod"))(o, s)
		}, all},
		"a pod without ports": {func(o *Observation, s *spec) {
			o.Pods = o.Pods[1:]
			o.Pods[0].Spec.Containers[0].Ports = nil
			discovering(kubernetes("Pod"))(o, s)
		}, []string{"http://10.0.0.2/metrics"}},
		"endpoints":                      {discovering(kubernetes("Endpoints")), all},
		"slices":                         {discovering(kubernetes("EndpointSlice")), all},
		"slices by a label":              {discovering(selecting("EndpointSlice", "EndpointSlice", ptr("x=y"), nil)), []string{}},
		"slices by their name":           {discovering(selecting("EndpointSlice", "EndpointSlice", nil, ptr("metadata.name=a-x"))), all},
		"endpoints by a Service's label": {discovering(selecting("Endpoints", "Endpoints", ptr("app=a"), nil)), all},
		"endpoints of a Service that is not selected are there without its labels": {func(_ *Observation, s *spec) {
			s.KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{selecting("Endpoints", "Service", ptr("app=other"), nil)}
			s.RelabelConfigs = []monitoringv1.RelabelConfig{rel("drop", "__meta_kubernetes_service_name", "a", "-", "-")}
		}, all},
		"endpoints whose pods are not selected have no ports besides": {discovering(selecting("EndpointSlice", "Pod", ptr("app=other"), nil)), []string{one, two}},
		"Services":                        {discovering(kubernetes("Service")), services},
		"Services of a namespace":         {discovering(in(false, "mon")), services[1:]},
		"Services of its own namespace":   {discovering(in(true)), services[:1]},
		"Services of its own and another": {discovering(in(true, "mon")), services},
		"Services by their type":          {discovering(selecting("Service", "Service", nil, ptr("spec.type=ExternalName"))), services[1:]},
		"Services by labels of either sort": {func(o *Observation, s *spec) {
			discovering(kubernetes("Service"))(o, s)
			s.RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "__meta_kubernetes_service_port_name,__meta_kubernetes_service_type,__meta_kubernetes_service_external_name,__meta_kubernetes_service_cluster_ip", "m;ExternalName;ex.org;", "-", "-")}
		}, services[1:]},
		"the same by two queries": {discovering(kubernetes("Service"), in(false, "mon")), services},
		"the same pods by two roles, as labels": {func(o *Observation, s *spec) {
			discovering(kubernetes("Pod"), kubernetes("EndpointSlice"))(o, s)
			s.RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "__meta_kubernetes_service_name", "-", "service", "-"), rel("keep", "__meta_kubernetes_pod_container_port_number", "8080", "-", "-")}
		}, []string{one, one, two, two}},
	} {
		t.Run(name, func(t *testing.T) {
			o := small()
			o.Prometheus.Spec.ServiceMonitorSelector = nil
			o.Services[0].Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}}
			other := *o.Services[0].DeepCopy()
			other.Namespace, other.Name = "mon", "b"
			other.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "ex.org", Ports: []corev1.ServicePort{{Name: "m", Port: 9090}}}
			o.Services = append(o.Services, other)
			c.change(o, configuring(o))
			expected, open := Expect(*o)
			assert.Empty(t, open)
			assert.Equal(t, c.want, urls(expected))
		})
	}
}

func TestATargetIsThePodThatHasItsAddress(t *testing.T) {
	o := small()
	o.Prometheus.Spec.ServiceMonitorSelector = nil
	s := configuring(o)
	s.Scheme = ptr(monitoringv1.Scheme("https"))
	s.StaticConfigs = []monitoringv1alpha1.StaticConfig{{Targets: []monitoringv1alpha1.Target{"10.0.0.1:15090", "10.0.0.2", "a.apps.svc:1", "[fd00::1]:2", "node:3"}}}
	s.RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "__address__", "a.apps.svc:1", "__address__", "10.0.0.1:8080")}
	o.Pods = append(o.Pods, o.Pods[0], o.Pods[0])
	o.Pods[2].Name, o.Pods[2].Status.PodIP, o.Pods[2].Spec.HostNetwork = "host", "node", true
	o.Pods[3].Name, o.Pods[3].Status.Phase = "done", corev1.PodSucceeded
	expected, open := Expect(*o)
	assert.Empty(t, open)
	pool := "scrapeConfig/apps/c"
	assert.Equal(t, []Expected{
		{Pool: pool, URL: "https://10.0.0.1:15090/metrics", Namespace: "apps", Pod: "a-1", Container: "istio-proxy", Address: "10.0.0.1:15090", Port: "15090", Path: "/metrics", Scheme: "https"},
		{Pool: pool, URL: "https://10.0.0.1:8080/metrics", Namespace: "apps", Pod: "a-1", Container: "server", Address: "10.0.0.1:8080", Port: "8080", Path: "/metrics", Scheme: "https"},
		{Pool: pool, URL: "https://10.0.0.2/metrics", Namespace: "apps", Pod: "a-2", Address: "10.0.0.2", Port: "443", Path: "/metrics", Scheme: "https"},
		{Pool: pool, URL: "https://[fd00::1]:2/metrics", Address: "[fd00::1]:2", Port: "2", Path: "/metrics", Scheme: "https"},
		{Pool: pool, URL: "https://node:3/metrics", Address: "node:3", Port: "3", Path: "/metrics", Scheme: "https"},
	}, expected)
}

func TestATargetThatRulesSendElsewhereIsWhatIsThere(t *testing.T) {
	o := small()
	m := &o.ServiceMonitors[0].Spec.Endpoints[0]
	at := func(e Expected) []string { return []string{e.URL, e.Service, e.Namespace, e.Pod, e.Container, e.Port} }

	m.RelabelConfigs = []monitoringv1.RelabelConfig{rel("", "__address__", "(.*):8080", "__address__", "$1:15090")}
	expected := ExpectedTargets(*o)
	assert.Equal(t, []string{"https://10.0.0.1:15090/m", "a", "apps", "a-1", "istio-proxy", "15090"}, at(expected[0]), "another port of the same pod")
	assert.Equal(t, []string{"https://10.0.0.2:15090/m", "a", "apps", "a-2", "", "15090"}, at(expected[1]), "which nobody declares")

	m.RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "pod", "a-1", "-", "-"), rel("", "-", "-", "__address__", "10.0.0.2:8080")}
	expected = ExpectedTargets(*o)
	assert.Equal(t, []string{"https://10.0.0.2:8080/m", "", "apps", "a-2", "server", "8080"}, at(expected[0]), "another pod, not by its Service")

	m.RelabelConfigs = []monitoringv1.RelabelConfig{rel("keep", "pod", "a-1", "-", "-"), rel("", "-", "-", "__address__", "gateway:8080"), rel("", "-", "-", "__metrics_path__", "")}
	expected = ExpectedTargets(*o)
	assert.Equal(t, []string{"https://gateway:8080", "", "", "", "", "8080"}, at(expected[0]), "no pod that is known")
}
