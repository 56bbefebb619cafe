package observe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	securityv1beta1 "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type (
	rule   = securityv1beta1.Rule
	source = securityv1beta1.Source
	where  = securityv1beta1.Operation
)

func from(sources ...*source) *rule {
	r := &rule{}
	for _, s := range sources {
		r.From = append(r.From, &securityv1beta1.Rule_From{Source: s})
	}
	return r
}

func to(r *rule, operations ...*where) *rule {
	for _, o := range operations {
		r.To = append(r.To, &securityv1beta1.Rule_To{Operation: o})
	}
	return r
}

func allow(rules ...*rule) *securityv1.AuthorizationPolicy {
	p := &securityv1.AuthorizationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "p"}}
	p.Spec.Rules = rules
	return p
}

func TestAPolicyAdmitsOnlyOneIdentityIfNoRuleMayAdmitAnother(t *testing.T) {
	me, other := []string{"cluster.local/ns/mon/sa/prom"}, []string{"cluster.local/ns/apps/sa/app"}
	deny := allow(from(&source{Principals: other}))
	deny.Spec.Action = securityv1beta1.AuthorizationPolicy_DENY
	trial := allow(from(&source{Principals: other}))
	trial.Annotations = map[string]string{"istio.io/dry-run": "true"}
	elsewhere := allow(from(&source{Principals: other}))
	elsewhere.Spec.Selector = &typev1beta1.WorkloadSelector{MatchLabels: map[string]string{"app": "b"}}
	gateway := allow(from(&source{Principals: other}))
	gateway.Spec.TargetRefs = []*typev1beta1.PolicyTargetReference{{Kind: "Gateway", Name: "g"}}
	mesh := allow(from(&source{Principals: other}))
	mesh.Namespace = "istio-system"
	type policies = []*securityv1.AuthorizationPolicy
	mine := allow(from(&source{Principals: me}))
	for name, c := range map[string]struct {
		policies policies
		only     bool
	}{
		"no policy":                             {nil, false},
		"a policy that admits nobody":           {policies{allow()}, false},
		"a principal":                           {policies{mine}, true},
		"a service account":                     {policies{allow(from(&source{ServiceAccounts: []string{"mon/prom"}}))}, true},
		"a service account without a namespace": {policies{allow(from(&source{ServiceAccounts: []string{"prom"}}))}, false}, // that of the policy's
		"another trust domain of the mesh":      {policies{allow(from(&source{Principals: []string{"old.example/ns/mon/sa/prom"}}))}, true},
		"a foreign trust domain":                {policies{allow(from(&source{Principals: []string{"foreign/ns/mon/sa/prom"}}))}, false},
		"a pattern":                             {policies{allow(from(&source{Principals: []string{"*"}}))}, false},
		"two principals":                        {policies{allow(from(&source{Principals: append(me, other...)}))}, false},
		"two sources":                           {policies{allow(from(&source{Principals: me}, &source{Principals: other}))}, false},
		"a whole namespace":                     {policies{allow(from(&source{Namespaces: []string{"mon"}}))}, false},
		"everybody but one":                     {policies{allow(from(&source{NotPrincipals: other}))}, false},
		"an empty source":                       {policies{allow(from(nil))}, false},
		"a rule without sources":                {policies{allow(&rule{})}, false},
		"a rule for another path beside it":     {policies{mine, allow(to(from(&source{Principals: other}), &where{Paths: []string{"/api/*", "*.html"}}))}, true},
		"a rule for another port beside it":     {policies{mine, allow(to(from(&source{Principals: other}), &where{Ports: []string{"80"}}))}, true},
		"a rule for another method beside it":   {policies{mine, allow(to(from(&source{Principals: other}), &where{Methods: []string{"POST"}}))}, true},
		"a rule that leaves the path out":       {policies{mine, allow(to(from(&source{Principals: other}), &where{NotPaths: []string{"/metrics"}}))}, true},
		"a rule for this path by a prefix":      {policies{mine, allow(to(from(&source{Principals: other}), &where{Paths: []string{"/met*"}}))}, false},
		"a rule for this path by a suffix":      {policies{mine, allow(to(from(&source{Principals: other}), &where{Paths: []string{"*rics"}}))}, false},
		"a rule for any path":                   {policies{mine, allow(to(from(&source{Principals: other}), &where{Paths: []string{"*"}}))}, false},
		"a rule by a template":                  {policies{mine, allow(to(from(&source{Principals: other}), &where{Paths: []string{"/{*}"}}))}, false},
		"one of several operations":             {policies{mine, allow(to(from(&source{Principals: other}), &where{Ports: []string{"80"}}, &where{Ports: []string{"9080"}}))}, false},
		"its own rule for another path":         {policies{allow(to(from(&source{Principals: me}), &where{Paths: []string{"/other"}}))}, false},
		"a policy that denies others":           {policies{mine, deny}, true},
		"one on trial":                          {policies{mine, trial}, true},
		"one for another workload":              {policies{mine, elsewhere}, true},
		"one for a gateway":                     {policies{mine, gateway}, true},
		"one of the mesh that admits another":   {policies{mine, mesh}, false},
		"an empty entry":                        {policies{nil, mine}, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := Observation{AuthorizationPolicies: c.policies, Mesh: Mesh{TrustDomain: "example.org", TrustDomainAliases: []string{"old.example"}}}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Labels: map[string]string{"app": "a"}}}
			_, only := AdmitsOnly(o, pod, "9080", "/metrics", "spiffe://example.org/ns/mon/sa/prom")
			assert.Equal(t, c.only, only)
		})
	}
	_, only := AdmitsOnly(Observation{AuthorizationPolicies: policies{mine}}, nil, "9080", "/metrics", "spiffe://example.org/ns/mon/sa/prom")
	assert.False(t, only, "of no pod nothing is known")
}
