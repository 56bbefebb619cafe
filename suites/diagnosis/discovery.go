package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// discoveryRules are about what Prometheus may see of the endpoints, and keeps.
var discoveryRules = []Rule{
	{
		Code: "discovery-forbidden", Layer: LayerDiscovery,
		Title:   "Prometheus' service account may not see what it has to discover",
		Hides:   []string{"targets-dropped"},
		Explain: discoveryForbidden,
	},
	{
		Code: "targets-dropped", Layer: LayerDiscovery,
		Title:   "Prometheus discovers the target and drops it",
		Proof:   "the discovered labels of the dropped targets, in Prometheus under Status > Service discovery",
		Explain: targetsDropped,
	},
}

func discoveryForbidden(f *facts) []finding {
	role := "endpoints"
	if f.spec.ServiceDiscoveryRole != nil && *f.spec.ServiceDiscoveryRole == monitoringv1.EndpointSliceRole {
		role = "endpointslices"
	}
	var about []string
	for _, t := range f.targets {
		if t.missing() || len(t.scrapes) == 0 {
			about = append(about, t.about()...)
		}
	}
	var found []finding
	for _, a := range f.o.Access {
		if a.Allowed || a.Resource != role && a.Resource != "services" && a.Resource != "pods" {
			continue
		}
		where := "in the namespace " + a.Namespace
		if a.Namespace == "" {
			where = "in all namespaces"
		}
		group := map[bool]string{true: "discovery.k8s.io", false: `""`}[a.Resource == "endpointslices"]
		x := certain(append(about, aboutPrometheus), fmt.Sprintf("ServiceAccount %s/%s may not list %s %s%s", f.namespace, f.serviceAccount(), a.Resource, where, andText(a.Reason)),
			fmt.Sprintf("bind to ServiceAccount %s/%s a role with get, list and watch on services, pods and %s (apiGroup %s) %s", f.namespace, f.serviceAccount(), role, group, where))
		if len(about) == 0 && len(f.targets) > 0 {
			x.confidence = reports.Possible // everything was discovered all the same
		}
		found = append(found, x)
	}
	return found
}

func targetsDropped(f *facts) []finding {
	found := dropsAll(f)
	for _, t := range f.targets {
		for _, r := range f.replicas {
			if r.seen == nil || !r.pools[t.Pool] || r.seen.Dropped == 0 || !slices.Contains(t.scrapes, scrape{replica: r.name, state: missing}) {
				continue
			}
			x := t.finding(reports.Possible, fmt.Sprintf("%s has the job %s but not the target %s, and has dropped %d targets", r.name, t.Pool, t.URL, r.seen.Dropped), t.monitor.String()+": correct "+t.field+".relabelings so that it keeps the target")
			if len(t.relabelings) > 0 {
				x.confidence = reports.Likely
			}
			found = append(found, x)
		}
	}
	return found
}

// dropsAll finds monitors whose own relabelings leave no target of those that
// their Services have.
func dropsAll(f *facts) []finding {
	has := map[*monitor]bool{}
	for _, t := range f.targets {
		has[t.monitor] = true
	}
	var found []finding
	f.serviceMonitors(func(m *monitor, here, _ []*corev1.Service) {
		if has[m] || !slices.ContainsFunc(here, f.hasAddress) {
			return
		}
		for i, e := range m.endpoints {
			for j, r := range e.relabelings {
				if action := strings.ToLower(r.Action); action == "keep" || action == "drop" {
					found = append(found, finding{about: m.about(), confidence: reports.Likely,
						seen:   fmt.Sprintf("%s has relabelings, and none of the endpoints of Service %s/%s passes them: [%d] is a %s by %v with %q", m, here[0].Namespace, here[0].Name, j, action, r.SourceLabels, r.Regex),
						change: fmt.Sprintf("%s: correct %s.relabelings[%d] so that it keeps the targets", m, m.jobField(i), j)})
				}
			}
		}
	})
	return found
}
