package observe

import (
	"slices"
	"strings"

	"istio.io/api/annotation"
	securityv1beta1 "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// PoliciesFor are the AuthorizationPolicies that hold for a pod: of its own
// namespace and of the root namespace, with a selector that matches or none.
// Those that are attached to a gateway or a Service, and those on trial, do not
// hold for it.
func PoliciesFor(o Observation, pod *corev1.Pod) []*securityv1.AuthorizationPolicy {
	var policies []*securityv1.AuthorizationPolicy
	if pod == nil {
		return nil
	}
	for _, p := range o.AuthorizationPolicies {
		if p == nil || p.Namespace != pod.Namespace && p.Namespace != o.Root() {
			continue
		}
		if p.Spec.GetTargetRef() != nil || len(p.Spec.GetTargetRefs()) > 0 || p.Annotations[annotation.IoIstioDryRun.Name] == "true" {
			continue
		}
		if labels.SelectorFromSet(p.Spec.GetSelector().GetMatchLabels()).Matches(labels.Set(pod.Labels)) {
			policies = append(policies, p)
		}
	}
	return policies
}

// policyRequest is what an authorization policy decides about.
type policyRequest struct {
	port, path string
}

// AdmitsOnly reports whether the ALLOW policies of a pod, taken together, admit to
// a port and path nobody but the holder of one identity, and which policies those
// are. It errs on the side of no: a rule that may admit somebody else counts as
// one that does.
func AdmitsOnly(o Observation, pod *corev1.Pod, port, path, identity string) (policies []string, only bool) {
	admits := false
	for _, p := range PoliciesFor(o, pod) {
		if p.Spec.GetAction() != securityv1beta1.AuthorizationPolicy_ALLOW {
			continue
		}
		policies = append(policies, p.Namespace+"/"+p.Name)
		for _, r := range p.Spec.GetRules() {
			if !concerns(r, policyRequest{port, path}) {
				continue
			}
			if !onlyFrom(r, o, p.Namespace, identity) {
				return policies, false
			}
			admits = true
		}
	}
	return policies, admits
}

// concerns reports whether a rule may apply to a request. What is not worked out
// may.
func concerns(r *securityv1beta1.Rule, q policyRequest) bool {
	if len(r.GetTo()) == 0 {
		return true
	}
	return slices.ContainsFunc(r.GetTo(), func(t *securityv1beta1.Rule_To) bool {
		op := t.GetOperation()
		return mayMatch(op.GetPorts(), q.port) && mayMatch(op.GetPaths(), q.path) && mayMatch(op.GetMethods(), "GET") &&
			!slices.Contains(op.GetNotPorts(), q.port) && !slices.Contains(op.GetNotPaths(), q.path) && !slices.Contains(op.GetNotMethods(), "GET")
	})
}

// mayMatch matches as Istio does, exactly or by a star at one end. No pattern
// matches all; one with a template in it may match anything.
func mayMatch(patterns []string, value string) bool {
	if len(patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		switch {
		case p == "*" || strings.Contains(p, "{"):
			return true
		case strings.HasSuffix(p, "*"):
			return strings.HasPrefix(value, strings.TrimSuffix(p, "*"))
		case strings.HasPrefix(p, "*"):
			return strings.HasSuffix(value, strings.TrimPrefix(p, "*"))
		}
		return p == value
	})
}

// onlyFrom reports whether every source of a rule is bound to one identity.
func onlyFrom(r *securityv1beta1.Rule, o Observation, namespace, identity string) bool {
	if len(r.GetFrom()) == 0 {
		return false
	}
	return !slices.ContainsFunc(r.GetFrom(), func(f *securityv1beta1.Rule_From) bool {
		s := f.GetSource()
		return !allAre(s.GetPrincipals(), func(p string) bool { return samePrincipal(o, p, identity) }) &&
			!allAre(s.GetServiceAccounts(), func(a string) bool {
				if !strings.Contains(a, "/") {
					a = namespace + "/" + a
				}
				ns, name, _ := strings.Cut(a, "/")
				return strings.HasSuffix(identity, "/ns/"+ns+"/sa/"+name)
			})
	})
}

func allAre(values []string, is func(string) bool) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !is(v) })
}

// samePrincipal compares a principal of a policy with a SPIFFE ID. The mesh's
// other trust domains, and "cluster.local", stand for its own.
func samePrincipal(o Observation, principal, identity string) bool {
	domain, rest, ok := strings.Cut(principal, "/")
	own, ownRest, _ := strings.Cut(strings.TrimPrefix(identity, "spiffe://"), "/")
	return ok && rest == ownRest && (domain == own || domain == "cluster.local" || slices.Contains(o.Mesh.TrustDomainAliases, domain))
}
