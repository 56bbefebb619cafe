package conformance

import (
	"testing"

	"github.com/stretchr/testify/require"
	securityv1beta1 "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func workloads(labels map[string]string) *typev1beta1.WorkloadSelector {
	return &typev1beta1.WorkloadSelector{MatchLabels: labels}
}

// refusals are the cases that every refusal check has, for its kind of probe.
func refusals(kind string, silence func(p *observe.Proxy)) []spoilt {
	attempt := func(a observe.Attempt) func(*observe.Observation) {
		return func(o *observe.Observation) { probeFor(o, kind).Attempts[0] = a }
	}
	return append(targetsOpen(), []spoilt{
		{"an answer fails and says which mode let it through", func(o *observe.Observation) {
			attempt(observe.Attempt{Answered: true, Code: 200})(o)
			o.PeerAuthentications = nil
		}, reports.Fail, "with HTTP 200 at https://"},
		{"the mode is named with the object that it comes from", func(o *observe.Observation) {
			attempt(observe.Attempt{Answered: true, Code: 200})(o)
			o.PeerAuthentications = append(o.PeerAuthentications, policy("default", "soft", map[string]string{"app": "productpage"}, securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE))
		}, reports.Fail, "the effective mTLS mode of its port 9080 is PERMISSIVE, from PeerAuthentication default/soft"},
		{"a twin that failed as well fails", func(o *observe.Observation) { replica(o).Up[0].Points[0].Value = 0 }, reports.Fail, "the scrape of prometheus-default-0 with its certificate failed as well"},
		{"no twin is inconclusive", func(o *observe.Observation) { replica(o).Up = nil }, reports.Inconclusive, "has no twin that succeeded"},
		{"a proxy that does not give the reason is inconclusive", func(o *observe.Observation) { silence(&o.Proxies[0]) }, reports.Inconclusive, "gives the reason for 0 only"},
		{"a proxy that was not asked is inconclusive", func(o *observe.Observation) { o.Proxies = nil }, reports.Inconclusive, "was not asked why it refused"},
		{"another error than a refusal is inconclusive", attempt(observe.Attempt{Error: "i/o timeout"}), reports.Inconclusive, `not as one who refuses: "i/o timeout"`},
		{"a request that was not sent is inconclusive", attempt(observe.Attempt{NotSent: true, Error: "forbidden"}), reports.Inconclusive, "could not ask"},
		{"a probe without a try is inconclusive", func(o *observe.Observation) { probeFor(o, kind).Attempts = nil }, reports.Inconclusive, "nobody asked"},
		{"no probe is inconclusive", func(o *observe.Observation) { o.Probes = nil }, reports.Inconclusive, "nobody asked"},
		{"no target over TLS is inconclusive", func(o *observe.Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].Scheme = nil
		}, reports.Inconclusive, "nothing to refuse anybody at"},
	}...)
}

func TestPlaintextRefused(t *testing.T) {
	examine(t, plaintextRefused, refusals(observe.PlainText, func(p *observe.Proxy) { p.Requests = nil }))
}

func TestNoCertificateRefused(t *testing.T) {
	examine(t, noCertificateRefused, refusals(observe.NoCertificate, func(p *observe.Proxy) { p.After = p.Before }))
}

func TestForeignCertificateRefused(t *testing.T) {
	examine(t, foreignCertificateRefused, append(refusals(observe.ForeignCertificate, func(p *observe.Proxy) { p.After = p.Before }),
		spoilt{"a proxy that was restarted meanwhile is inconclusive", func(o *observe.Observation) {
			o.Proxies[0].Before["fail_verify_error"] = 100
		}, reports.Inconclusive, "gives the reason for 0 only"}))
}

const prometheusPrincipal = "cluster.local/ns/default/sa/prometheus-full-access"

// onlyPrometheus adds a policy that admits nobody else, and what comes of it.
func onlyPrometheus(o *observe.Observation) {
	p := &securityv1.AuthorizationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "metrics"}}
	p.Spec.Selector = workloads(map[string]string{"app": "productpage"})
	p.Spec.Rules = []*securityv1beta1.Rule{{From: []*securityv1beta1.Rule_From{{Source: &securityv1beta1.Source{Principals: []string{prometheusPrincipal}}}}}}
	o.AuthorizationPolicies = append(o.AuthorizationPolicies, p)
	for _, e := range overTLS(observe.ExpectedTargets(*o)) {
		o.Probes = append(o.Probes, observe.Probe{Kind: observe.OtherIdentity, Pod: podName(e), Port: e.Port, Path: e.Path, Attempts: repeat(2, observe.Attempt{Answered: true, Code: 403})})
		proxy := proxyFor(o, e)
		for range 2 {
			proxy.Requests = append(proxy.Requests, observe.Request{At: o.At, TLS: "TLSv1.3", Peer: "spiffe://cluster.local/ns/default/sa/probe", Path: e.Path, Code: 403, Details: "rbac_access_denied_matched_policy[none]"})
		}
	}
}

func TestIdentityAuthorized(t *testing.T) {
	r := identityAuthorized.Judge(good(t))
	require.Equal(t, reports.Skip, r.Verdict, r.Reason)
	require.Contains(t, r.Reason, "no AuthorizationPolicy admits nobody but Prometheus (spiffe://"+prometheusPrincipal+")")
	with := func(change func(o *observe.Observation)) func(o *observe.Observation) {
		return func(o *observe.Observation) {
			onlyPrometheus(o)
			change(o)
		}
	}
	examineCases(t, identityAuthorized, good, append(targetsOpen(), []spoilt{
		{"a policy for Prometheus only, with 200 for it and 403 for another, passes", onlyPrometheus, reports.Pass, ""},
		{"another identity that is served fails", with(func(o *observe.Observation) {
			probeFor(o, observe.OtherIdentity).Attempts[1].Code = 200
		}), reports.Fail, "answered another mesh identity with HTTP 200"},
		{"Prometheus that is denied fails, whoever is admitted", func(o *observe.Observation) {
			p := &o.Proxies[0]
			for i := range p.Requests {
				if p.Requests[i].Peer != "" {
					p.Requests[i].Code, p.Requests[i].Details = 403, "rbac_access_denied_matched_policy[none]"
				}
			}
		}, reports.Fail, "denied spiffe://" + prometheusPrincipal},
		{"a policy that admits somebody else as well is not for this check", with(func(o *observe.Observation) {
			rule := o.AuthorizationPolicies[0].Spec.Rules[0]
			rule.From[0].Source.Principals = append(rule.From[0].Source.Principals, "cluster.local/ns/default/sa/other")
		}), reports.Skip, "admits nobody but Prometheus"},
		{"another identity that was not tried is inconclusive", with(func(o *observe.Observation) {
			var kept []observe.Probe
			for _, p := range o.Probes {
				if p.Kind != observe.OtherIdentity {
					kept = append(kept, p)
				}
			}
			o.Probes = kept
		}), reports.Inconclusive, "with another certificate of the mesh"},
		{"a denial that the proxy did not log is inconclusive", with(func(o *observe.Observation) {
			p := &o.Proxies[0]
			p.Requests = p.Requests[:len(p.Requests)-1]
		}), reports.Inconclusive, "its proxy logged 1"},
		{"a connection that is closed is inconclusive", with(func(o *observe.Observation) {
			probeFor(o, observe.OtherIdentity).Attempts = repeat(2, observe.Attempt{Error: "EOF"})
		}), reports.Inconclusive, `did not answer another mesh identity at all: "EOF"`},
		{"a Prometheus that nobody saw served is inconclusive", with(func(o *observe.Observation) { o.Proxies[0].Requests = nil }), reports.Inconclusive, "answered with 200"},
		{"policies that could not be read are inconclusive", couldNotRead("authorization policies"), reports.Inconclusive, "could not be read"},
	}...))
}

func TestIdentityAuthorizedWhileAPolicyIsThereForAMoment(t *testing.T) {
	admission := func(o *observe.Observation) *observe.Admission { return o.Admission }
	examineFrom(t, identityAuthorized, whole, []spoilt{
		{"another identity that is served fails", func(o *observe.Observation) {
			admission(o).Probes[0].Attempts[0].Code = 200
		}, reports.Fail, "answered another mesh identity with HTTP 200"},
		{"Prometheus that is denied fails", func(o *observe.Observation) {
			for i := range admission(o).Traffic[0].Requests {
				if q := &admission(o).Traffic[0].Requests[i]; q.Code == 200 {
					q.Code, q.Details = 403, "rbac_access_denied_matched_policy[none]"
				}
			}
		}, reports.Fail, "denied spiffe://" + prometheusPrincipal},
		{"a policy that came to nothing is inconclusive", func(o *observe.Observation) {
			admission(o).Error = "there was nobody to ask"
		}, reports.Inconclusive, "while a policy admitted only Prometheus, there was nobody to ask"},
		{"a target that nobody asked is inconclusive", func(o *observe.Observation) {
			admission(o).Probes = admission(o).Probes[1:]
		}, reports.Inconclusive, "with another certificate of the mesh"},
	})
}

func TestSideDoorsKnown(t *testing.T) {
	examineSome(t, sideDoorsKnown, append(targetsOpen(), sideDoorDoubts()...))
	o := good(t)
	r := sideDoorsKnown.Judge(o)
	require.Equal(t, reports.Pass, r.Verdict, r.Reason)
	text := ""
	for _, e := range r.Evidence {
		text += e.Text + "\n"
	}
	require.Contains(t, text, "by plain HTTP, without mTLS")
	for _, port := range []string{"15020", "15090", "9090"} {
		require.Contains(t, text, "port "+port)
	}
}

func TestStrictSideDoors(t *testing.T) {
	require.True(t, strictSideDoors.Optional)
	closed := func(o *observe.Observation) {
		for i := range o.Probes {
			if o.Probes[i].Kind == observe.SideDoor {
				o.Probes[i].Attempts = []observe.Attempt{{Answered: true, Code: 403}, {Error: "connection refused"}}
			}
		}
	}
	examineCases(t, strictSideDoors, good, append(targetsOpen(), append(sideDoorDoubts(), []spoilt{
		{"the guide's set-up does not hold it", func(*observe.Observation) {}, reports.Fail, "bytes by plain HTTP, without mTLS"},
		{"closed doors pass", closed, reports.Pass, ""},
	}...)...))
}

func sideDoorDoubts() []spoilt {
	shut := func(o *observe.Observation) {
		for i := range o.Probes {
			o.Probes[i].Attempts = []observe.Attempt{{Error: "connection refused"}}
		}
	}
	return []spoilt{
		{"a door that nobody tried is inconclusive", func(o *observe.Observation) {
			shut(o)
			var kept []observe.Probe
			for _, p := range o.Probes {
				if p.Port != "9090" {
					kept = append(kept, p)
				}
			}
			o.Probes = kept
		}, reports.Inconclusive, "nobody tried port 9090 of default/prometheus-default-0"},
		{"a door that could not be tried is inconclusive", func(o *observe.Observation) {
			shut(o)
			probeFor(o, observe.SideDoor).Attempts[0] = observe.Attempt{NotSent: true, Error: "forbidden"}
		}, reports.Inconclusive, "could not try port"},
	}
}

// examineSome is for the one check that cannot fail: it reports.
func examineSome(t *testing.T, c Check, cases []spoilt) {
	for _, s := range cases {
		t.Run(s.name, func(t *testing.T) {
			o := good(t)
			s.change(&o)
			r := c.Judge(o)
			require.Equal(t, s.verdict, r.Verdict, r.Reason)
			require.Contains(t, r.Reason, s.says)
		})
	}
	t.Run("a missing replica fails", func(t *testing.T) {
		o := good(t)
		o.Replicas = o.Replicas[1:]
		require.Equal(t, reports.Fail, c.Judge(o).Verdict)
	})
}
