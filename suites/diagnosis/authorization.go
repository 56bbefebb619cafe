package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// authorizationRules are about AuthorizationPolicies at the target.
var authorizationRules = []Rule{
	{
		Code: "authorization-http-rule-on-tcp-port", Layer: LayerPolicy,
		Title:   "A policy with HTTP rules holds for a port that Istio takes for TCP, where such rules admit nobody",
		Hides:   []string{"authorization-denies-prometheus"},
		Explain: httpRuleOnTCPPort,
	},
	{
		Code: "authorization-denies-prometheus", Layer: LayerPolicy,
		Title:   "An AuthorizationPolicy does not admit Prometheus",
		Explain: authorizationDenies,
	},
}

// verdict is what the policies of a pod make of a scrape.
type verdict struct {
	denied  bool
	known   bool // false if a rule was not worked out
	by      []string
	reason  string
	httpTCP bool // it is HTTP fields on a TCP port that make the difference
}

func (v verdict) policies() string { return strings.Join(v.by, ", ") }

// authorize decides as Istio does: a DENY that matches denies; then, if there is
// any ALLOW, one has to match. CUSTOM is asked elsewhere and not worked out.
func (f *facts) authorize(t *target) verdict {
	r := question{principal: strings.TrimPrefix(f.identity(), "spiffe://"), namespace: f.namespace, account: f.serviceAccount(), port: t.Port, path: t.Path, http: f.isHTTP(t), domains: f.domains()}
	if t.Scheme != "https" {
		r.principal = "" // no mTLS, no identity
	}
	v := verdict{known: true}
	var allow []*securityv1.AuthorizationPolicy
	for _, p := range observe.PoliciesFor(f.o, t.pod) {
		switch p.Spec.GetAction().String() {
		case "DENY":
			switch m := r.matches(p); m {
			case yes:
				return verdict{denied: true, known: true, by: []string{policyName(p)}, reason: "denies"}
			case maybe:
				v.known = false
			}
		case "ALLOW":
			allow = append(allow, p)
		case "CUSTOM":
			v.known = false
		}
	}
	if len(allow) == 0 {
		return v
	}
	asHTTP := r
	asHTTP.http = true
	empty := true
	for _, p := range allow {
		v.by = append(v.by, policyName(p))
		empty = empty && len(p.Spec.GetRules()) == 0
		switch r.matches(p) {
		case yes:
			return verdict{known: v.known}
		case maybe:
			v.known = false
		}
		v.httpTCP = v.httpTCP || !r.http && asHTTP.matches(p) != no
	}
	v.denied, v.reason = v.known, "admits others only"
	if empty {
		v.reason = "has no rule, which admits nobody"
	}
	return v
}

func policyName(p *securityv1.AuthorizationPolicy) string {
	return "AuthorizationPolicy " + p.Namespace + "/" + p.Name
}

// domains are the trust domains that stand for the mesh's own in principals.
func (f *facts) domains() []string {
	return append([]string{f.trustDomain(), "cluster.local"}, f.o.Mesh.TrustDomainAliases...)
}

func httpRuleOnTCPPort(f *facts) []finding {
	var found []finding
	for _, t := range f.meshedTroubled() {
		v := f.authorize(t)
		if !v.denied || !v.httpTCP {
			continue
		}
		c, _ := t.confidence(brokenClasses...)
		found = append(found, t.finding(c, fmt.Sprintf("%s has rules with paths, methods or hosts, and Istio takes port %s of pod %s for TCP (%s), where they admit nobody; %s", v.policies(), t.Port, t.name, f.portNames(t), t.says()),
			f.makeHTTP(t)+"; or "+v.policies()+": remove the HTTP fields from spec.rules"))
	}
	return found
}

func authorizationDenies(f *facts) []finding {
	var found []finding
	principal := strings.TrimPrefix(f.identity(), "spiffe://")
	for _, t := range f.meshedTroubled() {
		v := f.authorize(t)
		logged := f.logged(t, func(r observe.Request) bool {
			return r.Code == 403 && strings.Contains(r.Details, "rbac_access_denied")
		})
		if !v.denied && logged == nil {
			continue
		}
		fits := []Class{DeniedStatus}
		if !f.isHTTP(t) {
			fits = brokenClasses
		}
		c, _ := t.confidence(fits...)
		seen := fmt.Sprintf("%s of pod %s %s; Prometheus is %s; %s", firstOf(v.policies(), "some AuthorizationPolicy"), t.name, firstOf(v.reason, "denies"), principal, t.says())
		if logged != nil {
			seen += "; the target's proxy logs " + logged.Details
			c = reports.Certain
		}
		change := fmt.Sprintf("%s: add to spec.rules one with from.source.principals [%q]", firstOf(v.policies(), "the AuthorizationPolicy that the proxy names"), principal)
		if v.reason == "denies" {
			change = fmt.Sprintf("%s: exempt it, by notPrincipals [%q] in the rule that denies", v.policies(), principal)
		}
		found = append(found, t.finding(c, seen, change))
	}
	return found
}

// meshedTroubled are the targets with a proxy that some replica fails to scrape.
func (f *facts) meshedTroubled() []*target {
	return slices.DeleteFunc(slices.Clone(f.targets), func(t *target) bool {
		return t.pod == nil || proxyOf(t.pod) == nil || !t.troubled()
	})
}

// logged finds a line in the access log of a target's proxy that a scrape left.
func (f *facts) logged(t *target, is func(observe.Request) bool) *observe.Request {
	p := f.proxies[t.name]
	if p == nil {
		return nil
	}
	id := f.identity()
	for i := len(p.Requests) - 1; i >= 0; i-- {
		r := &p.Requests[i]
		scrape := r.Peer == id || strings.HasPrefix(r.Agent, "Prometheus/")
		if scrape && (r.Path == "" || strings.HasPrefix(r.Path, t.Path)) && is(*r) {
			return r
		}
	}
	return nil
}
