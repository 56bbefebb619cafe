package disrupt

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// patchedKinds are the kinds of which an object may be patched for a time. All of
// them say something for the mesh as a whole, and live in its root namespace if in
// any.
var patchedKinds = []schema.GroupVersionKind{
	{Group: "security.istio.io", Version: "v1", Kind: "PeerAuthentication"},
	{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"},
	{Version: "v1", Kind: "ConfigMap"},
}

// ObjectRef names one object of a cluster.
type ObjectRef struct {
	schema.GroupVersionKind
	Namespace, Name string // no namespace for what belongs to none
}

func (r ObjectRef) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Patch changes fields of an object for a time. Change gets the object as it is and
// returns a merge patch; the patch back is written on the object with it. Its kind
// must be one of those that Restore looks for; any other is a mistake in this
// program.
func Patch(client klient.Client, name, title string, ref ObjectRef, change func(object map[string]any) (map[string]any, error)) Disruption {
	if !slices.Contains(patchedKinds, ref.GroupVersionKind) {
		panic(fmt.Sprintf("disrupt.Patch: nobody would undo the change of a %s that a killed run left", ref.GroupVersionKind))
	}
	get := func(ctx context.Context) (crclient.Client, *unstructured.Unstructured, error) {
		c := client.Resources().GetControllerRuntimeClient()
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(ref.GroupVersionKind)
		err := c.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, u)
		return c, u, err
	}
	return Disruption{
		Name: name, Title: title,
		Apply: func(ctx context.Context) error {
			c, u, err := get(ctx)
			if err != nil {
				return err
			}
			patch, err := change(u.Object)
			if err != nil {
				return fmt.Errorf("changing the %s: %w", ref, err)
			}
			back, err := json.Marshal(reverse(u.Object, patch))
			if err != nil {
				return err
			}
			return mergeInto(ctx, c, u, patch, string(back))
		},
		Undo: func(ctx context.Context) error {
			c, u, err := get(ctx)
			if err != nil {
				return err
			}
			return patchBack(ctx, c, u)
		},
	}
}

// reverse is the merge patch that undoes another: what is at its places now, and
// nothing where there is nothing.
func reverse(object, patch map[string]any) map[string]any {
	back := map[string]any{}
	for k, v := range patch {
		was, there := object[k]
		into, isObject := v.(map[string]any)
		from, wasObject := was.(map[string]any)
		switch {
		case !there:
			back[k] = nil
		case isObject && wasObject:
			back[k] = reverse(from, into)
		case !reflect.DeepEqual(was, v):
			back[k] = was
		}
	}
	return back
}

// mergeInto patches an object, and in the same step its annotation with the way
// back; nil removes that.
func mergeInto(ctx context.Context, c crclient.Client, u crclient.Object, patch map[string]any, undo any) error {
	whole := map[string]any{"metadata": map[string]any{"annotations": map[string]any{undoAnnotation: undo}}}
	for k, v := range patch {
		whole[k] = v
	}
	content, err := json.Marshal(whole)
	if err != nil {
		return err
	}
	return c.Patch(ctx, u, crclient.RawPatch(types.MergePatchType, content))
}

// patchBack undoes what the object's annotation tells of, if it has one.
func patchBack(ctx context.Context, c crclient.Client, u *unstructured.Unstructured) error {
	text, ok := u.GetAnnotations()[undoAnnotation]
	if !ok {
		return nil
	}
	var back map[string]any
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		return fmt.Errorf("the annotation %s of the %s %s/%s is no patch: undo its change by hand and remove the annotation: %w", undoAnnotation, u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return mergeInto(ctx, c, u, back, nil)
}

// restorePatches undoes the patches that a killed run left.
func restorePatches(ctx context.Context, client klient.Client) (restored []string, err error) {
	where := func(kind schema.GroupVersionKind) []crclient.ListOption {
		if kind.Kind == "MutatingWebhookConfiguration" {
			return nil // these belong to no namespace
		}
		return []crclient.ListOption{crclient.InNamespace(mesh.RootNamespace)}
	}
	return putRight(ctx, client, patchedKinds, where, func(c crclient.Client, u *unstructured.Unstructured) (bool, error) {
		if _, ok := u.GetAnnotations()[undoAnnotation]; !ok {
			return false, nil
		}
		return true, patchBack(ctx, c, u)
	})
}
