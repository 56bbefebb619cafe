package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// serviceRules are about the way from a selected monitor to Services and their
// endpoints.
var serviceRules = []Rule{
	{
		Code: "service-namespace-not-selected", Layer: LayerDiscovery,
		Title:   "The Services that a monitor describes are in a namespace where it does not look",
		Hides:   []string{"service-labels-not-matched"},
		Explain: serviceNamespaceNotSelected,
	},
	{
		Code: "service-labels-not-matched", Layer: LayerDiscovery,
		Title:   "No Service has the labels that a monitor selects",
		Proof:   "whether the monitor's Service is meant to be there at all",
		Explain: serviceLabelsNotMatched,
	},
	{
		Code: "service-port-missing", Layer: LayerDiscovery,
		Title:   "A monitor names a port that its Service does not have",
		Explain: servicePortMissing,
	},
	{
		Code: "service-without-endpoints", Layer: LayerDiscovery,
		Title:   "A Service that a monitor selects has no endpoints",
		Explain: serviceWithoutEndpoints,
	},
}

// serviceMonitors are the selected ones, with the Services of the cluster that
// each matches by labels, where it looks and elsewhere.
func (f *facts) serviceMonitors(call func(m *monitor, here, elsewhere []*corev1.Service)) {
	for _, m := range f.monitors {
		if !m.Selected || m.service == nil {
			continue
		}
		var here, elsewhere []*corev1.Service
		for i := range f.o.Services {
			s := &f.o.Services[i]
			if !selects(&m.service.Spec.Selector, s.Labels) {
				continue
			}
			if f.looksIn(m, s.Namespace) {
				here = append(here, s)
			} else {
				elsewhere = append(elsewhere, s)
			}
		}
		call(m, here, elsewhere)
	}
}

func (f *facts) looksIn(m *monitor, namespace string) bool {
	n := m.service.Spec.NamespaceSelector
	if f.spec.IgnoreNamespaceSelectors {
		return namespace == m.Namespace
	}
	return n.Any || len(n.MatchNames) == 0 && namespace == m.Namespace || slices.Contains(n.MatchNames, namespace)
}

func serviceNamespaceNotSelected(f *facts) []finding {
	var found []finding
	f.serviceMonitors(func(m *monitor, here, elsewhere []*corev1.Service) {
		if len(here) > 0 {
			return
		}
		for _, s := range elsewhere {
			if len(m.endpoints) > 0 && m.endpoints[0].port != "" && !hasPort(s, m.endpoints[0].port) {
				continue
			}
			found = append(found, certain(m.about(), fmt.Sprintf("%s selects Services %s in %s; Service %s/%s has them", m, selectorText(&m.service.Spec.Selector), f.namespacesOf(m), s.Namespace, s.Name),
				fmt.Sprintf("%s: add %s to spec.namespaceSelector.matchNames", m, s.Namespace)))
			return
		}
	})
	return found
}

func (f *facts) namespacesOf(m *monitor) string {
	n := m.service.Spec.NamespaceSelector
	switch {
	case f.spec.IgnoreNamespaceSelectors:
		return "its own namespace " + m.Namespace + " (spec.ignoreNamespaceSelectors of " + f.prometheus + " is true)"
	case n.Any:
		return "all namespaces"
	case len(n.MatchNames) == 0:
		return "its own namespace " + m.Namespace
	}
	return "the namespaces " + strings.Join(n.MatchNames, ", ")
}

func serviceLabelsNotMatched(f *facts) []finding {
	if _, unread := f.unread("services"); unread {
		return nil
	}
	var found []finding
	f.serviceMonitors(func(m *monitor, here, _ []*corev1.Service) {
		if len(here) > 0 {
			return
		}
		seen := fmt.Sprintf("%s selects Services %s in %s: there is none", m, selectorText(&m.service.Spec.Selector), f.namespacesOf(m))
		change := fmt.Sprintf("%s: set spec.selector to labels of the Service to be scraped", m)
		x := certain(m.about(), seen, change)
		if near := f.nearest(m); near != nil {
			x.seen += fmt.Sprintf("; Service %s/%s has labels %s", near.Namespace, near.Name, labelText(near.Labels))
			x.change = fmt.Sprintf("%s: set spec.selector.matchLabels to %s; or Service %s/%s: %s", m, labelText(near.Labels), near.Namespace, near.Name, toMatch(&m.service.Spec.Selector, near.Labels, "metadata.labels"))
		} else if len(f.targets) > 0 {
			x.confidence = reports.Possible // many set-ups have monitors for what is not installed
		}
		found = append(found, x)
	})
	return found
}

// nearest is the Service that a monitor most likely means: it has the named port
// and a label with the same name.
func (f *facts) nearest(m *monitor) *corev1.Service {
	for i := range f.o.Services {
		s := &f.o.Services[i]
		if !f.looksIn(m, s.Namespace) || len(m.endpoints) == 0 || m.endpoints[0].port == "" || !hasPort(s, m.endpoints[0].port) {
			continue
		}
		for k := range m.service.Spec.Selector.MatchLabels {
			if s.Labels[k] != "" {
				return s
			}
		}
	}
	return nil
}

func hasPort(s *corev1.Service, name string) bool {
	return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == name })
}

func servicePortMissing(f *facts) []finding {
	var found []finding
	f.serviceMonitors(func(m *monitor, here, _ []*corev1.Service) {
		for i, e := range m.endpoints {
			if e.port == "" || len(here) == 0 || slices.ContainsFunc(here, func(s *corev1.Service) bool { return hasPort(s, e.port) }) {
				continue
			}
			var names []string
			for _, p := range here[0].Spec.Ports {
				names = append(names, firstOf(p.Name, "one without a name"))
			}
			found = append(found, certain(m.about(), fmt.Sprintf("%s asks for port %q in %s; Service %s/%s has %s", m, e.port, m.jobField(i), here[0].Namespace, here[0].Name, strings.Join(names, ", ")),
				fmt.Sprintf("%s: set %s.port to %s", m, m.jobField(i), strings.Join(names, " or "))))
		}
	})
	return found
}

func serviceWithoutEndpoints(f *facts) []finding {
	if _, unread := f.unread("endpoint slices"); unread {
		return nil
	}
	var found []finding
	f.serviceMonitors(func(m *monitor, here, _ []*corev1.Service) {
		for _, s := range here {
			if f.hasAddress(s) || len(m.endpoints) > 0 && m.endpoints[0].port != "" && !hasPort(s, m.endpoints[0].port) {
				continue
			}
			pods := 0
			for _, p := range f.pods {
				if p.Namespace == s.Namespace && len(s.Spec.Selector) > 0 && subset(s.Spec.Selector, p.Labels) {
					pods++
				}
			}
			seen := fmt.Sprintf("Service %s/%s, which %s selects, has no endpoints: %d pods have the labels %s that it selects", s.Namespace, s.Name, m, pods, labelText(s.Spec.Selector))
			change := fmt.Sprintf("Service %s/%s: set spec.selector to labels that the pods have, or start the pods", s.Namespace, s.Name)
			if pods > 0 {
				change = fmt.Sprintf("let the pods of Service %s/%s run, and have the port that its targetPort names", s.Namespace, s.Name)
			}
			x := certain(m.about(), seen, change)
			if len(f.targets) > 0 && slices.ContainsFunc(f.targets, func(t *target) bool { return t.monitor == m }) {
				x.confidence = reports.Possible
			}
			found = append(found, x)
		}
	})
	return found
}

func (f *facts) hasAddress(s *corev1.Service) bool {
	return slices.ContainsFunc(f.o.EndpointSlices, func(e discoveryv1.EndpointSlice) bool {
		return e.Namespace == s.Namespace && e.Labels[discoveryv1.LabelServiceName] == s.Name && len(e.Endpoints) > 0 && len(e.Ports) > 0
	})
}
