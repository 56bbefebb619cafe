package observe

import (
	"cmp"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/e2e-framework/klient"
)

// clientFor is the client of the cluster that has the objects of a list.
func (p *pass) clientFor(list runtime.Object) klient.Client {
	if p.mesh == nil {
		return p.client
	}
	kinds, _, err := p.client.Resources().GetScheme().ObjectKinds(list)
	if err == nil && strings.HasSuffix(kinds[0].Group, istioGroups) {
		return p.mesh
	}
	return p.client
}

// getConfigMap reads a ConfigMap that Istio writes, here or, where it is not here, in the
// cluster of the mesh's control plane.
func (p *pass) getConfigMap(ctx context.Context, namespace, name string, into *corev1.ConfigMap) error {
	err := p.client.Resources(namespace).Get(ctx, name, namespace, into)
	if p.mesh != nil && apierrors.IsNotFound(err) {
		return p.mesh.Resources(namespace).Get(ctx, name, namespace, into)
	}
	return err
}

// trustDomainVariable is how the injector tells a sidecar the trust domain of its mesh:
// istio, manifests/charts/istio-control/istio-discovery/files/injection-template.yaml.
const trustDomainVariable = "TRUST_DOMAIN"

// sidecarTrustDomain is what the replicas' own sidecars were told; empty if none says.
func sidecarTrustDomain(o Observation) string {
	for _, pod := range Replicas(o) {
		for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			for _, e := range c.Env {
				if c.Name == proxyContainer && e.Name == trustDomainVariable && e.Value != "" {
					return e.Value
				}
			}
		}
	}
	return ""
}

// readTrustDomain takes the trust domain from the replicas' sidecars where the mesh does
// not say it. Without exec, nothing else tells the report.
func (p *pass) readTrustDomain(unread bool) {
	told := sidecarTrustDomain(p.o)
	if unread && told != "" {
		p.o.Mesh.TrustDomain = told
	}
	if p.o.Attached != nil {
		p.o.TrustDomain = cmp.Or(p.o.TrustDomain, told)
	}
}
