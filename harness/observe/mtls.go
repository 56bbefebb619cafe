package observe

import (
	securityv1beta1 "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The modes of mutual TLS that a workload's port can have.
const (
	Strict     = "STRICT"
	Permissive = "PERMISSIVE"
	Disable    = "DISABLE"
)

// MTLS is the mode that holds for a port, and the object that says so.
type MTLS struct {
	Mode string
	From string // as in "PeerAuthentication istio-system/default"
}

// istiosDefault is what decides where no object does.
const istiosDefault = "Istio's default, no PeerAuthentication decides"

// EffectiveMTLS works out the mode of a container port by Istio's precedence: the
// port in the workload's policy, the workload's policy, the namespace's, the
// mesh's, PERMISSIVE. UNSET takes what is above it. Of several policies at one
// level the oldest holds. A policy with a selector in the root namespace selects
// nothing elsewhere, and ports count only in a policy with a selector.
func EffectiveMTLS(o Observation, namespace string, podLabels map[string]string, port uint32) MTLS {
	var mesh, ns, workload *securityv1.PeerAuthentication
	root := o.Root()
	for _, p := range o.PeerAuthentications {
		switch {
		case p == nil || p.Namespace != namespace && p.Namespace != root:
		case len(p.Spec.GetSelector().GetMatchLabels()) > 0:
			selector := labels.SelectorFromSet(p.Spec.GetSelector().GetMatchLabels())
			if p.Namespace != root && selector.Matches(labels.Set(podLabels)) {
				workload = older(workload, p)
			}
		case p.Namespace == root:
			mesh = older(mesh, p)
		default:
			ns = older(ns, p)
		}
	}
	effective := MTLS{Mode: Permissive, From: istiosDefault}
	for _, p := range []*securityv1.PeerAuthentication{mesh, ns, workload} {
		if p != nil {
			effective = effective.overriddenBy(p.Spec.GetMtls(), p, "")
		}
	}
	if workload != nil {
		effective = effective.overriddenBy(workload.Spec.GetPortLevelMtls()[port], workload, ", portLevelMtls")
	}
	return effective
}

func (m MTLS) overriddenBy(t *securityv1beta1.PeerAuthentication_MutualTLS, p *securityv1.PeerAuthentication, field string) MTLS {
	if t.GetMode() == securityv1beta1.PeerAuthentication_MutualTLS_UNSET {
		return m
	}
	return MTLS{Mode: t.GetMode().String(), From: "PeerAuthentication " + p.Namespace + "/" + p.Name + field}
}

// older returns the policy that was made first. Istio settles a draw by name.
func older(a, b *securityv1.PeerAuthentication) *securityv1.PeerAuthentication {
	switch {
	case a == nil:
		return b
	case b.CreationTimestamp.Before(&a.CreationTimestamp):
		return b
	case a.CreationTimestamp.Equal(&b.CreationTimestamp) && b.Name < a.Name:
		return b
	}
	return a
}

// Root is the namespace whose policies hold for the whole mesh.
func (o Observation) Root() string {
	if o.Mesh.RootNamespace != "" {
		return o.Mesh.RootNamespace
	}
	return rootNamespace
}
