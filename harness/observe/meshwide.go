package observe

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// accessReads ask the API server what Prometheus' service account may do where
// its monitors look. Nothing is stored by asking.
func (p *pass) accessReads() []func(context.Context) {
	if p.o.Prometheus == nil {
		return nil
	}
	account := p.o.Prometheus.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	namespaces := map[string]bool{}
	for _, m := range SelectedMonitors(p.o) {
		switch {
		case m.Spec.NamespaceSelector.Any:
			namespaces[""] = true
		case len(m.Spec.NamespaceSelector.MatchNames) == 0:
			namespaces[m.Namespace] = true
		default:
			for _, n := range m.Spec.NamespaceSelector.MatchNames {
				namespaces[n] = true
			}
		}
	}
	var reads []func(context.Context)
	for _, n := range slices.Sorted(maps.Keys(namespaces)) {
		for _, r := range [][2]string{{"", "services"}, {"", "pods"}, p.endpoints()} {
			reads = append(reads, func(ctx context.Context) { p.readAccess(ctx, account, n, r[0], r[1]) })
		}
	}
	return reads
}

// endpoints is the resource that the Prometheus discovers by, with its group.
func (p *pass) endpoints() [2]string {
	if r := p.o.Prometheus.Spec.ServiceDiscoveryRole; r != nil && *r == monitoringv1.EndpointSliceRole {
		return [2]string{"discovery.k8s.io", "endpointslices"}
	}
	return [2]string{"", "endpoints"}
}

func (p *pass) readAccess(ctx context.Context, account, namespace, group, resource string) {
	review, err := p.kubernetes.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: fmt.Sprintf("system:serviceaccount:%s:%s", p.namespace, account),
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: "list", Group: group, Resource: resource,
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		p.unread("what Prometheus may read", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.Access = append(p.o.Access, Access{Namespace: namespace, Resource: resource, Allowed: review.Status.Allowed, Reason: review.Status.Reason})
}
