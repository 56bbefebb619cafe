package upgrade

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// stopped is a record that ends with a step which could not be made.
func stopped(t *testing.T, check Check, step string, spoil func(o *observe.Observation)) Record {
	t.Helper()
	r := good(t, check.ID)
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == Name{Forward, step} })
	require.Positive(t, i)
	r.Steps = r.Steps[:i+1]
	last := &r.Steps[i].Observation
	last.Mesh.ControlPlanes = []observe.ControlPlane{{Name: "istio-system/istiod", Version: newer, Ready: 1, Replicas: 1}}
	last.Episodes[0].Error = "applying " + step + ": gave up after 10.3s waiting for every replica of default/productpage-v1 to be ready"
	spoil(last)
	return r
}

// astray is what is seen of webhooks that call a Service which is not there: every check of
// the subject holds, and one pod is less.
func astray(o *observe.Observation) {
	const service = "mtls-scrape-no-such-istiod"
	o.Mesh.Injectors = slices.Clone(o.Mesh.Injectors)
	for i := range o.Mesh.Injectors {
		o.Mesh.Injectors[i].Service = "istio-system/" + service
	}
	target := o.Pods[slices.IndexFunc(o.Pods, func(p corev1.Pod) bool { return p.Labels["app"] == "productpage" })]
	o.Events = append(slices.Clone(o.Events), observe.Event{
		Kind: "ReplicaSet", Namespace: "default", Name: target.OwnerReferences[0].Name, Type: "Warning", Reason: "FailedCreate", Last: o.At,
		Message: `Error creating: Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post "https://` + service + `.istio-system.svc:443/inject?timeout=10s": service "` + service + `" not found`,
	})
}

func TestAStepThatCouldNotBeMadeIsExplained(t *testing.T) {
	for _, check := range []Check{upgradeInPlace, upgradeCanary} {
		result := check.Judge(stopped(t, check, "first-target", astray))
		assert.Equal(t, reports.Fail, result.Verdict)
		assert.Contains(t, result.Reason, "the step forward, first-target could not be carried out")
		require.NotEmpty(t, result.Causes)
		assert.Equal(t, "injector-unreachable", result.Causes[0].Code)
		assert.Contains(t, result.Causes[0].Change, "MutatingWebhookConfiguration istio-sidecar-injector")
	}
	result := upgradeInPlace.Judge(stopped(t, upgradeInPlace, "first-target", func(*observe.Observation) {}))
	assert.Equal(t, reports.Fail, result.Verdict)
	assert.Empty(t, result.Causes, "nothing is made up")
}

// By another root the old half and the new half do not believe each other: the first
// target that is made anew cannot be scraped by an old Prometheus, all others can.
func TestAnotherRootIsNamedFirst(t *testing.T) {
	r := good(t, upgradeCanary.ID)
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == Name{Forward, "first-target"} })
	r.Steps = r.Steps[:i+1]
	s := &r.Steps[i]
	o := &s.Observation
	target := targetsOf(*o)[0]
	o.Proxies, o.Replicas = slices.Clone(o.Proxies), slices.Clone(o.Replicas)
	for n := range o.Proxies {
		if p := &o.Proxies[n]; p.Pod == target {
			p.Certificates = []observe.ProxyCertificate{{Serial: "1", Roots: []string{"another"}}}
		}
	}
	for n := range o.Replicas {
		r := &o.Replicas[n]
		r.Targets = slices.Clone(r.Targets)
		for k := range r.Targets {
			if x := &r.Targets[k]; x.Labels["namespace"]+"/"+x.Labels["pod"] == target {
				x.Health, x.LastError = "down", `Get "`+x.URL+`": remote error: tls: unknown certificate authority`
			}
		}
	}
	s.Checks = judge(s.Step, *o)
	result := upgradeCanary.Judge(r)
	assert.Equal(t, reports.Fail, result.Verdict)
	assert.Contains(t, result.Reason, "after the step forward, first-target: targets-up")
	require.NotEmpty(t, result.Causes)
	assert.Equal(t, "roots-differ", result.Causes[0].Code)
	for _, other := range targetsOf(*o)[1:] {
		assert.NotContains(t, result.Reason, other, "two old proxies get along")
	}
	assert.False(t, goesOn(r, Forward))
	assert.True(t, goesOn(r, Back))
}

func TestAnotherRootIsTheNewerReleasesAlone(t *testing.T) {
	s := planned
	otherRoot(&s, upgradeInPlace.ID)
	assert.Equal(t, []string{"default", "default", ""}, []string{s.to.OwnCA, s.canary().OwnCA, s.from.OwnCA})
	titles := func(s subject) (all []string) {
		for _, m := range s.inPlace() {
			all = append(all, m.change.Title)
		}
		return all
	}
	assert.Contains(t, titles(s), "the control plane goes from Istio 1.31.0 to 1.30.4, whose root is brought to every pod")
	for _, title := range titles(planned) {
		assert.NotContains(t, title, "root")
	}
}
