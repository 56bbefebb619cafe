package observe

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// scrapeConfig is generateScrapeConfig.
func (g generator) scrapeConfig(x *monitoringv1alpha1.ScrapeConfig, j *scrapeJob) {
	g.request(j, deref(x.Spec.MetricsPath), x.Spec.Params, deref(x.Spec.ScrapeInterval), deref(x.Spec.ScrapeTimeout))
	if x.Spec.NameValidationScheme != nil {
		j.legacy = *x.Spec.NameValidationScheme == monitoringv1.LegacyNameValidationScheme
	}
	for i, s := range x.Spec.StaticConfigs {
		var targets []string
		for _, t := range s.Targets {
			targets = append(targets, string(t))
		}
		j.static = append(j.static, staticGroup(targets, s.Labels))
		g.filledIn(j, fmt.Sprintf("staticConfigs[%d]", i), targets, s.Labels)
	}
	for i, s := range x.Spec.KubernetesSDConfigs {
		q, err := g.sdConfig(s)
		q.field = fmt.Sprintf("kubernetesSDConfigs[%d]", i)
		if err != nil {
			j.open = fmt.Sprintf("%s: %v", q.field, err)
		}
		j.queries = append(j.queries, q)
	}
	if field := otherDiscovery(x.Spec); field != "" {
		j.open = fmt.Sprintf("it has %s: what is discovered there was not observed", field)
	}
	j.copyLabel("job", jobNameLabel)
	g.class(j, x.Spec.ScrapeClassName)
	if x.Spec.JobName != nil {
		j.write("job", *x.Spec.JobName)
	}
	if len(x.Spec.RelabelConfigs) > 0 {
		j.rules = append(j.rules, named("relabelings", x.Spec.RelabelConfigs)...)
		g.enforceNamespace(j)
	}
	hashed := func(r namedRule) bool { return strings.EqualFold(r.Action, actionHashMod) }
	if shards(g.o) > 1 && !slices.ContainsFunc(j.rules, hashed) {
		g.shard(j, addressLabel)
	}
}

// sdConfig is the query that a ScrapeConfig writes down.
func (g generator) sdConfig(s monitoringv1alpha1.KubernetesSDConfig) (query, error) {
	q := query{role: strings.ToLower(string(s.Role)), selectors: map[string]objectSelector{}, server: deref(s.APIServer)}
	if s.AttachMetadata != nil {
		q.nodes = deref(s.AttachMetadata.Node)
	}
	if s.Namespaces != nil {
		q.namespaces = slices.Clone(s.Namespaces.Names)
		if deref(s.Namespaces.IncludeOwnNamespace) {
			q.namespaces = append(q.namespaces, g.o.Prometheus.Namespace)
		}
	}
	for i, x := range s.Selectors {
		var by objectSelector
		var err error
		if x.Label != nil {
			if by.label, err = labels.Parse(*x.Label); err != nil {
				return q, fmt.Errorf("selectors[%d].label is no selector: %w", i, err)
			}
		}
		if x.Field != nil {
			if by.field, err = fields.ParseSelector(*x.Field); err != nil {
				return q, fmt.Errorf("selectors[%d].field is no selector: %w", i, err)
			}
		}
		q.selectors[strings.ToLower(string(x.Role))] = by
	}
	return q, nil
}

// otherDiscovery names the fields of a ScrapeConfig that discover by other means
// than Kubernetes, whatever means there come to be.
func otherDiscovery(spec monitoringv1alpha1.ScrapeConfigSpec) string {
	var names []string
	v := reflect.ValueOf(spec)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if strings.HasSuffix(f.Name, "SDConfigs") && f.Name != "KubernetesSDConfigs" && v.Field(i).Len() > 0 {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}
