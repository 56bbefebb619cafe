package sandbox

import (
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// Rules lists every permission that a run in a sandbox needs:
// manifests/certify/sandbox-rbac.yaml. They hold for every namespace, since that of the
// run is not there before it; [cluster.Within] keeps the run to its own. What a
// disruption of shared parts takes is not among them.
func Rules() []observe.Rule {
	rules := observe.Rules()
	add := func(group, resource string, verbs ...string) {
		for _, v := range verbs {
			rules = append(rules, observe.Rule{Verb: v, Group: group, Resource: resource})
		}
	}
	const (
		apps     = "apps"
		operator = "monitoring.coreos.com"
		rbac     = "rbac.authorization.k8s.io"
		security = "security.istio.io"
		network  = "networking.istio.io"
	)
	// The namespace, who holds it, and what bounds it.
	add("", "namespaces", "create", "get", "delete")
	add("coordination.k8s.io", "leases", "create", "get", "list", "update")
	add("", "resourcequotas", "create", "get", "list", "patch")
	// What is applied, restarted and looked at.
	add("", "serviceaccounts", "create", "list", "patch")
	add("", "services", "create", "patch")
	add("", "pods", "create", "get", "patch", "delete")
	add(apps, "deployments", "create", "get", "patch")
	add(operator, "prometheuses", "create", "patch")
	add(operator, "servicemonitors", "create", "patch", "delete")
	add(security, "peerauthentications", "create", "patch")
	add(security, "authorizationpolicies", "create", "patch", "delete")
	add(network, "envoyfilters", "create", "list", "patch")
	// Prometheus' own permissions, which nobody can give who has them not.
	add(rbac, "roles", "create", "list", "patch")
	add(rbac, "rolebindings", "create", "list", "patch")
	add("", "services", "get", "watch")
	add("", "endpoints", "get", "list", "watch")
	add("", "pods", "watch")
	add("discovery.k8s.io", "endpointslices", "get", "watch")
	for _, group := range []string{apps, "extensions"} {
		add(group, "deployments", "get", "list", "watch")
		add(group, "replicasets", "get", "list", "watch")
	}
	add("", "configmaps", "get")
	// To ask as those who are refused, and to look at files and sockets.
	add("", "pods/exec", "create", "get")
	add("", "pods/portforward", "create", "get")
	add("authorization.k8s.io", "subjectaccessreviews", "create")
	// To know afterwards that nothing is left.
	add(rbac, "clusterroles", "list")
	add(rbac, "clusterrolebindings", "list")
	return distinct(rules)
}

// distinct leaves one of the rules that say the same. A rule for one object says nothing
// new beside one for all.
func distinct(rules []observe.Rule) []observe.Rule {
	var once []observe.Rule
	for _, r := range rules {
		same := func(x observe.Rule) bool {
			return x.Verb == r.Verb && x.Group == r.Group && x.Resource == r.Resource && (x.Name == "" || x.Name == r.Name)
		}
		if slices.ContainsFunc(once, same) || r.Name != "" && slices.ContainsFunc(rules, func(x observe.Rule) bool { return x.Name == "" && same(x) }) {
			continue
		}
		once = append(once, r)
	}
	return once
}
