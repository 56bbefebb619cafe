package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// monitor is a monitor with what its object says besides.
type monitor struct {
	observe.Monitor
	key        string                // of its jobs: serviceMonitor/default/productpage
	selector   *metav1.LabelSelector // the Prometheus' for this kind
	nsSelector *metav1.LabelSelector
	field      string // spec.serviceMonitorSelector
	nsField    string // spec.serviceMonitorNamespaceSelector
	labelled   bool   // its labels match
	class      *string
	endpoints  []endpoint                   // one for each job, of ServiceMonitors and PodMonitors
	service    *monitoringv1.ServiceMonitor // if it is one
}

type endpoint struct {
	port        string
	tls         clientTLS
	http2       bool
	relabelings []monitoringv1.RelabelConfig
}

// jobField is the field of the monitor that a job is made of.
func (m *monitor) jobField(i int) string { return "spec." + m.Jobs[i].Field }

// files lists the certificate files that its jobs name.
func (m *monitor) files() []string {
	var files []string
	for _, j := range m.Jobs {
		for _, x := range j.Files {
			files = append(files, x.Path)
		}
	}
	return files
}

func (f *facts) allMonitors() []*monitor {
	services, pods := map[string]*monitoringv1.ServiceMonitor{}, map[string]*monitoringv1.PodMonitor{}
	for i := range f.o.ServiceMonitors {
		x := &f.o.ServiceMonitors[i]
		services[x.Namespace+"/"+x.Name] = x
	}
	for i := range f.o.PodMonitors {
		x := &f.o.PodMonitors[i]
		pods[x.Namespace+"/"+x.Name] = x
	}
	classes := map[string]*string{}
	for i := range f.o.ProbeMonitors {
		x := &f.o.ProbeMonitors[i]
		classes["Probe "+x.Namespace+"/"+x.Name] = x.Spec.ScrapeClassName
	}
	for i := range f.o.ScrapeConfigs {
		x := &f.o.ScrapeConfigs[i]
		classes["ScrapeConfig "+x.Namespace+"/"+x.Name] = x.Spec.ScrapeClassName
	}
	var all []*monitor
	for _, observed := range observe.Monitors(f.o) {
		m := &monitor{Monitor: observed, key: strings.ToLower(observed.Kind[:1]) + observed.Kind[1:] + "/" + observed.Namespace + "/" + observed.Name}
		m.field, m.selector, m.nsSelector = observe.Selector(f.o.Prometheus, m.Kind)
		m.nsField = "spec." + strings.TrimSuffix(m.field, "Selector") + "NamespaceSelector"
		m.field = "spec." + m.field
		m.labelled = selects(m.selector, m.Labels)
		m.class = classes[m.String()]
		switch m.Kind {
		case "ServiceMonitor":
			m.ofService(services[m.Namespace+"/"+m.Name])
		case "PodMonitor":
			m.ofPod(pods[m.Namespace+"/"+m.Name])
		}
		all = append(all, m)
	}
	return all
}

func (m *monitor) ofService(x *monitoringv1.ServiceMonitor) {
	m.service, m.class = x, x.Spec.ScrapeClassName
	for _, e := range x.Spec.Endpoints {
		y := endpoint{port: e.Port, http2: e.EnableHTTP2 == nil || *e.EnableHTTP2, relabelings: e.RelabelConfigs}
		if e.TLSConfig != nil {
			y.tls = newClientTLS(e.TLSConfig.SafeTLSConfig, e.TLSConfig.TLSFilesConfig)
		}
		m.endpoints = append(m.endpoints, y)
	}
}

func (m *monitor) ofPod(x *monitoringv1.PodMonitor) {
	m.class = x.Spec.ScrapeClassName
	for _, e := range x.Spec.PodMetricsEndpoints {
		y := endpoint{http2: e.EnableHTTP2 == nil || *e.EnableHTTP2, relabelings: e.RelabelConfigs}
		if e.Port != nil {
			y.port = *e.Port
		}
		if e.TLSConfig != nil {
			y.tls = newClientTLS(*e.TLSConfig, monitoringv1.TLSFilesConfig{})
		}
		m.endpoints = append(m.endpoints, y)
	}
}

// selects is what the API says of selectors: none selects nothing, an empty one
// everything.
func selects(s *metav1.LabelSelector, set map[string]string) bool {
	if s == nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(set))
}

// scrapeClass is the class of a monitor: the one it names, else the default.
func (f *facts) scrapeClass(m *monitor) *monitoringv1.ScrapeClass {
	for i := range f.spec.ScrapeClasses {
		c := &f.spec.ScrapeClasses[i]
		if m.class != nil && *m.class == c.Name || m.class == nil && c.Default != nil && *c.Default {
			return c
		}
	}
	return nil
}

// labelText and selectorText write labels and selectors as a person would.
func labelText(set map[string]string) string {
	if len(set) == 0 {
		return "{}"
	}
	var parts []string
	for k, v := range set {
		parts = append(parts, k+": "+v)
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}

func selectorText(s *metav1.LabelSelector) string {
	switch {
	case s == nil:
		return "nothing"
	case len(s.MatchExpressions) == 0:
		return labelText(s.MatchLabels)
	}
	return metav1.FormatLabelSelector(s)
}

// toMatch says which labels an object must get for a selector to match it.
func toMatch(s *metav1.LabelSelector, has map[string]string, field string) string {
	var parts []string
	for k, v := range s.MatchLabels {
		if has[k] != v {
			parts = append(parts, fmt.Sprintf("set %s.%s to %s", field, k, v))
		}
	}
	slices.Sort(parts)
	for _, e := range s.MatchExpressions {
		one := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{e}}
		if !selects(one, has) {
			parts = append(parts, fmt.Sprintf("let %s fulfil %q", field, metav1.FormatLabelSelector(one)))
		}
	}
	return firstOf(strings.Join(parts, " and "), "let "+field+" match")
}

func allContainers(pod *corev1.Pod) []corev1.Container {
	if pod == nil {
		return nil
	}
	return slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
}
