package diagnosis

import (
	"slices"
	"strings"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"
)

// answer is whether a rule matches: where a field is not worked out, maybe.
type answer int

const (
	no answer = iota
	maybe
	yes
)

// and is yes if all are, no if one is.
func and(answers ...answer) answer {
	return slices.Min(append(answers, yes))
}

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

// question is a scrape as authorization sees it.
type question struct {
	principal          string // without the scheme, empty without mTLS
	namespace, account string
	port, path         string
	http               bool
	domains            []string
}

// matches reports whether any rule of a policy matches. On a TCP port a rule with
// HTTP fields is dropped from ALLOW, and loses those fields in DENY.
func (r question) matches(p *securityv1.AuthorizationPolicy) answer {
	deny := p.Spec.GetAction().String() == "DENY"
	best := no
	for _, rule := range p.Spec.GetRules() {
		from, to, when := yes, yes, yes
		if len(rule.GetFrom()) > 0 {
			from = no
			for _, x := range rule.GetFrom() {
				s := x.GetSource()
				one := and(
					r.oneOf(s.GetPrincipals(), r.isPrincipal), not(s.GetNotPrincipals(), r.isPrincipal),
					r.oneOf(s.GetNamespaces(), r.isNamespace), not(s.GetNotNamespaces(), r.isNamespace),
					r.oneOf(s.GetServiceAccounts(), r.isAccount(p.Namespace)), not(s.GetNotServiceAccounts(), r.isAccount(p.Namespace)),
					r.oneOf(s.GetRequestPrincipals(), func(string) bool { return false }), // Prometheus sends no token
					unknown(s.GetIpBlocks(), s.GetNotIpBlocks(), s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks()),
				)
				from = max(from, one)
			}
		}
		if len(rule.GetTo()) > 0 {
			to = no
			for _, x := range rule.GetTo() {
				o := x.GetOperation()
				port := and(r.oneOf(o.GetPorts(), r.equals(r.port)), not(o.GetNotPorts(), r.equals(r.port)))
				http := and(
					r.oneOf(o.GetPaths(), r.equals(r.path)), not(o.GetNotPaths(), r.equals(r.path)),
					r.oneOf(o.GetMethods(), r.equals("GET")), not(o.GetNotMethods(), r.equals("GET")),
					unknown(o.GetHosts(), o.GetNotHosts()),
				)
				hasHTTP := len(o.GetPaths())+len(o.GetNotPaths())+len(o.GetMethods())+len(o.GetNotMethods())+len(o.GetHosts())+len(o.GetNotHosts()) > 0
				if !r.http && hasHTTP {
					http = is(deny)
				}
				to = max(to, and(port, http))
			}
		}
		for _, c := range rule.GetWhen() {
			one := maybe
			if c.GetKey() == "source.principal" {
				one = and(r.oneOf(c.GetValues(), r.isPrincipal), not(c.GetNotValues(), r.isPrincipal))
			}
			if !r.http && strings.HasPrefix(c.GetKey(), "request.") {
				one = is(deny)
			}
			when = and(when, one)
		}
		best = max(best, and(from, to, when))
	}
	return best
}

// oneOf is yes where nothing is asked for, or one of the values matches.
func (r question) oneOf(values []string, matches func(string) bool) answer {
	return is(len(values) == 0 || slices.ContainsFunc(values, matches))
}

func not(values []string, matches func(string) bool) answer {
	return is(!slices.ContainsFunc(values, matches))
}

// unknown is maybe if any of the fields is used.
func unknown(fields ...[]string) answer {
	for _, f := range fields {
		if len(f) > 0 {
			return maybe
		}
	}
	return yes
}

func (r question) equals(value string) func(string) bool {
	return func(pattern string) bool { return wildcard(pattern, value) }
}

// isPrincipal compares as Istio does, for which the mesh's own trust domain goes
// by several names.
func (r question) isPrincipal(pattern string) bool {
	if r.principal == "" {
		return false
	}
	if wildcard(pattern, r.principal) {
		return true
	}
	domain, rest, ok := strings.Cut(pattern, "/")
	_, own, _ := strings.Cut(r.principal, "/")
	return ok && rest != "" && slices.Contains(r.domains, domain) && wildcard(rest, own)
}

func (r question) isNamespace(pattern string) bool {
	return r.principal != "" && wildcard(pattern, r.namespace)
}

func (r question) isAccount(policyNamespace string) func(string) bool {
	return func(pattern string) bool {
		if !strings.Contains(pattern, "/") {
			pattern = policyNamespace + "/" + pattern
		}
		return r.principal != "" && wildcard(pattern, r.namespace+"/"+r.account)
	}
}

// wildcard matches exactly, by a star at either end, or anything by a star alone.
func wildcard(pattern, value string) bool {
	switch {
	case pattern == "*":
		return value != ""
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(value, strings.TrimSuffix(pattern, "*"))
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(value, strings.TrimPrefix(pattern, "*"))
	}
	return pattern == value
}
