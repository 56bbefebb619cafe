package disrupt

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"
)

// putRight goes through the objects of some kinds, as far as where narrows them down,
// and lets undo put each right that a killed run left; it says whether there was
// anything to do. The names of those come back.
func putRight(ctx context.Context, client klient.Client, kinds []schema.GroupVersionKind, where func(schema.GroupVersionKind) []crclient.ListOption,
	undo func(c crclient.Client, u *unstructured.Unstructured) (bool, error)) (names []string, err error) {
	c := client.Resources().GetControllerRuntimeClient()
	for _, kind := range kinds {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(kind)
		if err := c.List(ctx, &list, where(kind)...); err != nil {
			// A cluster without the definition has no such object, and who may not look at
			// one has not changed it either.
			if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
				continue
			}
			return names, fmt.Errorf("looking for what an earlier run left of the kind %s: %w", kind.Kind, err)
		}
		for _, u := range list.Items {
			name := fmt.Sprintf("%s %s/%s", u.GetKind(), u.GetNamespace(), u.GetName())
			done, err := undo(c, &u)
			if err != nil {
				return names, fmt.Errorf("undoing what an earlier run left of the %s: %w", name, err)
			}
			if done {
				names = append(names, name)
			}
		}
	}
	return names, nil
}
