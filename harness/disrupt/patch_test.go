package disrupt

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestTheWayBackIsWhatWasThere(t *testing.T) {
	was := map[string]any{"spec": map[string]any{"mtls": map[string]any{"mode": "STRICT"}, "other": "kept"}, "webhooks": []any{"a"}}
	for name, c := range map[string]struct{ patch, back map[string]any }{
		"a field is changed": {
			map[string]any{"spec": map[string]any{"mtls": map[string]any{"mode": "PERMISSIVE"}}},
			map[string]any{"spec": map[string]any{"mtls": map[string]any{"mode": "STRICT"}}},
		},
		"a field is added":          {map[string]any{"data": "x"}, map[string]any{"data": nil}},
		"a list is emptied":         {map[string]any{"webhooks": []any{}}, map[string]any{"webhooks": []any{"a"}}},
		"a field is removed":        {map[string]any{"spec": map[string]any{"other": nil}}, map[string]any{"spec": map[string]any{"other": "kept"}}},
		"an object becomes a text":  {map[string]any{"spec": "x"}, map[string]any{"spec": was["spec"]}},
		"what is the same stays so": {map[string]any{"webhooks": []any{"a"}}, map[string]any{}},
	} {
		assert.Equal(t, c.back, reverse(was, c.patch), name)
	}
}

func TestAPatchIsUndoneByWhatTheObjectItselfTells(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "istio", "namespace": "istio-system", "annotations": map[string]any{"keep": "me"}},
		"data":     map[string]any{"mesh": "trustDomain: cluster.local"},
	}}
	c := fake.NewClientBuilder().WithObjects(u.DeepCopy()).Build()
	require.NoError(t, mergeInto(t.Context(), c, u, map[string]any{"data": map[string]any{"mesh": "trustDomain: new"}}, `{"data":{"mesh":"trustDomain: cluster.local"}}`))

	read := func() *unstructured.Unstructured {
		now := &unstructured.Unstructured{}
		now.SetGroupVersionKind(u.GroupVersionKind())
		require.NoError(t, c.Get(t.Context(), crclient.ObjectKeyFromObject(u), now))
		return now
	}
	changed := read()
	assert.Equal(t, map[string]any{"mesh": "trustDomain: new"}, changed.Object["data"])
	assert.Contains(t, changed.GetAnnotations(), undoAnnotation)

	for range 2 { // undoing may be repeated
		require.NoError(t, patchBack(t.Context(), c, read()))
		back := read()
		assert.Equal(t, map[string]any{"mesh": "trustDomain: cluster.local"}, back.Object["data"])
		assert.Equal(t, map[string]string{"keep": "me"}, back.GetAnnotations())
	}
}

func TestAnAnnotationThatIsNoPatchIsNamed(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}}
	u.SetName("istio")
	u.SetNamespace("istio-system")
	u.SetAnnotations(map[string]string{undoAnnotation: "1"})
	assert.ErrorContains(t, patchBack(t.Context(), nil, u), "ConfigMap istio-system/istio is no patch: undo its change by hand")
}
