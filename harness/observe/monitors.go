package observe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Monitor is any of the four objects by which owners say what is to be scraped,
// reduced to what they have in common.
type Monitor struct {
	Kind      string // ServiceMonitor, PodMonitor, Probe or ScrapeConfig
	Namespace string
	Name      string
	Labels    map[string]string
	Created   time.Time
	Jobs      []Job
	Bindings  []monitoringv1.WorkloadBinding // what the Operator says of it, where it says anything

	InReach  bool // the Prometheus looks for monitors of this kind in its namespace
	Selected bool // and its labels match

	// The object itself, one of them.
	service *monitoringv1.ServiceMonitor
	pod     *monitoringv1.PodMonitor
	probe   *monitoringv1.Probe
	config  *monitoringv1alpha1.ScrapeConfig
}

// String names the object, as in "ServiceMonitor default/productpage".
func (m Monitor) String() string { return m.Kind + " " + m.Namespace + "/" + m.Name }

// Job is one job of the configuration that the Operator makes of a monitor.
type Job struct {
	Name   string // of the job and of its scrape pool
	Field  string // of the monitor, as in "endpoints[0]"
	Scheme string
	Files  []NamedFile // that its TLS settings name, those of its scrape class included
	// HasCertificate says that it has a client certificate, from a file or from
	// elsewhere.
	HasCertificate bool
}

// NamedFile is a file that somebody names, and who.
type NamedFile struct {
	Path string
	Role string // RoleCA, RoleCert or RoleKey
	By   string // as in "ServiceMonitor default/productpage, endpoints[0].tlsConfig.caFile"
}

// File returns the path that the job has for a role.
func (j Job) File(role string) string {
	for _, f := range j.Files {
		if f.Role == role {
			return f.Path
		}
	}
	return ""
}

// Monitors lists every monitor of the subject, selected or not, by kind and as
// they were listed. As the API has it, no selector selects nothing, an empty one
// everything; no namespace selector means the Prometheus' own namespace.
func Monitors(o Observation) []Monitor {
	var all []Monitor
	for i := range o.ServiceMonitors {
		x := &o.ServiceMonitors[i]
		m := newMonitor("ServiceMonitor", x.ObjectMeta, x.Status.Bindings)
		m.service = x
		for i, e := range x.Spec.Endpoints {
			field := fmt.Sprintf("endpoints[%d]", i)
			m.Jobs = append(m.Jobs, Job{
				Name:  fmt.Sprintf("serviceMonitor/%s/%s/%d", x.Namespace, x.Name, i),
				Field: field, Scheme: schemeOf(e.Scheme),
			}.withTLS(o, m, field+".tlsConfig", e.TLSConfig, x.Spec.ScrapeClassName))
		}
		all = append(all, m)
	}
	for i := range o.PodMonitors {
		x := &o.PodMonitors[i]
		m := newMonitor("PodMonitor", x.ObjectMeta, x.Status.Bindings)
		m.pod = x
		for i, e := range x.Spec.PodMetricsEndpoints {
			field := fmt.Sprintf("podMetricsEndpoints[%d]", i)
			m.Jobs = append(m.Jobs, Job{
				Name:  fmt.Sprintf("podMonitor/%s/%s/%d", x.Namespace, x.Name, i),
				Field: field, Scheme: schemeOf(e.Scheme),
			}.withTLS(o, m, field+".tlsConfig", withoutFiles(e.TLSConfig), x.Spec.ScrapeClassName))
		}
		all = append(all, m)
	}
	for i := range o.ProbeMonitors {
		x := &o.ProbeMonitors[i]
		m := newMonitor("Probe", x.ObjectMeta, x.Status.Bindings)
		m.probe = x
		m.Jobs = []Job{Job{
			Name: fmt.Sprintf("probe/%s/%s", x.Namespace, x.Name), Field: "prober", Scheme: schemeOf(x.Spec.ProberSpec.Scheme),
		}.withTLS(o, m, "tlsConfig", withoutFiles(x.Spec.TLSConfig), x.Spec.ScrapeClassName)}
		all = append(all, m)
	}
	for i := range o.ScrapeConfigs {
		x := &o.ScrapeConfigs[i]
		m := newMonitor("ScrapeConfig", x.ObjectMeta, x.Status.Bindings)
		m.config = x
		m.Jobs = []Job{Job{
			Name: fmt.Sprintf("scrapeConfig/%s/%s", x.Namespace, x.Name), Field: "spec", Scheme: schemeOf(x.Spec.Scheme),
		}.withTLS(o, m, "tlsConfig", withoutFiles(x.Spec.TLSConfig), x.Spec.ScrapeClassName)}
		all = append(all, m)
	}
	namespaces := map[string]map[string]string{}
	for _, n := range o.Namespaces {
		namespaces[n.Name] = n.Labels
	}
	for i := range all {
		all[i].InReach, all[i].Selected = selects(o.Prometheus, all[i], namespaces)
	}
	return all
}

// SelectedBy reports whether another Prometheus than the one under test selects a
// monitor.
func SelectedBy(o Observation, other monitoringv1.Prometheus, m Monitor) bool {
	namespaces := map[string]map[string]string{}
	for _, n := range o.Namespaces {
		namespaces[n.Name] = n.Labels
	}
	_, selected := selects(&other, m, namespaces)
	return selected
}

// Selector returns the selector that a Prometheus has for monitors of a kind and
// the one for their namespaces, each with the name of its field.
func Selector(p *monitoringv1.Prometheus, kind string) (field string, objects, namespaces *metav1.LabelSelector) {
	if p == nil {
		return "", nil, nil
	}
	s := p.Spec.CommonPrometheusFields
	switch kind {
	case "ServiceMonitor":
		return "serviceMonitorSelector", s.ServiceMonitorSelector, s.ServiceMonitorNamespaceSelector
	case "PodMonitor":
		return "podMonitorSelector", s.PodMonitorSelector, s.PodMonitorNamespaceSelector
	case "Probe":
		return "probeSelector", s.ProbeSelector, s.ProbeNamespaceSelector
	default:
		return "scrapeConfigSelector", s.ScrapeConfigSelector, s.ScrapeConfigNamespaceSelector
	}
}

func selects(p *monitoringv1.Prometheus, m Monitor, namespaces map[string]map[string]string) (inReach, selected bool) {
	if p == nil {
		return false, false
	}
	_, objects, where := Selector(p, m.Kind)
	inReach = m.Namespace == p.Namespace
	if where != nil {
		s, err := metav1.LabelSelectorAsSelector(where)
		l, known := namespaces[m.Namespace]
		inReach = err == nil && known && s.Matches(labels.Set(l))
	}
	if objects == nil {
		return inReach, false
	}
	s, err := metav1.LabelSelectorAsSelector(objects)
	return inReach, inReach && err == nil && s.Matches(labels.Set(m.Labels))
}

func newMonitor(kind string, meta metav1.ObjectMeta, bindings []monitoringv1.WorkloadBinding) Monitor {
	return Monitor{
		Kind: kind, Namespace: meta.Namespace, Name: meta.Name, Labels: meta.Labels,
		Created: meta.CreationTimestamp.Time, Bindings: bindings,
	}
}

func schemeOf(s *monitoringv1.Scheme) string {
	if s == nil || *s == "" {
		return "http"
	}
	return strings.ToLower(string(*s))
}

// withoutFiles is for the kinds of monitor whose TLS settings cannot name files.
// Empty settings count as none, as with the Operator.
func withoutFiles(t *monitoringv1.SafeTLSConfig) *monitoringv1.TLSConfig {
	if t == nil || *t == (monitoringv1.SafeTLSConfig{}) {
		return nil
	}
	return &monitoringv1.TLSConfig{SafeTLSConfig: *t}
}

// withTLS adds the TLS settings that a job will have, as the Operator puts them
// together: those of the monitor, and the files of its scrape class for what the
// monitor leaves open.
func (j Job) withTLS(o Observation, m Monitor, field string, own *monitoringv1.TLSConfig, class *string) Job {
	var t, fallback monitoringv1.TLSConfig
	if own != nil {
		t = *own
	}
	c := scrapeClass(o, class)
	if c != nil && c.TLSConfig != nil {
		fallback = *c.TLSConfig
	}
	j.HasCertificate = t.Cert != (monitoringv1.SecretOrConfigMap{}) || own == nil && fallback.Cert != (monitoringv1.SecretOrConfigMap{})
	for _, f := range []struct {
		role, name        string
		path, ofClass     string
		fromSomewhereElse bool
	}{
		{RoleCA, "caFile", t.CAFile, fallback.CAFile, t.CA != (monitoringv1.SecretOrConfigMap{})},
		{RoleCert, "certFile", t.CertFile, fallback.CertFile, t.Cert != (monitoringv1.SecretOrConfigMap{})},
		{RoleKey, "keyFile", t.KeyFile, fallback.KeyFile, t.KeySecret != nil},
	} {
		switch {
		case f.path != "":
			j.Files = append(j.Files, NamedFile{Path: f.path, Role: f.role, By: fmt.Sprintf("%s, %s.%s", m, field, f.name)})
		case !f.fromSomewhereElse && f.ofClass != "":
			j.Files = append(j.Files, NamedFile{
				Path: f.ofClass, Role: f.role,
				By: fmt.Sprintf("Prometheus %s/%s, scrape class %s, tlsConfig.%s", o.Prometheus.Namespace, o.Prometheus.Name, c.Name, f.name),
			})
		default:
			continue
		}
		j.HasCertificate = j.HasCertificate || f.role == RoleCert
	}
	return j
}

// scrapeClass is the class of that name, else the default one, if there is any.
func scrapeClass(o Observation, name *string) *monitoringv1.ScrapeClass {
	if o.Prometheus == nil {
		return nil
	}
	classes := o.Prometheus.Spec.ScrapeClasses
	if name != nil {
		if i := slices.IndexFunc(classes, func(c monitoringv1.ScrapeClass) bool { return c.Name == *name }); i >= 0 {
			return &classes[i]
		}
	}
	if i := slices.IndexFunc(classes, func(c monitoringv1.ScrapeClass) bool { return c.Default != nil && *c.Default }); i >= 0 {
		return &classes[i]
	}
	return nil
}

// UsedFiles are the files that the selected monitors make Prometheus read, by
// path, in the order in which they are named; By lists everybody who names one.
func UsedFiles(o Observation) []NamedFile {
	var files []NamedFile
	for _, m := range Monitors(o) {
		if !m.Selected {
			continue
		}
		for _, j := range m.Jobs {
			for _, f := range j.Files {
				i := slices.IndexFunc(files, func(x NamedFile) bool { return x.Path == f.Path && x.Role == f.Role })
				switch {
				case i < 0:
					files = append(files, f)
				case !strings.Contains(files[i].By, f.By):
					files[i].By += " and " + f.By
				}
			}
		}
	}
	return files
}

// SelectedMonitors are the ServiceMonitors that the Prometheus selects.
func SelectedMonitors(o Observation) []*monitoringv1.ServiceMonitor {
	var selected []*monitoringv1.ServiceMonitor
	for _, m := range Monitors(o) {
		if m.Selected && m.service != nil {
			selected = append(selected, m.service)
		}
	}
	return selected
}

// CertificateFiles are the client certificate and the roots that the first job
// with any reads, as paths in the Prometheus container.
func CertificateFiles(o Observation) (chain, roots string) {
	for _, m := range Monitors(o) {
		for _, j := range m.Jobs {
			if m.Selected && j.File(RoleCert) != "" {
				return j.File(RoleCert), j.File(RoleCA)
			}
		}
	}
	return "", ""
}
