package observe

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// serviceMonitor is generateServiceMonitorConfig.
func (g generator) serviceMonitor(x *monitoringv1.ServiceMonitor, e monitoringv1.Endpoint, j *scrapeJob) {
	role := g.role(x)
	q := g.query(role, x.Spec.NamespaceSelector, g.attaches(x.Spec.AttachMetadata, x.Spec.ScrapeClassName))
	g.request(j, e.Path, e.Params, e.Interval, e.ScrapeTimeout)
	g.selectBy(j, &q, x.Spec.Selector, x.Spec.SelectorMechanism, roleService, role)
	j.queries = []query{q}

	j.copyLabel("job", jobNameLabel)
	prefix := kubernetesPrefix + "endpoint_"
	if role == roleEndpointSlice {
		prefix = kubernetesPrefix + "endpointslice_"
	}
	if e.Port != "" {
		j.keep(e.Port, prefix+"port_name")
	} else {
		j.keepTarget(e.TargetPort)
	}
	for _, kind := range []string{"Node", "Pod"} {
		j.rule(monitoringv1.RelabelConfig{
			SourceLabels: sources(prefix+"address_target_kind", prefix+"address_target_name"),
			Regex:        kind + ";(.*)", Replacement: pointer("${1}"), TargetLabel: strings.ToLower(kind),
		})
	}
	j.copyLabel(kubernetesPrefix+"namespace", "namespace")
	j.copyLabel(kubernetesPrefix+"service_name", "service")
	j.copyLabel(kubernetesPrefix+"pod_name", "pod")
	j.copyLabel(kubernetesPrefix+"pod_container_name", "container")
	j.dropFinished(e.FilterRunning)
	for _, l := range x.Spec.TargetLabels {
		j.copyIfAny(kubernetesPrefix+"service_label_"+sanitized(l), sanitized(l))
	}
	g.podTargetLabels(j, x.Spec.PodTargetLabels)
	j.rule(monitoringv1.RelabelConfig{SourceLabels: sources(kubernetesPrefix + "service_name"), TargetLabel: "job", Replacement: pointer("${1}")})
	if x.Spec.JobLabel != "" {
		j.copyIfAny(kubernetesPrefix+"service_label_"+sanitized(x.Spec.JobLabel), "job")
	}
	switch {
	case e.Port != "":
		j.write("endpoint", e.Port)
	case e.TargetPort != nil && e.TargetPort.String() != "":
		j.write("endpoint", e.TargetPort.String())
	}
	g.owners(j, x.Spec.ScrapeClassName, "relabelings", e.RelabelConfigs)
	g.shard(j, addressLabel)
}

// podMonitor is generatePodMonitorConfig.
func (g generator) podMonitor(x *monitoringv1.PodMonitor, e monitoringv1.PodMetricsEndpoint, j *scrapeJob) {
	q := g.query(rolePod, x.Spec.NamespaceSelector, g.attaches(x.Spec.AttachMetadata, x.Spec.ScrapeClassName))
	g.request(j, e.Path, e.Params, e.Interval, e.ScrapeTimeout)
	g.selectBy(j, &q, x.Spec.Selector, x.Spec.SelectorMechanism, rolePod)
	j.queries = []query{q}

	j.copyLabel("job", jobNameLabel)
	j.dropFinished(e.FilterRunning)
	port, targetPort := deref(e.Port), e.TargetPort //nolint:staticcheck // deprecated, and still obeyed
	switch {
	case port != "":
		j.keep(port, kubernetesPrefix+"pod_container_port_name")
	case deref(e.PortNumber) != 0:
		j.keep(strconv.Itoa(int(*e.PortNumber)), kubernetesPrefix+"pod_container_port_number")
	default:
		j.keepTarget(targetPort)
	}
	j.copyLabel(kubernetesPrefix+"namespace", "namespace")
	j.copyLabel(kubernetesPrefix+"pod_container_name", "container")
	j.copyLabel(kubernetesPrefix+"pod_name", "pod")
	g.podTargetLabels(j, x.Spec.PodTargetLabels)
	j.write("job", x.Namespace+"/"+x.Name)
	if x.Spec.JobLabel != "" {
		j.copyIfAny(kubernetesPrefix+"pod_label_"+sanitized(x.Spec.JobLabel), "job")
	}
	switch {
	case port != "":
		j.write("endpoint", port)
	case targetPort != nil && targetPort.String() != "":
		j.write("endpoint", targetPort.String())
	}
	g.owners(j, x.Spec.ScrapeClassName, "relabelings", e.RelabelConfigs)
	g.shard(j, addressLabel)
}

// role is endpointRoleFlavor.
func (g generator) role(x *monitoringv1.ServiceMonitor) string {
	r := x.Spec.ServiceDiscoveryRole
	if r == nil {
		r = g.spec.ServiceDiscoveryRole
	}
	if deref(r) == monitoringv1.EndpointSliceRole {
		return roleEndpointSlice
	}
	return roleEndpoints
}

// attaches reports whether node metadata is attached.
func (g generator) attaches(a *monitoringv1.AttachMetadata, class *string) bool {
	if c := scrapeClass(g.o, class); a == nil && c != nil {
		a = c.AttachMetadata
	}
	return a != nil && deref(a.Node)
}

// selectBy selects the objects of a role, by rules on their labels or at the API
// server, which then has the same selector for each of the other roles too.
func (g generator) selectBy(j *scrapeJob, q *query, s metav1.LabelSelector, mechanism *monitoringv1.SelectorMechanism, role string, too ...string) {
	selector, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		j.open = fmt.Sprintf("its selector is none: %v", err)
		return
	}
	if deref(mechanism) == monitoringv1.SelectorMechanismRole {
		for _, r := range append(too, role) {
			q.selectors[r] = objectSelector{label: selector}
		}
		return
	}
	prefix := kubernetesPrefix + role
	rule := func(action, key, regex string, values bool) {
		r := monitoringv1.RelabelConfig{Action: action, Regex: regex, SourceLabels: sources(prefix + "_labelpresent_" + sanitized(key))}
		if values {
			r.SourceLabels = append(sources(prefix+"_label_"+sanitized(key)), r.SourceLabels...)
		}
		j.selection = append(j.selection, namedRule{operatorRule, r})
	}
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		rule("keep", key, "("+s.MatchLabels[key]+");true", true)
	}
	for _, e := range s.MatchExpressions {
		values := "(" + strings.Join(e.Values, "|") + ");true"
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			rule("keep", e.Key, values, true)
		case metav1.LabelSelectorOpNotIn:
			rule("drop", e.Key, values, true)
		case metav1.LabelSelectorOpExists:
			rule("keep", e.Key, "true", false)
		case metav1.LabelSelectorOpDoesNotExist:
			rule("drop", e.Key, "true", false)
		}
	}
}

// keepTarget keeps what a container declares as a port.
func (j *scrapeJob) keepTarget(port *intstr.IntOrString) {
	switch {
	case port == nil:
	case port.StrVal != "":
		j.keep(port.String(), kubernetesPrefix+"pod_container_port_name")
	case port.IntVal != 0:
		j.keep(strconv.Itoa(port.IntValue()), kubernetesPrefix+"pod_container_port_number")
	}
}

func (g generator) podTargetLabels(j *scrapeJob, names []string) {
	for _, l := range slices.Concat(names, g.spec.PodTargetLabels) {
		j.copyIfAny(kubernetesPrefix+"pod_label_"+sanitized(l), sanitized(l))
	}
}
