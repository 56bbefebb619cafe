package observe

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Expected is a target that must be scraped, worked out from what the owners
// wrote and from the endpoints that Kubernetes found: never from Prometheus,
// whose word on its own targets is what is under test.
type Expected struct {
	Pool      string // as the Operator names it: serviceMonitor/<namespace>/<name>/<endpoint>
	URL       string
	Namespace string
	Pod       string
	Address   string // host:port
	Port      string
	Path      string
	Scheme    string
	Monitor   *monitoringv1.ServiceMonitor
	Endpoint  monitoringv1.Endpoint
}

// ExpectedTargets derives the exact set that each replica must have, sorted by
// pool and URL.
func ExpectedTargets(o Observation) []Expected {
	var expected []Expected
	for _, m := range SelectedMonitors(o) {
		selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
		if err != nil {
			continue // the API server takes no such selector; the Operator would reject it
		}
		for _, s := range o.Services {
			if !selectsNamespace(m.Spec.NamespaceSelector, m.Namespace, s.Namespace) || !selector.Matches(labels.Set(s.Labels)) {
				continue
			}
			for i, e := range m.Spec.Endpoints {
				expected = append(expected, ofEndpoint(o, m, s, i, e)...)
			}
		}
	}
	slices.SortFunc(expected, func(a, b Expected) int { return strings.Compare(a.Pool+" "+a.URL, b.Pool+" "+b.URL) })
	return expected
}

// SelectedMonitors are the ServiceMonitors that the Prometheus selects. As the
// API has it, no selector selects nothing, an empty one everything; no namespace
// selector means the Prometheus' own namespace.
func SelectedMonitors(o Observation) []*monitoringv1.ServiceMonitor {
	if o.Prometheus == nil || o.Prometheus.Spec.ServiceMonitorSelector == nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(o.Prometheus.Spec.ServiceMonitorSelector)
	if err != nil {
		return nil
	}
	var selected []*monitoringv1.ServiceMonitor
	for i := range o.ServiceMonitors {
		m := &o.ServiceMonitors[i]
		if selector.Matches(labels.Set(m.Labels)) && monitorNamespace(o, m.Namespace) {
			selected = append(selected, m)
		}
	}
	return selected
}

func monitorNamespace(o Observation, namespace string) bool {
	ns := o.Prometheus.Spec.ServiceMonitorNamespaceSelector
	if ns == nil {
		return namespace == o.Prometheus.Namespace
	}
	selector, err := metav1.LabelSelectorAsSelector(ns)
	if err != nil {
		return false
	}
	for _, n := range o.Namespaces {
		if n.Name == namespace {
			return selector.Matches(labels.Set(n.Labels))
		}
	}
	return false
}

func selectsNamespace(s monitoringv1.NamespaceSelector, own, namespace string) bool {
	if s.Any {
		return true
	}
	if len(s.MatchNames) == 0 {
		return namespace == own
	}
	return slices.Contains(s.MatchNames, namespace)
}

// ofEndpoint lists the targets of one endpoint of a monitor at one Service.
func ofEndpoint(o Observation, m *monitoringv1.ServiceMonitor, s corev1.Service, index int, e monitoringv1.Endpoint) []Expected {
	var expected []Expected
	for _, slice := range o.EndpointSlices {
		if slice.Namespace != s.Namespace || slice.Labels[discoveryv1.LabelServiceName] != s.Name {
			continue
		}
		for _, p := range slice.Ports {
			if p.Port == nil || e.Port != "" && (p.Name == nil || *p.Name != e.Port) {
				continue
			}
			for _, ep := range slice.Endpoints {
				for _, address := range ep.Addresses {
					expected = append(expected, newExpected(m, s.Namespace, index, e, ep, address, int(*p.Port)))
				}
			}
		}
	}
	return expected
}

func newExpected(m *monitoringv1.ServiceMonitor, namespace string, index int, e monitoringv1.Endpoint, ep discoveryv1.Endpoint, address string, port int) Expected {
	scheme, path := "http", "/metrics"
	if e.Scheme != nil && *e.Scheme != "" {
		scheme = strings.ToLower(e.Scheme.String())
	}
	if e.Path != "" {
		path = e.Path
	}
	x := Expected{
		Pool:      fmt.Sprintf("serviceMonitor/%s/%s/%d", m.Namespace, m.Name, index),
		Namespace: namespace, Address: net.JoinHostPort(address, strconv.Itoa(port)), Port: strconv.Itoa(port),
		Path: path, Scheme: scheme, Monitor: m, Endpoint: e,
	}
	if ep.TargetRef != nil && ep.TargetRef.Kind == "Pod" {
		x.Pod = ep.TargetRef.Name
	}
	x.URL = scheme + "://" + x.Address + path
	return x
}

// ExpectedPods are the pods behind the expected targets, by "namespace/name".
func ExpectedPods(o Observation) []string {
	pods := map[string]bool{}
	for _, e := range ExpectedTargets(o) {
		if e.Pod != "" {
			pods[e.Namespace+"/"+e.Pod] = true
		}
	}
	return slices.Sorted(maps.Keys(pods))
}

// CertificateFiles are the client certificate and the roots that the first
// endpoint with any names, as paths in the Prometheus container.
func CertificateFiles(o Observation) (chain, roots string) {
	for _, m := range SelectedMonitors(o) {
		for _, e := range m.Spec.Endpoints {
			if e.TLSConfig != nil && e.TLSConfig.CertFile != "" {
				return e.TLSConfig.CertFile, e.TLSConfig.CAFile
			}
		}
	}
	return "", ""
}
