package observe

import (
	"cmp"
	"maps"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// probe is generateProbeConfig.
func (g generator) probe(x *monitoringv1.Probe, j *scrapeJob) {
	// The API server fills the path in. It did not always.
	j.path, j.every, j.timeout = cmp.Or(x.Spec.ProberSpec.Path, "/probe"), x.Spec.Interval, x.Spec.ScrapeTimeout
	j.params = map[string][]string{}
	for _, p := range x.Spec.Params {
		j.params[p.Name] = p.Values
	}
	if x.Spec.Module != "" {
		j.params["module"] = []string{x.Spec.Module}
	}
	g.filledIn(j, "the request", j.path, j.params)
	j.copyLabel("job", jobNameLabel)
	if x.Spec.JobName != "" {
		j.write("job", x.Spec.JobName)
	}
	switch s := x.Spec.Targets.StaticConfig; {
	case s != nil:
		labels := map[string]string{"namespace": x.Namespace}
		maps.Copy(labels, s.Labels)
		j.static = []group{staticGroup(s.Targets, labels)}
		g.filledIn(j, "targets.staticConfig", s.Targets, s.Labels)
		j.copyLabel(addressLabel, paramPrefix+"target")
		j.copyLabel(paramPrefix+"target", "instance")
		j.write(addressLabel, x.Spec.ProberSpec.URL)
		g.owners(j, x.Spec.ScrapeClassName, "targets.staticConfig.relabelingConfigs", s.RelabelConfigs)
	case x.Spec.Targets.Ingress != nil:
		q := g.query(roleIngress, x.Spec.Targets.Ingress.NamespaceSelector, false)
		q.field = "targets.ingress"
		j.queries = []query{q}
	default:
		j.open = "it has neither targets.staticConfig nor targets.ingress: the Operator rejects it"
	}
	g.shard(j, paramPrefix+"target")
}
