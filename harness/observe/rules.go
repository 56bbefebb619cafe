package observe

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/podproxy"
)

// Rule is a permission that a pass over a subject which is not ours needs.
type Rule struct {
	Verb     string
	Group    string // empty for Kubernetes' core
	Resource string // as in "pods" or "pods/proxy"
	Name     string // of the one object; empty for all
	// Gives are the beginnings of what [Unread] calls what is read by it. A check that
	// has one of them in its Reads cannot pass without the rule.
	Gives []string
}

// String names the rule as kubectl auth can-i does.
func (r Rule) String() string {
	resource := r.Resource
	if r.Group != "" {
		resource += "." + r.Group
	}
	if r.Name != "" {
		resource += "/" + r.Name
	}
	return r.Verb + " " + resource
}

// AtTheMesh reports whether what the rule is for is read at the mesh's own API, where that
// is elsewhere: Istio's own kinds. What an installation has written into ConfigMaps is read
// there only if the cluster does not have it.
func (r Rule) AtTheMesh() bool { return strings.HasSuffix(r.Group, istioGroups) }

// istioGroups end the groups of all of Istio's own kinds.
const istioGroups = ".istio.io"

const (
	groupOperator = "monitoring.coreos.com"
	groupSecurity = "security.istio.io"
	groupNetwork  = "networking.istio.io"
)

// Rules lists every permission that a pass needs: manifests/certify/rbac.yaml.
func Rules() []Rule {
	lists := func(group, resource, what string) Rule {
		return Rule{Verb: "list", Group: group, Resource: resource, Gives: []string{what}}
	}
	gets := func(resource, name string, what ...string) Rule {
		return Rule{Verb: "get", Resource: resource, Name: name, Gives: what}
	}
	return []Rule{
		lists("", "namespaces", "namespaces"),
		lists("", "pods", "pods"),
		lists("", "services", "services"),
		lists("", "events", "events"),
		lists("apps", "deployments", "deployments"),
		lists("apps", "statefulsets", "stateful sets"),
		lists("discovery.k8s.io", "endpointslices", "endpoint slices"),
		lists(groupOperator, "prometheuses", "the Prometheus objects"),
		lists(groupOperator, "servicemonitors", "service monitors"),
		lists(groupOperator, "podmonitors", "pod monitors"),
		lists(groupOperator, "probes", "probe objects"),
		lists(groupOperator, "scrapeconfigs", "scrape configs"),
		lists(groupSecurity, "peerauthentications", "peer authentications"),
		lists(groupSecurity, "authorizationpolicies", "authorization policies"),
		lists(groupNetwork, "destinationrules", "destination rules"),
		lists(groupNetwork, "sidecars", "sidecars"),
		lists("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "injection webhooks"),
		gets("configmaps", "istio", "the mesh configuration"),
		gets("configmaps", "istio-ca-root-cert", "the mesh's roots"),
		gets("pods/proxy", "", "the targets of ", "the scrape pools of ", "the own metrics of ", "the configuration of ", "the numbers of samples at ",
			"process start times at ", "the stored scrapes of ", "the stored ends of certificates ", "what the sidecar of "),
		gets("pods/log", "", "the access log of "),
	}
}

// withRule adds to an error which rule is missing, if the API server forbade what was
// to be read.
func withRule(what string, err error) string {
	var refusal *podproxy.Refusal
	forbidden := apierrors.IsForbidden(err) || errors.As(err, &refusal) && refusal.Code == http.StatusForbidden && strings.Contains(err.Error(), "is forbidden")
	if !forbidden {
		return err.Error()
	}
	for _, r := range Rules() {
		if slices.ContainsFunc(r.Gives, func(g string) bool { return strings.HasPrefix(what, g) }) {
			return err.Error() + " (the missing rule: " + r.String() + ")"
		}
	}
	return err.Error()
}
