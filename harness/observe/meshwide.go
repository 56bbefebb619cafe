package observe

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

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
			p.unread("the mesh configuration", p.client.Resources(rootNamespace).Get(ctx, p.meshConfigName(), rootNamespace, &config))
		},
		func(ctx context.Context) {
			p.unread("the mesh's roots", p.client.Resources(p.namespace).Get(ctx, "istio-ca-root-cert", p.namespace, &root))
		},
	}
	each(ctx, append(reads, p.accessReads()...)...)
	p.unread("the mesh configuration", p.o.Mesh.parse(config.Data["mesh"]))
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

// meshConfigName is the ConfigMap of the revision that the first control plane
// belongs to; "default" has none in its name.
func (p *pass) meshConfigName() string {
	for _, c := range p.o.Mesh.ControlPlanes {
		if c.Revision != "" && c.Revision != "default" {
			return "istio-" + c.Revision
		}
	}
	return "istio"
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
		Configuration: h.Name, Name: w.Name, Revision: h.Labels["istio.io/rev"],
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
	c := ControlPlane{Name: d.Namespace + "/" + d.Name, Revision: d.Labels["istio.io/rev"], Version: imageTag(d), Ready: d.Status.ReadyReplicas}
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
