package diagnosis

import (
	"testing"

	"github.com/stretchr/testify/assert"
	securityv1beta1 "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
)

// TestRuleMatches is about the scrape of /metrics at port 9080 by
// default/prometheus in the mesh cluster.local.
func TestRuleMatches(t *testing.T) {
	source := func(s *securityv1beta1.Source) *securityv1beta1.Rule {
		return &securityv1beta1.Rule{From: []*securityv1beta1.Rule_From{{Source: s}}}
	}
	operation := func(o *securityv1beta1.Operation) *securityv1beta1.Rule {
		return &securityv1beta1.Rule{To: []*securityv1beta1.Rule_To{{Operation: o}}}
	}
	when := func(key string, values ...string) *securityv1beta1.Rule {
		return &securityv1beta1.Rule{When: []*securityv1beta1.Condition{{Key: key, Values: values}}}
	}
	for _, c := range []struct {
		name      string
		rule      *securityv1beta1.Rule
		allow     answer // on an HTTP port
		allowTCP  answer
		denyTCP   answer
		plainText answer // ALLOW, without an identity
	}{
		{"nothing asked", &securityv1beta1.Rule{}, yes, yes, yes, yes},
		{"own principal", source(&securityv1beta1.Source{Principals: []string{"cluster.local/ns/default/sa/prometheus"}}), yes, yes, yes, no},
		{"an alias of the trust domain", source(&securityv1beta1.Source{Principals: []string{"old.example/ns/default/sa/prometheus"}}), yes, yes, yes, no},
		{"another trust domain", source(&securityv1beta1.Source{Principals: []string{"else.example/ns/default/sa/prometheus"}}), no, no, no, no},
		{"by suffix", source(&securityv1beta1.Source{Principals: []string{"*/sa/prometheus"}}), yes, yes, yes, no},
		{"anybody with an identity", source(&securityv1beta1.Source{Principals: []string{"*"}}), yes, yes, yes, no},
		{"not this principal", source(&securityv1beta1.Source{NotPrincipals: []string{"cluster.local/ns/default/sa/prometheus"}}), no, no, no, yes},
		{"own namespace", source(&securityv1beta1.Source{Namespaces: []string{"default"}}), yes, yes, yes, no},
		{"another namespace", source(&securityv1beta1.Source{Namespaces: []string{"monitoring"}}), no, no, no, no},
		{"service account, of the policy's namespace", source(&securityv1beta1.Source{ServiceAccounts: []string{"prometheus"}}), yes, yes, yes, no},
		{"service account", source(&securityv1beta1.Source{ServiceAccounts: []string{"monitoring/prometheus"}}), no, no, no, no},
		{"a token", source(&securityv1beta1.Source{RequestPrincipals: []string{"*"}}), no, no, no, no},
		{"addresses", source(&securityv1beta1.Source{IpBlocks: []string{"10.0.0.0/8"}}), maybe, maybe, maybe, maybe},
		{"path", operation(&securityv1beta1.Operation{Paths: []string{"/metrics"}, Methods: []string{"GET"}}), yes, no, yes, yes},
		{"another path", operation(&securityv1beta1.Operation{Paths: []string{"/api/*"}}), no, no, yes, no},
		{"port", operation(&securityv1beta1.Operation{Ports: []string{"9080"}}), yes, yes, yes, yes},
		{"another port", operation(&securityv1beta1.Operation{Ports: []string{"8080"}}), no, no, no, no},
		{"when principal", when("source.principal", "cluster.local/ns/default/sa/prometheus"), yes, yes, yes, no},
		{"when header", when("request.headers[x-token]", "1"), maybe, no, yes, maybe},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := question{principal: "cluster.local/ns/default/sa/prometheus", namespace: "default", account: "prometheus", port: "9080", path: "/metrics", http: true, domains: []string{"cluster.local", "old.example"}}
			p := &securityv1.AuthorizationPolicy{}
			p.Namespace = "default"
			p.Spec.Rules = []*securityv1beta1.Rule{c.rule}
			assert.Equal(t, c.allow, q.matches(p), "ALLOW, HTTP")
			q.http = false
			assert.Equal(t, c.allowTCP, q.matches(p), "ALLOW, TCP")
			p.Spec.Action = securityv1beta1.AuthorizationPolicy_DENY
			assert.Equal(t, c.denyTCP, q.matches(p), "DENY, TCP")
			p.Spec.Action = securityv1beta1.AuthorizationPolicy_ALLOW
			q.http, q.principal = true, ""
			assert.Equal(t, c.plainText, q.matches(p), "ALLOW, plain text")
		})
	}
}
