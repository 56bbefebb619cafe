package faults

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"istio.io/api/label"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func object(t *testing.T, s *Subject, kind, name string) map[string]any {
	t.Helper()
	i, err := s.index(kind, name)
	require.NoError(t, err)
	return s.Objects[i].Object
}

func at(t *testing.T, in any, path ...string) any {
	t.Helper()
	for len(path) > 0 {
		switch node := in.(type) {
		case map[string]any:
			in = node[path[0]]
		case []any:
			require.Equal(t, "0", path[0])
			in = node[0]
		default:
			return nil
		}
		path = path[1:]
	}
	return in
}

func TestSetMakesWhatIsMissingOnTheWay(t *testing.T) {
	s := good(t)
	require.NoError(t, s.Make([]Change{
		ofPrometheus("false", "spec", "podMetadata", "labels", label.SidecarInject.Name),
		ofPrometheus([]map[string]any{{"name": "a"}}, "spec", "initContainers"),
		ofPrometheus("b", "spec", "volumes", "1", "name"),
		ofEndpoint(9, "relabelings", "0", "modulus"),
		ofEndpoint("/x", "path"),
	}))
	p := object(t, s, "Prometheus", "default")
	assert.Equal(t, "false", at(t, p, "spec", "podMetadata", "labels", label.SidecarInject.Name))
	assert.Equal(t, []any{map[string]any{"name": "a"}}, at(t, p, "spec", "initContainers"))
	assert.Len(t, at(t, p, "spec", "volumes"), 2)
	m := object(t, s, "ServiceMonitor", "productpage")
	assert.Equal(t, int64(9), at(t, m, "spec", "endpoints", "0", "relabelings", "0", "modulus"))
	assert.Equal(t, "/x", at(t, m, "spec", "endpoints", "0", "path"))
	assert.Equal(t, "https", at(t, m, "spec", "endpoints", "0", "scheme"), "the rest is as it was")
}

func TestAChangeOfWhatIsNotThereIsAnErrorThatNamesIt(t *testing.T) {
	for says, c := range map[string]Change{
		"the set-up has no Service reviews":         Set("Service", "reviews", 1, "spec"),
		"the set-up has no ConfigMap x":             Remove("ConfigMap", "x"),
		"the set-up has no Sidecar x":               Move("Sidecar", "x"),
		"there is no field bearerTokenFile":         noEndpoint("bearerTokenFile"),
		"there is no field volumes.0.name.x":        noPrometheus("spec", "volumes", "0", "name", "x"),
		`a list of 1 has no element "3"`:            ofPrometheus(1, "spec", "volumes", "3", "name"),
		`a list of 1 has no element "first"`:        ofPrometheus(1, "spec", "volumes", "first"),
		"there is no field x in v3.16.0":            ofPrometheus(1, "spec", "version", "x"),
		"document 1 is not an object":               Add("a: b"),
		"unsupported type: chan int":                ofPrometheus(make(chan int), "spec", "version"),
		"there is no field insecureSkipVerify to r": noEndpoint("tlsConfig", "insecureSkipVerify", "x"),
	} {
		err := good(t).Make([]Change{c})
		require.Error(t, err, says)
		assert.ErrorContains(t, err, "making the change ")
		if says != "there is no field volumes.0.name.x" && says != "there is no field insecureSkipVerify to r" {
			assert.ErrorContains(t, err, says)
		}
	}
}

func TestAddedObjectsComeFirstAndAreTheSubjectsOwn(t *testing.T) {
	s := good(t)
	require.NoError(t, s.Make([]Change{Add("apiVersion: v1\nkind: Service\nmetadata:\n  name: older\n")}))
	applied := s.Manifests("r", nil)
	names := kinds(applied)
	assert.Less(t, slices.Index(names, "Service fault-x/older"), slices.Index(names, "Service fault-x/productpage"))
}

func TestWhatIsMovedIsInANamespaceOfTheMeshThatGoesWithTheSubject(t *testing.T) {
	s := good(t)
	require.NoError(t, s.Make([]Change{Move("ServiceMonitor", "productpage"), Move("Service", "productpage")}))
	names := kinds(s.Manifests("r", nil))
	assert.Contains(t, names, "ServiceMonitor fault-x-other/productpage")
	assert.Contains(t, names, "Service fault-x-other/productpage")
	assert.Equal(t, 1, len(slices.DeleteFunc(names, func(n string) bool { return n != "Namespace /fault-x-other" })))
}

func TestAProxyVariableIsChangedAmongTheOthers(t *testing.T) {
	s := good(t)
	require.NoError(t, s.Make([]Change{prometheusVariable("OUTPUT_CERTS", nil), prometheusVariable("SECRET_TTL", 60)}))
	config, _, err := unstructured.NestedString(object(t, s, "Prometheus", "default"), "spec", "podMetadata", "annotations", "proxy.istio.io/config")
	require.NoError(t, err)
	assert.NotContains(t, config, "OUTPUT_CERTS")
	assert.Contains(t, config, "SECRET_TTL: 60\n", "a number stays one: that is the fault")
	assert.Contains(t, config, `SECRET_GRACE_PERIOD_RATIO_JITTER: "0"`)
}

func TestPlaceholdersAreFilledInEverywhere(t *testing.T) {
	s := good(t)
	require.NoError(t, s.Make([]Change{admits("cluster.local/ns/" + own + "/sa/x")}))
	for _, u := range s.Manifests("r", nil) {
		if u.GetKind() == "AuthorizationPolicy" {
			assert.Contains(t, shownWhole(u.Object), "cluster.local/ns/fault-x/sa/x")
		}
		assert.NotContains(t, shownWhole(u.Object), own)
	}
}

func TestCertificatesByHandAreWhatTheyAreMeantToBe(t *testing.T) {
	s := good(t)
	require.NoError(t, s.Make([]Change{byHand("spiffe://old.example/ns/" + own + "/sa/x")}))
	i, err := s.index("Secret", ownSecret)
	require.NoError(t, err)
	assert.Len(t, s.Objects[i].Object["data"], 3)
	assert.Equal(t, []any{ownSecret}, at(t, object(t, s, "Prometheus", "default"), "spec", "secrets"))
}
