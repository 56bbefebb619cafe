package conformance

import (
	"net/http"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// identityAuthorized goes one step beyond "somebody of the mesh": where a policy
// admits nobody but Prometheus, the certificate must be what opens the door, and
// another one of the same mesh must not. Both ends are judged by what the target's
// proxy logged. On a cluster of our own such a policy is applied for a moment;
// elsewhere the check judges the policies that are there.
var identityAuthorized = Check{
	ID:       "identity-authorized",
	Title:    "Where a policy admits only Prometheus, it is served and another mesh identity gets 403",
	Profile:  ProfileRefusal,
	Level:    reports.Extended,
	Disrupts: "an AuthorizationPolicy admits only Prometheus for a few seconds",
	Reads:    reads("authorization policies", "the mesh configuration", "the access log "),
	Assess: func(o *subject, f *finding) {
		expected, _ := expect(o, f)
		if len(expected) == 0 {
			return
		}
		wantReplicas(o, f)
		o = admission(o, f)
		identity := ""
		for _, r := range o.Replicas {
			identity = observe.IdentityOf(o.Observation, replicaPod(o, r))
		}
		if identity == "" {
			f.Unclear("the name that the mesh gives to Prometheus is not known")
			return
		}
		for _, e := range overTLS(expected) {
			if targetPod(o, e) == nil {
				f.Unclear("the pod %s was not seen, so it is open which policies hold for it", podName(e))
				continue
			}
			policies, only := observe.AdmitsOnly(o.Observation, targetPod(o, e), e.Port, e.Path, identity)
			proxy, seen := o.proxy(podName(e))
			served := assessPrometheus(e, proxy, identity, policies, f)
			switch {
			case !only:
			case !seen || served == 0:
				f.Unclear("the proxy of %s logged no scrape by %s that was answered with 200", podName(e), identity)
			default:
				f.Saw(sourceLog, podName(e), "%s was served %d times, and is the only one that %s admits", identity, served, strings.Join(policies, ", "))
				assessOther(o, e, proxy, identity, f)
			}
		}
		f.Skip("no AuthorizationPolicy admits nobody but Prometheus (%s) to the metrics of any target", identity)
	},
}

// admission is the subject as it was while a policy admitted only Prometheus, if
// it was seen then, else as it is.
func admission(o *subject, f *finding) *subject {
	a := o.Admission
	if a == nil {
		return o
	}
	if a.Error != "" {
		f.Unclear("while a policy admitted only Prometheus, %s", a.Error)
	}
	then := o.Observation
	then.AuthorizationPolicies, then.Probes, then.Proxies = a.Policies, a.Probes, nil
	for _, t := range a.Traffic {
		then.Proxies = append(then.Proxies, observe.Proxy{Pod: t.Pod, Requests: t.Requests})
	}
	return &subject{Observation: then}
}

// assessPrometheus counts how often Prometheus was served. That it was denied is a
// failure, whoever else is admitted.
func assessPrometheus(e observe.Expected, proxy observe.Proxy, identity string, policies []string, f *finding) (served int) {
	for _, q := range proxy.Requests {
		switch {
		case q.Peer != identity || q.Path != e.Path:
		case q.Code == http.StatusForbidden:
			f.Fail("the proxy of %s denied %s a scrape at %s (%s): %s", podName(e), identity, q.At.Format(clock), q.Details, allowedBy(policies))
			return served
		case q.Code == http.StatusOK:
			served++
		}
	}
	return served
}

func allowedBy(policies []string) string {
	if len(policies) == 0 {
		return "no AuthorizationPolicy with the action ALLOW selects it, so one with another action denies"
	}
	return "AuthorizationPolicy " + strings.Join(policies, ", ") + " decides who is admitted"
}

// assessOther judges what the target answered to somebody else of the mesh.
func assessOther(o *subject, e observe.Expected, proxy observe.Proxy, identity string, f *finding) {
	probe, ok := o.probe(observe.OtherIdentity, podName(e), e.Port, e.Path)
	if !ok || len(probe.Attempts) == 0 {
		f.Unclear("nobody asked %s for its metrics with another certificate of the mesh", podName(e))
		return
	}
	denied := 0
	for _, a := range probe.Attempts {
		switch {
		case a.NotSent:
			f.Unclear("%s could not ask %s: %s", probe.Via, podName(e), a.Error)
		case !a.Answered:
			f.Unclear("%s did not answer another mesh identity at all: %q; that it was denied for its name is not shown", podName(e), a.Error)
		case a.Code != http.StatusForbidden:
			f.Fail("%s answered another mesh identity with HTTP %d at %s, it must be 403", podName(e), a.Code, e.URL)
			return
		default:
			denied++
		}
	}
	logged := 0
	for _, q := range proxy.Requests {
		if q.Code == http.StatusForbidden && q.Peer != "" && q.Peer != identity && strings.HasPrefix(q.Details, "rbac_access_denied") {
			logged++
		}
	}
	if denied == 0 || logged < denied {
		f.Unclear("%d requests to %s with another mesh identity were denied, its proxy logged %d", denied, podName(e), logged)
		return
	}
	f.Saw(sourceLog, podName(e), "%d requests of another mesh identity were denied with 403 (rbac_access_denied)", logged)
}
