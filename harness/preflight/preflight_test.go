package preflight

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
)

func TestWhatIsKnownAgainstVersionsIsToldWithItsReference(t *testing.T) {
	for name, c := range map[string]struct {
		prometheus, mesh string
		references       []string
	}{
		"the newest":                 {"3.16.0", "1.31.0", nil},
		"an old Prometheus":          {"2.26.0", "1.31.0", []string{"prometheus/prometheus#9068"}},
		"one that panics":            {"3.5.0", "1.31.0", []string{"prometheus/prometheus#16622"}},
		"one that stops":             {"3.12.0", "1.31.0", []string{"prometheus/common#908"}},
		"the first that does not":    {"3.13.0", "1.31.0", nil},
		"an old Istio":               {"3.16.0", "1.9.3-distroless", []string{"istio/istio#31726"}},
		"the first that is readable": {"3.16.0", "1.9.4", nil},
		"both":                       {"2.30.9", "1.22.1", []string{"prometheus/prometheus#9068", "istio/istio#53118"}},
		"a version that is none":     {"main", "sha256:0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			found := knownBad(c.prometheus, c.mesh)
			require.Len(t, found, len(c.references))
			for i, r := range c.references {
				assert.Contains(t, found[i], r)
			}
		})
	}
}

func TestAClockMayBeOffByAsMuchAsDoesNotMatter(t *testing.T) {
	for off, want := range map[time.Duration]State{0: OK, skewLimit: OK, -skewLimit: OK, skewLimit + 1: Fail, -time.Hour: Fail} {
		state, text := skew(off)
		assert.Equal(t, want, state, text)
	}
}

func TestEachLookIsNamedInItsResultAndCanBeSkipped(t *testing.T) {
	o := recorded.Load(recorded.Good)
	c := simulated.New(t, o)
	s := Subject{Config: c.Config(), Prometheus: types.NamespacedName{Namespace: "default", Name: "default"}}
	results, err := Run(t.Context(), s, map[string]string{"preflight-permissions": "its user is cluster-admin"})
	require.NoError(t, err)
	states := map[string]State{}
	for _, r := range results {
		states[r.Name] = r.State
		assert.NotEmpty(t, r.Text, r.Name)
	}
	assert.Equal(t, map[string]State{
		"preflight-clock": OK, "preflight-permissions": Skip, "preflight-mesh-permissions": OK, "preflight-prometheus": OK, "preflight-versions": OK, "preflight-skew": OK,
		"preflight-leftovers": Warn, // the recorded cluster is the suite's own
	}, states)
	assert.Empty(t, Failed(results))
}

func TestAPrometheusThatDoesNotAnswerIsTold(t *testing.T) {
	c := simulated.New(t, recorded.Load(recorded.Good))
	results, err := Run(t.Context(), Subject{Config: c.Config(), Prometheus: types.NamespacedName{Namespace: "shop", Name: "x"}}, nil)
	require.NoError(t, err)
	assert.Empty(t, Failed(results), "why it does not answer is for the checks to say")
	i := slices.IndexFunc(results, func(r Result) bool { return r.Name == "preflight-prometheus" })
	assert.Equal(t, Result{"preflight-prometheus", Warn, "no pod of Prometheus shop/x was found"}, results[i])
}

func TestAFailureSaysHowToGoOnWithoutIt(t *testing.T) {
	assert.Equal(t, "preflight-clock: it is off (-skip=preflight-clock=why goes on without)",
		Failed([]Result{{"preflight-clock", Fail, "it is off"}, {"preflight-versions", Warn, "old"}}))
}

func TestWhatIsNotGrantedIsNamed(t *testing.T) {
	c := simulated.New(t, recorded.Load(recorded.Good))
	s := Subject{Config: cluster.ReadOnly(c.Config()), Prometheus: types.NamespacedName{Namespace: "default", Name: "default"}}
	state := func() Result {
		results, err := Run(t.Context(), s, nil)
		require.NoError(t, err)
		return results[1]
	}
	assert.Equal(t, OK, state().State, state().Text)
	c.Forbidden = func(r observe.Rule) bool { return r.Resource == "pods/log" }
	assert.Equal(t, Warn, state().State)
	assert.Contains(t, state().Text, "get pods/log")
	assert.Empty(t, c.Changes(), "nothing is stored by asking")
}

// Where the mesh's kinds are in an API of their own, that is asked for them, and the
// cluster is not.
func TestTheMeshsOwnAPIIsAskedForWhatIsReadThere(t *testing.T) {
	c, mesh := simulated.New(t, recorded.Load(recorded.Good)), simulated.New(t, recorded.Load(recorded.Good))
	s := Subject{Config: cluster.ReadOnly(c.Config()), Mesh: cluster.ReadOnly(mesh.Config()), Prometheus: types.NamespacedName{Namespace: "default", Name: "default"}}
	istios := func(r observe.Rule) bool { return r.AtTheMesh() }
	for name, test := range map[string]struct {
		cluster, mesh   func(observe.Rule) bool // what they do not grant
		states          [2]State
		says, saysNever string
	}{
		"all is granted":                   {nil, nil, [2]State{OK, OK}, "grants every rule", "without"},
		"the cluster knows no Istio":       {istios, nil, [2]State{OK, OK}, "grants every rule", "without"},
		"the mesh grants nothing else":     {nil, func(r observe.Rule) bool { return !istios(r) }, [2]State{OK, OK}, "grants every rule", "without"},
		"the mesh does not grant its own":  {nil, istios, [2]State{OK, Warn}, "list peerauthentications.security.istio.io, list authorizationpolicies", "list pods"},
		"the cluster does not grant a log": {func(r observe.Rule) bool { return r.Resource == "pods/log" }, nil, [2]State{Warn, OK}, "grants every rule", "peerauthentications"},
	} {
		t.Run(name, func(t *testing.T) {
			c.Forbidden, mesh.Forbidden = test.cluster, test.mesh
			results, err := Run(t.Context(), s, nil)
			require.NoError(t, err)
			by := map[string]Result{}
			for _, r := range results {
				by[r.Name] = r
			}
			own, its := by["preflight-permissions"], by["preflight-mesh-permissions"]
			assert.Equal(t, test.states, [2]State{own.State, its.State}, "%s; %s", own.Text, its.Text)
			assert.Contains(t, own.Text, c.Config().Host, "it says whom it asked")
			assert.Contains(t, its.Text, mesh.Config().Host, "it says whom it asked")
			assert.Contains(t, its.Text, test.says)
			assert.NotContains(t, its.Text, test.saysNever)
		})
	}
	mesh.Close()
	results, err := Run(t.Context(), s, nil)
	require.NoError(t, err)
	assert.Equal(t, Warn, results[2].State)
	assert.Contains(t, results[2].Text, "could not be asked of "+mesh.Config().Host)
	assert.Empty(t, append(c.Changes(), mesh.Changes()...), "nothing is stored by asking")
}
