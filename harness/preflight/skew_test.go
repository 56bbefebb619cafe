package preflight

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
)

// aged is the recorded cluster, in which some pods have the proxy of another version.
func aged(to string, pods ...string) observe.Observation {
	o := recorded.Load(recorded.Good)
	for _, name := range pods {
		p := observe.FindPod(o, "default", name)
		for i := range p.Spec.InitContainers {
			if c := &p.Spec.InitContainers[i]; c.Name == "istio-proxy" {
				c.Image = "registry.istio.io/release/proxyv2:" + to
			}
		}
	}
	return o
}

const (
	deployed = "reviews-v2-9497744b5-j2str"
	stateful = "prometheus-default-0"
	alone    = "mtls-scrape-member"
)

func TestTheSkewIsCountedInMinors(t *testing.T) {
	for _, c := range []struct {
		proxy, plane string
		tooOld       bool
	}{
		{"1.31.0", "1.31.0", false}, {"1.30.9", "1.31.0", false}, {"1.29.9", "1.31.0", true}, {"1.28.0-distroless", "1.31.0", true},
		{"1.31.0", "1.30.4", false}, {"2.0.0", "1.31.0", false}, {"1.31.0", "2.0.0", true},
	} {
		assert.Equal(t, c.tooOld, tooOld(version.MustParseGeneric(c.proxy), version.MustParseGeneric(c.plane)), c.proxy+" under "+c.plane)
	}
}

func TestEachWorkloadIsNamedAsAUserKnowsIt(t *testing.T) {
	found := Skew(aged("1.29.0", deployed, stateful, alone).Pods, "1.31.0")
	assert.Equal(t, map[string]string{"Deployment default/reviews-v2": "1.29.0", "StatefulSet default/prometheus-default": "1.29.0", "Pod default/mtls-scrape-member": "1.29.0"}, found.Behind)
	assert.Positive(t, found.Served)
	assert.Empty(t, found.Unknown)

	found = Skew(aged("", deployed).Pods, "1.31.0")
	assert.Equal(t, map[string]string{"Deployment default/reviews-v2": ""}, found.Unknown)
	assert.Zero(t, Skew(aged("1.31.0", deployed).Pods, "the newest").Served, "a control plane of no known version serves nobody for certain")
}

func TestProxiesThatAreTooOldAreToldBeforeAnUpgrade(t *testing.T) {
	for name, c := range map[string]struct {
		version, next string
		state         State
		says          string
	}{
		"no upgrade is meant":  {"1.20.0", "", OK, "no version is named"},
		"of the version to be": {"1.31.0", "1.31.0", OK, "is too old for Istio 1.31.0"},
		"one minor behind":     {"1.30.4", "1.31.0", OK, "is too old for Istio 1.31.0"},
		"two minors behind":    {"1.29.0", "1.31.0", Fail, "Deployment default/reviews-v2 has 1.29.0; make their pods anew"},
		"by its digest alone":  {"", "1.31.0", Warn, "their images do not say: Deployment default/reviews-v2 has "},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := simulated.New(t, aged(c.version, deployed))
			results, err := Run(t.Context(), Subject{Config: cluster.Config(), Prometheus: types.NamespacedName{Namespace: "default", Name: "default"}, Next: c.next}, nil)
			require.NoError(t, err)
			last := results[len(results)-1]
			assert.Equal(t, "preflight-skew", last.Name)
			assert.Equal(t, c.state, last.State, last.Text)
			assert.Contains(t, last.Text, c.says)
			assert.Empty(t, cluster.Changes())
		})
	}
}
