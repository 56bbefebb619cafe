package diagnosis

import (
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"istio.io/api/annotation"
	"istio.io/api/label"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// testCase is a subject with one thing wrong, and the cause that must come first.
type testCase struct {
	name       string
	on         string // the check that failed; targets-up if empty
	code       string
	confidence reports.Confidence // certain if empty
	says       []string           // in what was seen or in what to change
	spoil      func(s subject)
}

func (c testCase) check() string { return firstOf(c.on, "targets-up") }

var cases = slices.Concat(operatorCases, injectionCases, fileCases, monitorCases, clientCases, policyCases, applicationCases, rotationCases, upgradeCases)

// combined are pairs of cases that can go wrong together, and the check to ask
// about if it is not that of the second.
var combined = []struct {
	names [2]string
	check string
}{
	{names: [2]string{"label not selected", "pods refused: injector unreachable"}, check: "targets-complete"},
	{names: [2]string{"not injected: label as annotation", "monitor names a file that the proxy does not write"}},
	{names: [2]string{"not injected: label as annotation", "OUTPUT_CERTS not set"}, check: "certificates-mounted"},
	{names: [2]string{"mesh PERMISSIVE, http port", "policy admits another principal"}},
	{names: [2]string{"policy admits another principal", "no insecureSkipVerify"}},
	{names: [2]string{"policy denies all", "Service port called metrics"}},
	{names: [2]string{"policy admits another principal", "two Services, one of them TCP"}},
	{names: [2]string{"service port missing", "file access denied"}, check: "targets-complete"},
	{names: [2]string{"OUTPUT_CERTS not set", "monitor without client certificate"}},
	{names: [2]string{"SECRET_TTL in days", "caFile omitted before 3.13"}, check: "scraper-certificate-rotated"},
	{names: [2]string{"no insecureSkipVerify", "mesh PERMISSIVE, http port"}},
	{names: [2]string{"files unreadable", "RBAC of the service account missing"}, check: "targets-complete"},
	{names: [2]string{"target not injected", "no insecureSkipVerify"}},
}

var operatorCases = []testCase{
	{name: "no Prometheus", code: "prometheus-not-found", says: []string{`prometheuses.monitoring.coreos.com "defualt" not found`}, spoil: func(s subject) {
		s.Prometheus, s.Replicas = nil, nil
		s.Unread = append(s.Unread, observe.Unread{What: "the Prometheus default/defualt", Reason: `prometheuses.monitoring.coreos.com "defualt" not found`})
	}},
	{name: "Prometheus paused", on: "targets-complete", code: "prometheus-paused", spoil: func(s subject) {
		s.Prometheus.Spec.Paused = true
		s.notConfigured()
	}},
	{name: "no operator", on: "targets-complete", code: "operator-not-running", spoil: func(s subject) {
		s.noPods("")
		s.StatefulSets = nil
		s.Pods = slices.DeleteFunc(s.Pods, func(p corev1.Pod) bool { return strings.HasPrefix(p.Name, "prometheus-operator") })
	}},
	{name: "not reconciled", on: "targets-complete", code: "prometheus-not-reconciled", says: []string{"serviceaccounts is forbidden"}, spoil: func(s subject) {
		s.noPods("")
		for i := range s.Prometheus.Status.Conditions {
			if c := &s.Prometheus.Status.Conditions[i]; c.Type == monitoringv1.Reconciled {
				c.Status, c.Reason, c.Message = monitoringv1.ConditionFalse, "ReconciliationFailed", "serviceaccounts is forbidden"
			}
		}
	}},
	{name: "volume not defined", on: "certificates-mounted", code: "volume-not-defined", says: []string{"istio-certs", "spec.volumes has none", "add an emptyDir named istio-certs"}, spoil: func(s subject) {
		s.Prometheus.Spec.Volumes, s.Prometheus.Spec.VolumeMounts = nil, nil
		s.noPods(`create Pod prometheus-default-0 in StatefulSet prometheus-default failed error: Pod "prometheus-default-0" is invalid: spec.initContainers[1].volumeMounts[9].name: Not found: "istio-certs"`)
	}},
	{name: "userVolumeMount is no JSON", on: "certificates-mounted", code: "user-volume-mount-malformed", spoil: func(s subject) {
		s.annotations()[annotation.SidecarUserVolumeMount.Name] = `[{name: istio-certs, mountPath: /etc/istio-output-certs}]`
		s.noPods(`create Pod prometheus-default-0 in StatefulSet prometheus-default failed error: admission webhook "namespace.sidecar-injector.istio.io" denied the request: failed to run injection template`)
	}},
	{name: "SECRET_TTL a number", on: "certificates-mounted", code: "proxy-config-malformed", says: []string{"proxyMetadata.SECRET_TTL is 60"}, spoil: func(s subject) {
		s.annotations()[annotation.ProxyConfig.Name] = "proxyMetadata:\n  OUTPUT_CERTS: /etc/istio-output-certs\n  SECRET_TTL: 60\n"
		s.noPods(`create Pod prometheus-default-0 in StatefulSet prometheus-default failed error: admission webhook "namespace.sidecar-injector.istio.io" denied the request: could not parse proxy config`)
	}},
	{name: "pods refused: injector unreachable", on: "prometheus-sidecar-injected", code: "injector-unreachable", says: []string{"istio-system/istiod has 1 of 1 pods ready"}, spoil: func(s subject) {
		s.noPods(`create Pod prometheus-default-0 in StatefulSet prometheus-default failed error: Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post "https://istiod.istio-system.svc:443/inject?timeout=10s": dial tcp 10.96.122.15:443: connect: connection refused`)
	}},
	{name: "Pod Security restricted", on: "prometheus-sidecar-injected", code: "pod-security-refused", says: []string{"pod-security.kubernetes.io/enforce"}, spoil: func(s subject) {
		s.noPods(`create Pod prometheus-default-0 in StatefulSet prometheus-default failed error: pods "prometheus-default-0" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities (container "istio-init" must not include "NET_ADMIN", "NET_RAW" in securityContext.capabilities.add)`)
	}},
	{name: "quota", on: "targets-up", code: "pod-creation-refused", says: []string{"exceeded quota"}, spoil: func(s subject) {
		s.noPods(`create Pod prometheus-default-0 in StatefulSet prometheus-default failed error: pods "prometheus-default-0" is forbidden: exceeded quota: small`)
	}},
	{name: "image cannot be pulled", code: "prometheus-pod-not-ready", says: []string{"ImagePullBackOff"}, spoil: func(s subject) {
		s.Replicas = s.Replicas[:1]
		s.pods("prometheus-default-1", func(p *corev1.Pod) {
			p.Status.Conditions = nil
			for i := range p.Status.ContainerStatuses {
				if p.Status.ContainerStatuses[i].Name == prometheusName {
					p.Status.ContainerStatuses[i].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"}}
				}
			}
		})
	}},
	{name: "a replica is missing, nothing says why", code: "pods-missing", confidence: reports.Likely, spoil: func(s subject) {
		s.Replicas = s.Replicas[:1]
		s.Pods = slices.DeleteFunc(s.Pods, func(p corev1.Pod) bool { return p.Name == "prometheus-default-1" })
	}},
	{name: "control plane down, certificates ended", code: "control-plane-down", spoil: func(s subject) {
		s.Mesh.ControlPlanes[0].Ready = 0
		for i := range s.Replicas {
			s.Replicas[i].Certificate.NotAfter = s.At.Add(-time.Minute)
			s.Replicas[i].ProxyCertificates[0].NotAfter = s.At.Add(-time.Minute)
		}
		s.lastError("remote error: tls: expired certificate")
	}},
}

var injectionCases = []testCase{
	{name: "no webhook in the cluster", on: "prometheus-sidecar-injected", code: "injector-missing", spoil: func(s subject) {
		s.Mesh.Injectors = nil
		s.notInjected(func(*corev1.Pod) {})
	}},
	{name: "Prometheus in the host's network", on: "prometheus-sidecar-injected", code: "injection-host-network", spoil: func(s subject) {
		s.notInjected(func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	}},
	{name: "namespace disabled", on: "certificates-mounted", code: "injection-disabled", says: []string{"Namespace default: set the label istio-injection to enabled"}, spoil: func(s subject) {
		s.namespace("default").Labels[labelNamespace] = "disabled"
		s.notInjected(func(p *corev1.Pod) { p.Labels[label.SidecarInject.Name] = "true" })
	}},
	{name: "system namespace", on: "prometheus-sidecar-injected", code: "injection-system-namespace", spoil: func(s subject) {
		s.Prometheus.Namespace = "kube-system"
		s.ServiceMonitors[0].Namespace = "kube-system"
		s.ServiceMonitors[0].Spec.NamespaceSelector.MatchNames = []string{"default"}
		s.notInjected(func(p *corev1.Pod) { p.Namespace = "kube-system" })
	}},
	{name: "unknown revision", on: "prometheus-sidecar-injected", code: "injection-revision-unknown", says: []string{"1-29-0", "the webhooks serve default"}, spoil: func(s subject) {
		s.namespace("default").Labels = map[string]string{label.IoIstioRev.Name: "1-29-0"}
		s.notInjected(func(*corev1.Pod) {})
	}},
	{name: "not injected: label as annotation", code: "injection-label-as-annotation", says: []string{`set spec.podMetadata.labels.sidecar.istio.io/inject to "true"`}, spoil: func(s subject) {
		s.namespace("default").Labels = map[string]string{}
		s.notInjected(func(p *corev1.Pod) { p.Annotations[label.SidecarInject.Name] = "true" })
	}},
	{name: "nothing asks for injection", code: "injection-not-requested", spoil: func(s subject) {
		s.namespace("default").Labels = map[string]string{}
		s.notInjected(func(*corev1.Pod) {})
	}},
	{name: "pod older than the label", code: "injection-pod-older", spoil: func(s subject) { s.notInjected(func(*corev1.Pod) {}) }},
	{name: "target not injected", code: "target-not-in-mesh", says: []string{"sidecar.istio.io/inject", "scheme http"}, spoil: func(s subject) {
		s.pods("productpage-", func(p *corev1.Pod) {
			withoutProxy(p)
			p.Labels[label.SidecarInject.Name] = "false"
		})
		s.lastError("http: server gave HTTP response to HTTPS client")
	}},
	{name: "target port excluded", code: "target-port-not-captured", says: []string{"take 9080 out of the annotation"}, spoil: func(s subject) {
		s.pods("productpage-", func(p *corev1.Pod) {
			p.Annotations[annotation.SidecarTrafficExcludeInboundPorts.Name] = "9080"
			args := slices.Clone(p.Spec.InitContainers[0].Args)
			args[slices.Index(args, "-d")+1] = "15090,15021,9080,15020"
			p.Spec.InitContainers[0].Args = args
		})
		s.lastError("http: server gave HTTP response to HTTPS client")
	}},
	{name: "target pod crashes", code: "target-pod-not-ready", says: []string{"CrashLoopBackOff"}, spoil: func(s subject) {
		s.pods("productpage-", func(p *corev1.Pod) {
			p.Status.Conditions = nil
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		})
		s.lastError("server returned HTTP status 503 Service Unavailable")
	}},
	{name: "outbound captured", on: "traffic-not-intercepted", code: "prometheus-outbound-captured", says: []string{`set spec.podMetadata.annotations.traffic.sidecar.istio.io/includeOutboundIPRanges to ""`}, spoil: func(s subject) {
		s.captured("-i", annotation.SidecarTrafficIncludeOutboundIPRanges.Name)
	}},
	{name: "inbound captured", on: "traffic-not-intercepted", code: "prometheus-inbound-captured", spoil: func(s subject) { s.captured("-b", annotation.SidecarTrafficIncludeInboundPorts.Name) }},
	{name: "inbound captured, so that nobody reaches Prometheus", code: "prometheus-inbound-captured", says: []string{"connection reset by peer"}, spoil: func(s subject) {
		s.captured("-b", annotation.SidecarTrafficIncludeInboundPorts.Name)
		s.unreachable("read tcp 10.244.0.1:1->10.244.0.15:9090: read: connection reset by peer")
	}},
	{name: "Prometheus does not answer", code: "prometheus-not-reachable", confidence: reports.Likely, spoil: func(s subject) { s.unreachable("context deadline exceeded") }},
	{name: "empty annotation without effect", on: "traffic-not-intercepted", code: "prometheus-outbound-captured", says: []string{"upgrade Istio"}, spoil: func(s subject) {
		s.prometheusPods(func(p *corev1.Pod) { p.Spec.InitContainers = slices.Delete(p.Spec.InitContainers, 0, 1) }) // istio-cni
		for i := range s.Replicas {
			for j := range s.Replicas[i].Sockets {
				s.Replicas[i].Sockets[j].UID = 1337
			}
		}
	}},
}

// unreachable lets no replica answer.
func (s subject) unreachable(reason string) {
	for i := range s.Replicas {
		r := &s.Replicas[i]
		r.Targets, r.ScrapePools, r.Configuration, r.Version, r.Metrics = nil, nil, "", "", observe.SelfMetrics{}
		for _, what := range []string{"the targets of ", "the scrape pools of ", "the own metrics of ", "the configuration of "} {
			s.Unread = append(s.Unread, observe.Unread{What: what + r.Pod, Reason: reason})
		}
	}
}

// captured takes away an annotation of the Prometheus, with what istio-init makes
// of that.
func (s subject) captured(flag, annotation string) {
	delete(s.annotations(), annotation)
	s.prometheusPods(func(p *corev1.Pod) {
		delete(p.Annotations, annotation)
		args := slices.Clone(p.Spec.InitContainers[0].Args)
		args[slices.Index(args, flag)+1] = "*"
		p.Spec.InitContainers[0].Args = args
	})
}

var monitorCases = []testCase{
	{name: "no selector", on: "targets-complete", code: "monitor-selector-unset", spoil: func(s subject) {
		s.Prometheus.Spec.ServiceMonitorSelector = nil
		s.notConfigured()
	}},
	{name: "label not selected", on: "monitors-accepted", code: "monitor-labels-not-selected", says: []string{
		"ServiceMonitor default/productpage has labels {app: productpage, team: books}; Prometheus default/default selects {team: bookinfo}",
		"ServiceMonitor default/productpage: set metadata.labels.team to bookinfo",
	}, spoil: func(s subject) {
		s.ServiceMonitors[0].Labels["team"] = "books"
		s.notConfigured()
	}},
	{name: "monitor in another namespace", on: "targets-complete", code: "monitor-namespace-not-selected", says: []string{"spec.serviceMonitorNamespaceSelector"}, spoil: func(s subject) {
		s.ServiceMonitors[0].Namespace = "kube-public"
		s.notConfigured()
	}},
	{name: "file access denied", on: "monitors-accepted", code: "monitor-rejected-file-access", says: []string{"it accesses file system", "spec.arbitraryFSAccessThroughSMs.deny"}, spoil: func(s subject) {
		s.Prometheus.Spec.ArbitraryFSAccessThroughSMs.Deny = true
		s.Events = append(s.Events, observe.Event{Kind: "ServiceMonitor", Namespace: "default", Name: "productpage", Type: "Warning", Reason: "InvalidConfiguration", Message: `"default/productpage" was rejected due to invalid configuration: endpoints[0]: it accesses file system via tls config which Prometheus specification prohibits`})
		s.notConfigured()
	}},
	{name: "scrape class missing", on: "monitors-accepted", code: "scrape-class-missing", spoil: func(s subject) {
		class := "mesh"
		s.ServiceMonitors[0].Spec.ScrapeClassName = &class
		s.notConfigured()
	}},
	{name: "certificate without key", on: "monitors-accepted", code: "monitor-rejected", says: []string{"one without the other"}, spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig.KeyFile = ""
		s.notConfigured()
	}},
	{name: "rejected for another reason", on: "monitors-accepted", code: "monitor-rejected", says: []string{"invalid relabeling"}, spoil: func(s subject) {
		s.Events = append(s.Events, observe.Event{Kind: "ServiceMonitor", Namespace: "default", Name: "productpage", Reason: "InvalidConfiguration", Message: "invalid relabeling"})
		s.notConfigured()
	}},
	{name: "Services in another namespace", on: "targets-complete", code: "service-namespace-not-selected", says: []string{"add default to spec.namespaceSelector.matchNames"}, spoil: func(s subject) {
		s.Prometheus.Spec.ServiceMonitorNamespaceSelector = &metav1.LabelSelector{}
		s.ServiceMonitors[0].Namespace = "kube-public"
		s.noTargets()
	}},
	{name: "service labels not matched", on: "targets-complete", code: "service-labels-not-matched", says: []string{"{app: product-page}", "there is none"}, spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Selector.MatchLabels["app"] = "product-page"
		s.noTargets()
	}},
	{name: "service port missing", on: "targets-complete", code: "service-port-missing", says: []string{`asks for port "metrics"`, "has http-9080"}, spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Endpoints[0].Port = "metrics"
		s.noTargets()
	}},
	{name: "service selects no pods", on: "targets-complete", code: "service-without-endpoints", says: []string{"0 pods have the labels {app: productpage-v2}"}, spoil: func(s subject) {
		s.service("productpage").Spec.Selector = map[string]string{"app": "productpage-v2"}
		for i := range s.EndpointSlices {
			if strings.HasPrefix(s.EndpointSlices[i].Name, "productpage") {
				s.EndpointSlices[i].Endpoints = nil
			}
		}
		s.noTargets()
	}},
	{name: "RBAC of the service account missing", on: "targets-complete", code: "discovery-forbidden", says: []string{"ServiceAccount default/prometheus-full-access may not list endpointslices"}, spoil: func(s subject) {
		s.noTargets()
		for i := range s.Access {
			s.Access[i].Allowed = s.Access[i].Resource != "endpointslices"
		}
	}},
	{name: "relabeling drops all", on: "targets-complete", code: "targets-dropped", confidence: reports.Likely, spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Endpoints[0].RelabelConfigs = []monitoringv1.RelabelConfig{{Action: "keep", SourceLabels: []monitoringv1.LabelName{"__meta_kubernetes_pod_label_no"}, Regex: "yes"}}
		s.noTargets()
		s.Replicas[0].Dropped = 12
	}},
	{name: "configuration refused", on: "targets-complete", code: "configuration-not-loaded", spoil: func(s subject) {
		s.notConfigured()
		for i := range s.Replicas {
			s.Replicas[i].Metrics.ReloadSuccessful = 0
		}
	}},
	{name: "configuration outdated", on: "targets-complete", code: "configuration-outdated", confidence: reports.Likely, spoil: func(s subject) {
		files := s.Replicas[0].Files
		s.notConfigured()
		s.Replicas[0].Files, s.Replicas[1].Files = files, files
	}},
	{name: "pool made before the files", on: "targets-complete", code: "pools-made-before-files", says: []string{"holdApplicationUntilProxyStarts"}, spoil: func(s subject) { s.noPool(1) }},
	{name: "pool not made, files not seen", on: "targets-complete", code: "pool-not-made", confidence: reports.Likely, spoil: func(s subject) {
		s.noPool(1)
		for i := range s.Replicas {
			s.Unread = append(s.Unread, observe.Unread{What: "the certificate files of " + s.Replicas[i].Pod, Reason: "no shell"})
			s.Replicas[i].Certificate = nil
		}
	}},
}
