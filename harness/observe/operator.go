package observe

import (
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// scrapeJobs are the jobs that the Operator makes of a monitor, in the order of
// m.Jobs: pkg/prometheus/promcfg.go of the Operator.
func scrapeJobs(o Observation, m Monitor) []scrapeJob {
	g := generator{o: o, m: m, spec: o.Prometheus.Spec.CommonPrometheusFields}
	switch {
	case m.service != nil:
		return g.each(func(i int, j *scrapeJob) {
			j.object += ", " + m.Jobs[i].Field
			g.serviceMonitor(m.service, m.service.Spec.Endpoints[i], j)
		})
	case m.pod != nil:
		return g.each(func(i int, j *scrapeJob) {
			j.object += ", " + m.Jobs[i].Field
			g.podMonitor(m.pod, m.pod.Spec.PodMetricsEndpoints[i], j)
		})
	case m.probe != nil:
		return g.each(func(_ int, j *scrapeJob) { g.probe(m.probe, j) })
	case m.config != nil:
		return g.each(func(_ int, j *scrapeJob) { g.scrapeConfig(m.config, j) })
	}
	return nil
}

// generator makes jobs of one monitor.
type generator struct {
	o    Observation
	m    Monitor
	spec monitoringv1.CommonPrometheusFields
}

func (g generator) each(fill func(int, *scrapeJob)) []scrapeJob {
	var all []scrapeJob
	for i, x := range g.m.Jobs {
		j := scrapeJob{
			pool: x.Name, object: g.m.String(), scheme: x.Scheme, path: "/metrics",
			legacy: deref(g.spec.NameValidationScheme) == monitoringv1.LegacyNameValidationScheme,
		}
		fill(i, &j)
		all = append(all, j)
	}
	return all
}

// The rules of the Operator are written here as an owner would write them.

const (
	jobNameLabel = "__tmp_prometheus_job_name"
	operatorRule = "a rule of the Operator's own" // its name in a reason
)

func (j *scrapeJob) rule(r monitoringv1.RelabelConfig) {
	j.rules = append(j.rules, namedRule{operatorRule, r})
}

func (j *scrapeJob) copyLabel(from, to string) {
	j.rule(monitoringv1.RelabelConfig{SourceLabels: sources(from), TargetLabel: to})
}

// copyIfAny leaves the label alone where there is nothing to copy.
func (j *scrapeJob) copyIfAny(from, to string) {
	j.rule(monitoringv1.RelabelConfig{SourceLabels: sources(from), TargetLabel: to, Regex: "(.+)", Replacement: pointer("${1}")})
}

func (j *scrapeJob) write(to, text string) {
	j.rule(monitoringv1.RelabelConfig{TargetLabel: to, Replacement: pointer(text)})
}

func (j *scrapeJob) keep(regex string, from ...string) {
	j.rule(monitoringv1.RelabelConfig{Action: "keep", SourceLabels: sources(from...), Regex: regex})
}

func (j *scrapeJob) dropFinished(filter *bool) {
	if filter == nil || *filter {
		j.rule(monitoringv1.RelabelConfig{Action: "drop", SourceLabels: sources(kubernetesPrefix + "pod_phase"), Regex: "(Failed|Succeeded)"})
	}
}

func sources(names ...string) []monitoringv1.LabelName {
	var all []monitoringv1.LabelName
	for _, n := range names {
		all = append(all, monitoringv1.LabelName(n))
	}
	return all
}

func pointer[T any](v T) *T { return &v }

// request sets how a job asks.
func (g generator) request(j *scrapeJob, path string, params map[string][]string, interval, timeout monitoringv1.Duration) {
	j.params, j.every, j.timeout = params, interval, timeout
	if path != "" {
		j.path = path
	}
	g.filledIn(j, "the request", j.path, params)
}

func (g generator) filledIn(j *scrapeJob, what string, texts ...any) {
	if err := filledIn(what, texts); err != nil && j.open == "" {
		j.open = err.Error()
	}
}

// query is generateK8SSDConfig.
func (g generator) query(role string, s monitoringv1.NamespaceSelector, nodes bool) query {
	q := query{role: role, nodes: nodes, selectors: map[string]objectSelector{}}
	switch {
	case g.spec.IgnoreNamespaceSelectors:
		q.namespaces = []string{g.m.Namespace}
	case s.Any:
	case len(s.MatchNames) == 0:
		q.namespaces = []string{g.m.Namespace}
	default:
		q.namespaces = s.MatchNames
	}
	// The cluster's own API server by its name is no other.
	if c := g.spec.APIServerConfig; c != nil && !strings.Contains(c.Host, "kubernetes.default") {
		q.server = c.Host
	}
	return q
}

// owners adds the rules that owners wrote, those of the scrape class first.
func (g generator) owners(j *scrapeJob, class *string, field string, rules []monitoringv1.RelabelConfig) {
	g.class(j, class)
	j.rules = append(j.rules, named(field, rules)...)
	g.enforceNamespace(j)
}

// enforceNamespace is pkg/namespacelabeler, GetRelabelingConfigs. It may make equal
// what else would be two targets.
func (g generator) enforceNamespace(j *scrapeJob) {
	excluded := slices.ContainsFunc(g.spec.ExcludedFromEnforcement, func(r monitoringv1.ObjectReference) bool {
		return r.GroupKind().Kind == g.m.Kind && r.Namespace == g.m.Namespace && (r.Name == "" || r.Name == g.m.Name)
	})
	if g.spec.EnforcedNamespaceLabel != "" && !excluded {
		j.write(g.spec.EnforcedNamespaceLabel, g.m.Namespace)
	}
}

func (g generator) class(j *scrapeJob, name *string) {
	if c := scrapeClass(g.o, name); c != nil {
		j.rules = append(j.rules, named("scrape class "+c.Name+", relabelings", c.Relabelings)...)
	}
}

// shard is appendShardingRelabelingWithLabel. What the Operator adds to it for
// retained shards changes nothing for those that are not just retained.
func (g generator) shard(j *scrapeJob, by string) {
	const hash, disable = "__tmp_hash", "__tmp_disable_sharding"
	j.rule(monitoringv1.RelabelConfig{SourceLabels: sources(by, hash), TargetLabel: hash, Regex: "(.+);", Replacement: pointer("$1")})
	j.rule(monitoringv1.RelabelConfig{SourceLabels: sources(hash), TargetLabel: hash, Modulus: uint64(shards(g.o)), Action: actionHashMod})
	j.keep(shardVariable+";|.+;.+", hash, disable)
}
