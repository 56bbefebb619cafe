package manifests

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var everyFolder = []string{Bookinfo, Guide, Mesh, Policy, Probe, Rotation, Unmeshed}

func TestParseReadsEveryDocument(t *testing.T) {
	objects, err := Parse([]byte(`# a comment
apiVersion: v1
kind: Service
metadata: {name: a}
---
---
# nothing but a comment
---
null
---
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b", "namespace": "n"}}
...
`))
	require.NoError(t, err)
	require.Len(t, objects, 2)
	assert.Equal(t, "a", objects[0].GetName())
	assert.Equal(t, []string{"Pod", "b", "n"}, []string{objects[1].GetKind(), objects[1].GetName(), objects[1].GetNamespace()})
}

func TestParseOfNothingIsNothing(t *testing.T) {
	for _, content := range []string{"", "\n", "---\n", "# only a comment\n", "---\n---\n"} {
		objects, err := Parse([]byte(content))
		require.NoError(t, err, "%q", content)
		assert.Empty(t, objects, "%q", content)
	}
}

func TestParseNamesTheDocumentThatIsWrong(t *testing.T) {
	first := "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n"
	for name, c := range map[string]struct{ document, says string }{
		"malformed":        {"a: [", "document 2: "},
		"a tab":            {"a:\n\t- b\n", "document 2: "},
		"a list":           {"- a\n- b\n", "document 2: "},
		"a word":           {"word\n", "document 2: "},
		"a number":         {"5\n", "document 2: "},
		"no kind":          {"apiVersion: v1\nmetadata: {name: a}\n", "document 2 is not an object"},
		"no apiVersion":    {"kind: Pod\nmetadata: {name: a}\n", "document 2 is not an object"},
		"no name":          {"apiVersion: v1\nkind: Pod\n", "document 2 is not an object"},
		"a kind that is 5": {"apiVersion: v1\nkind: 5\nmetadata: {name: a}\n", "document 2 is not an object"},
		"metadata a list":  {"apiVersion: v1\nkind: Pod\nmetadata: [a]\n", "document 2 is not an object"},
		"one key twice":    {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {a: 1}\nspec: {a: 2}\n", `"spec" already set`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(first + c.document))
			require.ErrorContains(t, err, c.says)
			assert.ErrorContains(t, err, "document 2")
		})
	}
}

// Kubernetes' own helpers for unstructured objects know whole numbers as int64.
func TestParseReadsWholeNumbersAsSuch(t *testing.T) {
	objects, err := Parse([]byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 2, large: 9007199254740993, half: 0.5}\n"))
	require.NoError(t, err)
	replicas, found, err := unstructured.NestedInt64(objects[0].Object, "spec", "replicas")
	require.NoError(t, err)
	assert.True(t, found)
	assert.EqualValues(t, 2, replicas)
	large, _, err := unstructured.NestedInt64(objects[0].Object, "spec", "large")
	require.NoError(t, err)
	assert.EqualValues(t, 9007199254740993, large, "no digit is lost")
	half, _, err := unstructured.NestedFloat64(objects[0].Object, "spec", "half")
	require.NoError(t, err)
	assert.InDelta(t, 0.5, half, 0)
}

func FuzzParse(f *testing.F) {
	for _, folder := range everyFolder {
		entries, err := fs.ReadDir(files, folder)
		require.NoError(f, err)
		for _, e := range entries {
			content, err := files.ReadFile(path.Join(folder, e.Name()))
			require.NoError(f, err)
			f.Add(content)
		}
	}
	f.Add([]byte("---\n- a\n"))
	f.Add([]byte("{\"a\": 1}{"))
	f.Fuzz(func(t *testing.T, content []byte) {
		objects, err := Parse(content)
		if err != nil {
			return
		}
		for _, u := range objects {
			assert.NotEmpty(t, u.GetKind())
			assert.NotEmpty(t, u.GetAPIVersion())
			assert.NotEmpty(t, u.GetName())
			assert.NotPanics(t, func() { u.DeepCopy() }, "it holds only what an API object can hold")
			_, err := json.Marshal(u)
			assert.NoError(t, err)
		}
	})
}

func TestEveryManifestThatIsAppliedCanBeRead(t *testing.T) {
	for folder, kinds := range map[string][]string{
		Bookinfo: {
			"ServiceAccount/bookinfo-details", "Service/details", "Deployment/details-v1",
			"ServiceAccount/bookinfo-productpage", "Service/productpage", "Deployment/productpage-v1",
			"ServiceAccount/bookinfo-ratings", "Service/ratings", "Deployment/ratings-v1",
			"ServiceAccount/bookinfo-reviews", "Service/reviews", "Deployment/reviews-v1", "Deployment/reviews-v2", "Deployment/reviews-v3",
		},
		Guide: {
			"ServiceAccount/prometheus-full-access", "ClusterRole/prometheus-full-access", "ClusterRoleBinding/prometheus-full-access",
			"Prometheus/default", "ServiceMonitor/productpage",
		},
		Mesh: {"PeerAuthentication/default"},
		Probe: {
			"ServiceAccount/mtls-scrape-member", "Pod/mtls-scrape-member",
			"ServiceAccount/mtls-scrape-probe", "Pod/mtls-scrape-probe",
		},
	} {
		assert.Contains(t, everyFolder, folder)
		objects, err := Read(folder)
		require.NoError(t, err)
		var got []string
		for _, u := range objects {
			got = append(got, u.GetKind()+"/"+u.GetName())
		}
		assert.Equal(t, kinds, got, folder)
	}
}

func TestAFolderThatIsNotThereIsNamed(t *testing.T) {
	_, err := Read("absent")
	assert.ErrorContains(t, err, "absent")
}

// A key that stands twice in a mapping is a slip that a parser need not notice.
func TestNoManifestSaysAnythingTwice(t *testing.T) {
	require.NoError(t, fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(p)
		require.NoError(t, err)
		for document := range strings.SplitSeq(string(content), "\n---\n") {
			assert.NoError(t, yaml.UnmarshalStrict([]byte(document), &map[string]any{}), p)
		}
		return nil
	}))
}

func TestTheMeshIsStrictForEveryWorkload(t *testing.T) {
	objects, err := Read(Mesh)
	require.NoError(t, err)
	require.Len(t, objects, 1)
	policy := objects[0]
	assert.Equal(t, "istio-system", policy.GetNamespace(), "the root namespace")
	mode, _, _ := unstructured.NestedString(policy.Object, "spec", "mtls", "mode")
	assert.Equal(t, "STRICT", mode)
	for _, narrower := range []string{"selector", "portLevelMtls"} {
		_, found, _ := unstructured.NestedFieldNoCopy(policy.Object, "spec", narrower)
		assert.False(t, found, narrower)
	}
}

// A monitor finds its target by the labels of the Service and the name of its port.
func TestTheMonitorSelectsProductpage(t *testing.T) {
	monitor := one(t, Guide, "ServiceMonitor", "productpage")
	service := one(t, Bookinfo, "Service", "productpage")
	selector, _, err := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	require.NoError(t, err)
	for key, value := range selector {
		assert.Equal(t, value, service.GetLabels()[key])
	}
	ports, _, err := unstructured.NestedSlice(service.Object, "spec", "ports")
	require.NoError(t, err)
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	require.NoError(t, err)
	require.Len(t, ports, 1)
	require.Len(t, endpoints, 1)
	assert.Equal(t, endpoints[0].(map[string]any)["port"], ports[0].(map[string]any)["name"])
}

// The metrics of productpage must not be served a second time without mTLS.
func TestProductpagesMetricsAreNotMergedIntoTheProxys(t *testing.T) {
	annotations, _, err := unstructured.NestedStringMap(one(t, Bookinfo, "Deployment", "productpage-v1").Object, "spec", "template", "metadata", "annotations")
	require.NoError(t, err)
	assert.Equal(t, "false", annotations["prometheus.istio.io/merge-metrics"])
}

func TestEveryServiceSelectsADeployment(t *testing.T) {
	objects, err := Read(Bookinfo)
	require.NoError(t, err)
	for _, service := range objects {
		if service.GetKind() != "Service" {
			continue
		}
		selector, _, err := unstructured.NestedStringMap(service.Object, "spec", "selector")
		require.NoError(t, err)
		matches := 0
		for _, d := range objects {
			labels, _, _ := unstructured.NestedStringMap(d.Object, "spec", "template", "metadata", "labels")
			if d.GetKind() == "Deployment" && labels["app"] == selector["app"] {
				matches++
			}
		}
		assert.Positive(t, matches, service.GetName())
	}
}

// With a sidecar of its own, what the client sends would be let in.
func TestTheClientOfTheRefusalsStaysOutsideOfTheMesh(t *testing.T) {
	client := one(t, Probe, "Pod", "mtls-scrape-probe")
	assert.Equal(t, "false", client.GetLabels()["sidecar.istio.io/inject"])
}

// one is the object of a kind and name.
func one(t *testing.T, folder, kind, name string) *unstructured.Unstructured {
	t.Helper()
	objects, err := Read(folder)
	require.NoError(t, err)
	for _, u := range objects {
		if u.GetKind() == kind && u.GetName() == name {
			return u
		}
	}
	t.Fatalf("%s has no %s %s", folder, kind, name)
	return nil
}
