package diagnosis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

const (
	anUpgrade = "upgrade-in-place" // a check of another catalogue, which every layer may concern
	nowhere   = "no-such-istiod"
)

// refuseTargets is what is seen if the pods of productpage are refused for a webhook that
// calls a Service.
func (s subject) refuseTargets(service, why string) {
	s.Events = append(s.Events, observe.Event{
		Kind: "ReplicaSet", Namespace: "default", Name: "productpage-v1-d6c697fbc", Type: "Warning", Reason: "FailedCreate", Last: s.At,
		Message: `Error creating: Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post "https://` + service + `.istio-system.svc:443/inject?timeout=10s": ` + why,
	})
}

// astray lets the injector call a Service that is not there.
func (s subject) astray() {
	for i := range s.Mesh.Injectors {
		s.Mesh.Injectors[i].Service = "istio-system/" + nowhere
	}
	s.refuseTargets(nowhere, `service "`+nowhere+`" not found`)
}

// otherRoot lets the replicas have gone from one root to another while somebody looked on.
func (s subject) otherRoot(roots ...[]string) {
	e := observe.Episode{Disruption: "control-plane"}
	for i, trusted := range roots {
		c := observe.Certificate{Serial: string(rune('a' + i)), Roots: trusted}
		e.Certs = append(e.Certs, observe.Sighting{At: s.At.Add(time.Duration(i-len(roots)) * time.Second), Pod: "prometheus-default-0", Certificate: c})
	}
	s.Episodes = []observe.Episode{e}
}

// otherDomain lets the replica have gone from one trust domain to another and back.
func (s subject) otherDomain(domains ...string) {
	e := observe.Episode{Disruption: "control-plane"}
	for i, domain := range domains {
		c := observe.Certificate{Serial: string(rune('a' + i)), URIs: []string{"spiffe://" + domain + "/ns/default/sa/prometheus-full-access"}}
		e.Certs = append(e.Certs, observe.Sighting{At: s.At.Add(time.Duration(i-len(domains)) * time.Second), Pod: "prometheus-default-0", Certificate: c})
	}
	s.Episodes = []observe.Episode{e}
}

var upgradeCases = []testCase{
	{
		name: "the trust domain changed meanwhile", on: anUpgrade, code: "trust-domain-mismatch", says: []string{"from the trust domain cluster.local to another.example"},
		spoil: func(s subject) { s.otherDomain("cluster.local", "cluster.local", "another.example") },
	},
	{
		name: "a target's pods refused: injector astray", on: anUpgrade, code: "injector-unreachable",
		says:  []string{"ReplicaSet default/productpage-v1-d6c697fbc", "there is no Service istio-system/" + nowhere, "MutatingWebhookConfiguration istio-sidecar-injector"},
		spoil: subject.astray,
	},
	{
		name: "a target's pods refused: istiod away", on: anUpgrade, code: "injector-unreachable", says: []string{"connection refused"},
		spoil: func(s subject) {
			s.Mesh.ControlPlanes[0].Ready = 0
			s.refuseTargets("istiod", "dial tcp 10.96.122.15:443: connect: connection refused")
		},
	},
	{
		name: "a target's pods refused: nobody knows why", on: anUpgrade, code: "injector-unreachable", confidence: reports.Likely,
		spoil: func(s subject) { s.refuseTargets("istiod", "context deadline exceeded") },
	},
	{
		name: "the root was replaced, certificates ended", code: "root-replaced", says: []string{"believes no istiod"},
		spoil: func(s subject) {
			s.Mesh.Roots = []string{"another"}
			for i := range s.Replicas {
				s.Replicas[i].Certificate.NotAfter = s.At.Add(-time.Second)
			}
			s.lastError("remote error: tls: expired certificate")
		},
	},
	{
		name: "the root was replaced meanwhile", on: anUpgrade, code: "root-replaced", says: []string{"went from the roots old", "to new", "nothing in common"},
		spoil: func(s subject) { s.otherRoot([]string{"old"}, []string{"old"}, []string{"new"}) },
	},
	{
		name: "the root was replaced by way of both", on: anUpgrade, code: "root-replaced", confidence: reports.Likely,
		spoil: func(s subject) { s.otherRoot([]string{"old"}, []string{"old", "new"}, []string{"new"}) },
	},
}

func TestARefusalThatIsOverExplainsNothing(t *testing.T) {
	for name, spoil := range map[string]func(s subject){
		"the configuration was mended": func(s subject) { s.refuseTargets(nowhere, `service "`+nowhere+`" not found`) },
		"a pod came since": func(s subject) {
			s.astray()
			s.Events[len(s.Events)-1].Last = s.At.Add(-30 * 24 * time.Hour)
		},
		"it is of another workload": func(s subject) {
			s.astray()
			s.Events[len(s.Events)-1].Name = "reviews-v1-6677d95fb9"
		},
		"it is of another namespace": func(s subject) {
			s.astray()
			s.Events[len(s.Events)-1].Namespace = "kube-system"
		},
		"it is for a quota": func(s subject) {
			s.astray()
			s.Events[len(s.Events)-1].Message = `Error creating: pods "productpage" is forbidden: exceeded quota`
		},
	} {
		o := loadGood(t)
		spoil(subject{&o})
		assert.Empty(t, Diagnose(o, failedCheck(anUpgrade)), name)
	}
}

func TestAWorkloadWithoutAnyPodIsTakenForATarget(t *testing.T) {
	o := loadGood(t)
	s := subject{&o}
	s.astray()
	s.Events[0].Name = "productpage-v2-5c9"
	assert.Equal(t, []string{"injector-unreachable"}, codes(Diagnose(o, failedCheck(anUpgrade))[anUpgrade]))
}

func TestARotationThatKeepsARootReplacesNone(t *testing.T) {
	o := loadGood(t)
	subject{&o}.otherRoot([]string{"old"}, []string{"old", "new"})
	assert.Empty(t, Diagnose(o, failedCheck(anUpgrade)))
}
