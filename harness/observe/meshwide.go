package observe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"istio.io/api/annotation"
	"istio.io/api/label"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
	"sigs.k8s.io/yaml"
)

// rootNamespace is where Istio's control plane and its configuration are unless
// an installation moved them.
const rootNamespace = "istio-system"

// readMesh reads what holds for the mesh as a whole, and what Prometheus' service
// account may see of the cluster.
func (p *pass) readMesh(ctx context.Context) {
	var config, root corev1.ConfigMap
	var hooks admissionv1.MutatingWebhookConfigurationList
	reads := []func(context.Context){
		p.list("injection webhooks", &hooks, resources.WithLabelSelector("app=sidecar-injector")),
		func(ctx context.Context) {
			namespace, name := p.meshConfig()
			p.unread("the mesh configuration", p.getConfigMap(ctx, namespace, name, &config))
		},
		func(ctx context.Context) {
			p.unread("the mesh's roots", p.getConfigMap(ctx, p.namespace, "istio-ca-root-cert", &root))
		},
	}
	each(ctx, append(reads, p.accessReads()...)...)
	p.unread("the mesh configuration", p.o.Mesh.parse(config.Data["mesh"]))
	p.readTrustDomain(config.Data["mesh"] == "")
	if pem := root.Data["root-cert.pem"]; pem != "" {
		roots, err := parsePEM([]byte(pem))
		p.unread("the mesh's roots", err)
		p.o.Mesh.Roots = fingerprints(roots)
	}
	for _, h := range hooks.Items {
		for _, w := range h.Webhooks {
			p.o.Mesh.Injectors = append(p.o.Mesh.Injectors, injector(h, w))
		}
	}
	slices.SortFunc(p.o.Mesh.Injectors, func(a, b Injector) int {
		return strings.Compare(a.Configuration+a.Name, b.Configuration+b.Name)
	})
	slices.SortFunc(p.o.Mesh.ControlPlanes, func(a, b ControlPlane) int { return strings.Compare(a.Name, b.Name) })
}

// meshConfig is the ConfigMap of the revision that Prometheus' own sidecar is of, else
// of that of the first control plane; "default" has none in its name. It is where the
// control plane is.
func (p *pass) meshConfig() (namespace, name string) {
	planes := p.o.Mesh.ControlPlanes
	revision := revisionOf(p.seen())
	if i := slices.IndexFunc(planes, func(c ControlPlane) bool { return c.Revision == revision }); revision != "" && i > 0 {
		planes = planes[i:]
	}
	namespace, name = rootNamespace, "istio"
	if len(planes) > 0 {
		namespace, _, _ = strings.Cut(planes[0].Name, "/")
		revision = cmp.Or(revision, planes[0].Revision)
	}
	if revision != "" && revision != "default" {
		name += "-" + revision
	}
	return namespace, name
}

// revisionOf is that of the mesh whose sidecar Prometheus has; empty if none says.
func revisionOf(o Observation) string {
	for _, r := range Replicas(o) {
		var status struct {
			Revision string `json:"revision"`
		}
		if json.Unmarshal([]byte(r.Annotations[annotation.SidecarStatus.Name]), &status) == nil && status.Revision != "" {
			return status.Revision
		}
	}
	return ""
}

// parse reads the mesh configuration, a YAML text of Istio's own.
func (m *Mesh) parse(text string) error {
	m.RootNamespace, m.TrustDomain, m.MetricsMerging = rootNamespace, "cluster.local", true
	var config struct {
		RootNamespace         string   `json:"rootNamespace"`
		TrustDomain           string   `json:"trustDomain"`
		TrustDomainAliases    []string `json:"trustDomainAliases"`
		EnablePrometheusMerge *bool    `json:"enablePrometheusMerge"`
		DefaultConfig         struct {
			ProxyMetadata                  map[string]string `json:"proxyMetadata"`
			HoldApplicationUntilProxyStart bool              `json:"holdApplicationUntilProxyStarts"`
		} `json:"defaultConfig"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return fmt.Errorf("it is not what Istio writes: %w", err)
	}
	if config.RootNamespace != "" {
		m.RootNamespace = config.RootNamespace
	}
	if config.TrustDomain != "" {
		m.TrustDomain = config.TrustDomain
	}
	if config.EnablePrometheusMerge != nil {
		m.MetricsMerging = *config.EnablePrometheusMerge
	}
	m.TrustDomainAliases = config.TrustDomainAliases
	m.ProxyMetadata = config.DefaultConfig.ProxyMetadata
	m.HoldApplication = config.DefaultConfig.HoldApplicationUntilProxyStart
	return nil
}

func injector(h admissionv1.MutatingWebhookConfiguration, w admissionv1.MutatingWebhook) Injector {
	i := Injector{
		Configuration: h.Name, Name: w.Name, Revision: h.Labels[label.IoIstioRev.Name],
		HasCA: len(w.ClientConfig.CABundle) > 0, NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector,
	}
	if s := w.ClientConfig.Service; s != nil {
		i.Service = s.Namespace + "/" + s.Name
	}
	if w.FailurePolicy != nil {
		i.FailurePolicy = string(*w.FailurePolicy)
	}
	return i
}

// certificateVariables are the settings of istiod that bear on certificates.
var certificateVariables = regexp.MustCompile(`CERT|ROOT|CITADEL|CA_|PILOT_ENABLE`)

func controlPlane(d appsv1.Deployment) ControlPlane {
	c := ControlPlane{Name: d.Namespace + "/" + d.Name, Revision: d.Labels[label.IoIstioRev.Name], Version: imageTag(d), Ready: d.Status.ReadyReplicas}
	if d.Spec.Replicas != nil {
		c.Replicas = *d.Spec.Replicas
	}
	for _, container := range d.Spec.Template.Spec.Containers {
		for _, e := range container.Env {
			if e.Value != "" && certificateVariables.MatchString(e.Name) {
				if c.Variables == nil {
					c.Variables = map[string]string{}
				}
				c.Variables[e.Name] = e.Value
			}
		}
	}
	return c
}
