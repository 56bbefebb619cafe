package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// monitorRules are about monitors that the Prometheus does not select, or that the
// operator rejects.
var monitorRules = []Rule{
	{
		Code: "monitor-selector-unset", Layer: LayerMonitors,
		Title:   "The Prometheus selects no monitors at all",
		Hides:   []string{"monitor-labels-not-selected"},
		Explain: monitorSelectorUnset,
	},
	{
		Code: "monitor-labels-not-selected", Layer: LayerMonitors,
		Title:   "A monitor does not have the labels that the Prometheus selects",
		Proof:   "whether this monitor is meant for this Prometheus",
		Explain: monitorLabelsNotSelected,
	},
	{
		Code: "monitor-namespace-not-selected", Layer: LayerMonitors,
		Title:   "A monitor is in a namespace where the Prometheus does not look",
		Proof:   "whether this monitor is meant for this Prometheus",
		Explain: monitorNamespaceNotSelected,
	},
	{
		Code: "monitor-rejected-file-access", Layer: LayerMonitors,
		Title:   "The Prometheus forbids monitors to name files",
		Hides:   []string{"monitor-rejected", "configuration-outdated", "pool-not-made"},
		Explain: monitorRejectedFileAccess,
	},
	{
		Code: "scrape-class-missing", Layer: LayerMonitors,
		Title:   "A monitor names a scrape class that the Prometheus does not have",
		Hides:   []string{"monitor-rejected", "configuration-outdated", "client-certificate-not-configured"},
		Explain: scrapeClassMissing,
	},
	{
		Code: "monitor-rejected", Layer: LayerMonitors,
		Title:   "The operator rejects a monitor as invalid",
		Hides:   []string{"configuration-outdated", "pool-not-made"},
		Explain: monitorRejected,
	},
}

// none reports whether no monitor is selected that is of a kind.
func (f *facts) none(kind string) bool {
	return !slices.ContainsFunc(f.monitors, func(m *monitor) bool { return m.Kind == kind && m.Selected })
}

func monitorSelectorUnset(f *facts) []finding {
	var found []finding
	for _, m := range f.monitors {
		if f.o.Prometheus == nil || m.selector != nil || m.Namespace != f.namespace || !f.noneAtAll() {
			continue
		}
		found = append(found, certain(m.about(), fmt.Sprintf("%s has no %s, which selects nothing; %s has labels %s", f.prometheus, m.field, m, labelText(m.Labels)),
			fmt.Sprintf("%s: set %s.matchLabels to labels that its monitors have, or %s to {} for all", f.prometheus, m.field, m.field)))
	}
	return found
}

// noneAtAll reports whether no monitor of any kind is selected.
func (f *facts) noneAtAll() bool {
	return !slices.ContainsFunc(f.monitors, func(m *monitor) bool { return m.Selected })
}

// meantFor reports whether a monitor names files where this Prometheus has its
// certificates: it is meant for it, or for one like it.
func (f *facts) meantFor(m *monitor) bool {
	for _, s := range f.sets {
		dir, ok := s.published()
		if ok && slices.ContainsFunc(m.files(), func(p string) bool { return inside(p, dir) }) {
			return true
		}
	}
	return false
}

func monitorLabelsNotSelected(f *facts) []finding {
	var found []finding
	for _, m := range f.monitors {
		if m.labelled || !m.InReach || m.selector == nil {
			continue
		}
		x := certain(m.about(), fmt.Sprintf("%s has labels %s; %s selects %s", m, labelText(m.Labels), f.prometheus, selectorText(m.selector)),
			m.String()+": "+toMatch(m.selector, m.Labels, "metadata.labels"))
		// Where several Prometheus share the monitors, most are for another one.
		own := m.Namespace == f.namespace
		switch {
		case f.none(m.Kind) && own:
		case f.none(m.Kind) && f.meantFor(m):
			x.confidence = reports.Likely
		case own && f.meantFor(m):
			x.confidence = reports.Possible
		default:
			continue
		}
		found = append(found, x)
	}
	return found
}

func monitorNamespaceNotSelected(f *facts) []finding {
	var found []finding
	namespaces := map[string]bool{}
	for _, m := range f.monitors {
		if m.labelled && !m.InReach && f.none(m.Kind) {
			namespaces[m.Namespace] = true
		}
		if m.Namespace == f.namespace && m.InReach && !m.labelled && m.Kind == "ServiceMonitor" {
			return nil // there is one nearer by
		}
	}
	for _, m := range f.monitors {
		if !namespaces[m.Namespace] || !m.labelled || m.InReach {
			continue
		}
		seen := fmt.Sprintf("%s has the labels that %s selects, but Namespace %s has labels %s, and %s", m, f.prometheus, m.Namespace, labelText(f.namespaces[m.Namespace]), namespaceSelectorText(m))
		change := fmt.Sprintf("%s: set %s to {} or to a selector that matches Namespace %s", f.prometheus, m.nsField, m.Namespace)
		if m.nsSelector != nil {
			change = fmt.Sprintf("Namespace %s: %s; or widen %s of %s", m.Namespace, toMatch(m.nsSelector, f.namespaces[m.Namespace], "metadata.labels"), m.nsField, f.prometheus)
		}
		x := certain(m.about(), seen, change)
		here := m.service != nil && slices.Contains(m.service.Spec.NamespaceSelector.MatchNames, f.namespace)
		// A Prometheus that has monitors, of whatever kind, may want no others.
		if (!f.noneAtAll() || len(namespaces) > 1) && !here {
			x.confidence = reports.Possible
		}
		found = append(found, x)
	}
	return found
}

func namespaceSelectorText(m *monitor) string {
	if m.nsSelector == nil {
		return m.nsField + " is not set, which means the Prometheus' own namespace only"
	}
	return m.nsField + " selects " + selectorText(m.nsSelector)
}

func monitorRejectedFileAccess(f *facts) []finding {
	if !f.spec.ArbitraryFSAccessThroughSMs.Deny {
		return nil
	}
	var found []finding
	for _, m := range f.monitors {
		if files := m.files(); m.Selected && len(files) > 0 {
			found = append(found, certain(m.about(), fmt.Sprintf("%s names %s, and %s has spec.arbitraryFSAccessThroughSMs.deny true%s", m, files[0], f.prometheus, f.quoteEvent(m)),
				f.prometheus+": define the files in an entry of spec.scrapeClasses, which is exempt, and name it in spec.scrapeClass of the monitor; or set spec.arbitraryFSAccessThroughSMs.deny to false"))
		}
	}
	return found
}

// quoteEvent is what the operator said of a monitor.
func (f *facts) quoteEvent(m *monitor) string {
	for _, e := range f.o.Events {
		if e.Kind == m.Kind && e.Namespace == m.Namespace && e.Name == m.Name && e.Reason == "InvalidConfiguration" {
			return "; the operator: " + e.Message
		}
	}
	for _, b := range m.Bindings {
		if b.Resource != "prometheuses" || f.o.Prometheus == nil || b.Name != f.o.Prometheus.Name || b.Namespace != f.namespace {
			continue
		}
		for _, c := range b.Conditions {
			if c.Type == monitoringv1.Accepted && c.Status == monitoringv1.ConditionFalse {
				return "; the operator: " + firstOf(c.Message, c.Reason)
			}
		}
	}
	return ""
}

func scrapeClassMissing(f *facts) []finding {
	var found []finding
	for _, m := range f.monitors {
		if m.Selected && m.class != nil && *m.class != "" && f.scrapeClass(m) == nil {
			var names []string
			for _, c := range f.spec.ScrapeClasses {
				names = append(names, c.Name)
			}
			found = append(found, certain(m.about(), fmt.Sprintf("%s names the scrape class %q; %s has %s%s", m, *m.class, f.prometheus, firstOf(strings.Join(names, ", "), "none"), f.quoteEvent(m)),
				fmt.Sprintf("%s: set spec.scrapeClass to a class of %s, or add %q to its spec.scrapeClasses", m, f.prometheus, *m.class)))
		}
	}
	return found
}

func monitorRejected(f *facts) []finding {
	var found []finding
	for _, m := range f.monitors {
		if !m.Selected {
			continue
		}
		said := strings.TrimPrefix(f.quoteEvent(m), "; the operator: ")
		change := m.String() + ": correct what the operator names"
		seen := fmt.Sprintf("the operator rejects %s: %s", m, said)
		for i, e := range m.endpoints {
			at := m.jobField(i) + ".tlsConfig"
			switch {
			case e.tls.ca != "" && e.tls.caObject:
				seen, change = fmt.Sprintf("%s has both ca and caFile in %s", m, at), fmt.Sprintf("%s: remove %s.ca", m, at)
			case (e.tls.cert != "") != (e.tls.key != "") && !e.tls.certObject:
				seen, change = fmt.Sprintf("%s has certFile %q and keyFile %q in %s: one without the other", m, e.tls.cert, e.tls.key, at), fmt.Sprintf("%s: set both %s.certFile and %s.keyFile", m, at, at)
			default:
				continue
			}
			if said != "" {
				seen += "; the operator: " + said
			}
			said = seen
		}
		if said != "" {
			found = append(found, certain(m.about(), seen, change))
		}
	}
	return found
}
