package manifests

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object is one object from YAML.
func object(t *testing.T, content string) *unstructured.Unstructured {
	t.Helper()
	objects, err := Parse([]byte(content))
	require.NoError(t, err)
	require.Len(t, objects, 1)
	return objects[0]
}

func TestInNamespaceMovesWhatBelongsToANamespace(t *testing.T) {
	for _, content := range []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: elsewhere}\n",
		"apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: a}\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: a}\n",
	} {
		u := object(t, content)
		InNamespace("n")(u)
		assert.Equal(t, "n", u.GetNamespace(), content)
	}
}

func TestInNamespaceLeavesWhatBelongsToNone(t *testing.T) {
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"} {
		u := object(t, "apiVersion: v1\nkind: "+kind+"\nmetadata: {name: a}\n")
		InNamespace("n")(u)
		assert.Empty(t, u.GetNamespace(), kind)
	}
}

func TestInNamespaceMovesTheSubjectsOfABinding(t *testing.T) {
	u := object(t, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: a}
subjects:
- {kind: ServiceAccount, name: one, namespace: default}
- {kind: ServiceAccount, name: two}
`)
	InNamespace("n")(u)
	subjects, _, err := unstructured.NestedSlice(u.Object, "subjects")
	require.NoError(t, err)
	assert.Equal(t, []any{
		map[string]any{"kind": "ServiceAccount", "name": "one", "namespace": "n"},
		map[string]any{"kind": "ServiceAccount", "name": "two", "namespace": "n"},
	}, subjects)
}

func TestEveryKindOfOursIsKnownToBelongToANamespaceOrNot(t *testing.T) {
	namespaced := map[string]bool{"ServiceAccount": true, "Service": true, "Deployment": true, "Prometheus": true, "ServiceMonitor": true, "PeerAuthentication": true, "AuthorizationPolicy": true, "Pod": true}
	for _, folder := range everyFolder {
		objects, err := Read(folder)
		require.NoError(t, err)
		for _, u := range objects {
			assert.NotEqual(t, namespaced[u.GetKind()], clusterScoped[u.GetKind()], u.GetKind())
		}
	}
}

func TestWithImagesReplacesAReferenceWhereverItStands(t *testing.T) {
	u := object(t, `apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  image: quay.io/p/prometheus:v3
  template:
    spec:
      initContainers:
      - {image: quay.io/p/init:v1}
      containers:
      - image: quay.io/p/operator:v1
        args:
        - --prometheus-config-reloader=quay.io/p/reloader:v1
        - --other=quay.io/p/unknown:v1
        - quay.io/p/reloader:v1
`)
	WithImages(map[string]string{
		"quay.io/p/prometheus:v3": "local/prometheus", "quay.io/p/init:v1": "local/init",
		"quay.io/p/operator:v1": "local/operator", "quay.io/p/reloader:v1": "local/reloader@sha256:0",
	})(u)
	spec := u.Object["spec"].(map[string]any)
	assert.Equal(t, "local/prometheus", spec["image"])
	pod := spec["template"].(map[string]any)["spec"].(map[string]any)
	assert.Equal(t, []any{map[string]any{"image": "local/init"}}, pod["initContainers"])
	assert.Equal(t, []any{map[string]any{
		"image": "local/operator",
		"args":  []any{"--prometheus-config-reloader=local/reloader@sha256:0", "--other=quay.io/p/unknown:v1", "local/reloader@sha256:0"},
	}}, pod["containers"])
}

func TestWithImagesReplacesNoPartOfAReference(t *testing.T) {
	images := WithImages(map[string]string{"quay.io/p/x:v1": "replaced", "x:v1": "replaced"})
	for _, value := range []string{
		"quay.io/p/x:v1.2", "quay.io/p/x:v1@sha256:0", "mirror/quay.io/p/x:v1", "quay.io/p/x", "the image quay.io/p/x:v1", "=quay.io/p/x:v1",
		"--image=mirror/x:v1", "--image quay.io/p/x:v1", "--image=quay.io/p/x:v1,quay.io/p/y:v1", "",
	} {
		u := &unstructured.Unstructured{Object: map[string]any{"value": value}}
		images(u)
		assert.Equal(t, value, u.Object["value"])
	}
}

func TestWithImagesReplacesOnce(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{"image": "a"}}
	WithImages(map[string]string{"a": "b", "b": "c"})(u)
	assert.Equal(t, "b", u.Object["image"])
}

func TestWithImagesLeavesEverythingElse(t *testing.T) {
	for _, folder := range everyFolder {
		objects, err := Read(folder)
		require.NoError(t, err)
		again, err := Read(folder)
		require.NoError(t, err)
		assert.Equal(t, again, Apply(objects, WithImages(nil)))
	}
}

func TestSetMakesTheFieldsAbove(t *testing.T) {
	u := object(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {kept: 1}\n")
	Set("v", "spec", "new", "field")(u)
	value, _, err := unstructured.NestedString(u.Object, "spec", "new", "field")
	require.NoError(t, err)
	assert.Equal(t, "v", value)
	assert.EqualValues(t, 1, u.Object["spec"].(map[string]any)["kept"])

	Set(int64(2), "spec", "kept")(u)
	assert.EqualValues(t, 2, u.Object["spec"].(map[string]any)["kept"])
}

func TestSetThroughAValueIsADefect(t *testing.T) {
	u := object(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n")
	assert.Panics(t, func() { Set("v", "kind", "below")(u) })
}

func TestOnlyKindLeavesOtherKinds(t *testing.T) {
	edit := OnlyKind("Pod", Set("v", "spec", "field"))
	pod, service := object(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"), object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
	edit(pod)
	edit(service)
	assert.Contains(t, pod.Object, "spec")
	assert.NotContains(t, service.Object, "spec")
}

func TestApplyCarriesOutEveryEditInOrder(t *testing.T) {
	objects := []*unstructured.Unstructured{
		object(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"), object(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: b}\n"),
	}
	for _, u := range Apply(objects, Set("first", "spec", "f"), Set("second", "spec", "f")) {
		value, _, err := unstructured.NestedString(u.Object, "spec", "f")
		require.NoError(t, err)
		assert.Equal(t, "second", value)
	}
}

func TestReplaceReachesEveryString(t *testing.T) {
	value := map[string]any{"a": []any{"x/default/y", map[string]any{"b": "default"}, int64(1)}, "c": true}
	assert.Equal(t, map[string]any{"a": []any{"x/own/y", map[string]any{"b": "own"}, int64(1)}, "c": true}, Replace(value, "default", "own"))
}
