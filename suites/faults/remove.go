package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// clusterKinds are the kinds of a subject's objects that do not go with its
// namespace, and that itself.
var clusterKinds = []schema.GroupVersionKind{
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
	{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"},
	{Version: "v1", Kind: "Namespace"},
}

// removeLimit bounds the removal of one object: the namespace is then going, not
// gone.
const removeLimit = 30 * time.Second

// remove takes objects away: those of namespaces that go themselves go with them.
// It does not wait for their end.
func (r *Runner) remove(ctx context.Context, objects []*unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, removeLimit)
	defer cancel()
	c := r.client()
	going := func(namespace string) bool {
		return slices.ContainsFunc(objects, func(u *unstructured.Unstructured) bool {
			return u.GetKind() == "Namespace" && u.GetName() == namespace
		})
	}
	var errs []error
	for _, u := range objects {
		if !manifests.ClusterScoped(u.GetKind()) && going(u.GetNamespace()) {
			continue
		}
		if err := crclient.IgnoreNotFound(c.Delete(ctx, u)); err != nil {
			errs = append(errs, fmt.Errorf("removing %s %s: %w", u.GetKind(), crclient.ObjectKeyFromObject(u), err))
		}
	}
	return errors.Join(errs...)
}

// RemoveLeftovers takes away what the faults of killed runs left, and says what it
// was. It waits for the end: a namespace that is going cannot be made again.
func RemoveLeftovers(ctx context.Context, client klient.Client) (removed []string, err error) {
	c := client.Resources().GetControllerRuntimeClient()
	for _, kind := range clusterKinds {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(kind)
		if err := c.List(ctx, &list, crclient.HasLabels{faultLabel}); err != nil {
			return removed, fmt.Errorf("looking for what an earlier run of the faults left: %w", err)
		}
		for _, u := range list.Items {
			if err := crclient.IgnoreNotFound(c.Delete(ctx, &u)); err != nil {
				return removed, fmt.Errorf("removing the %s %s, which an earlier run of the faults left: %w", u.GetKind(), u.GetName(), err)
			}
			removed = append(removed, u.GetKind()+" "+u.GetName())
		}
	}
	return removed, AwaitGone(ctx, client)
}

// goneLimit bounds the end of a few dozen namespaces.
const goneLimit = 3 * time.Minute

// AwaitGone waits until no namespace of a fault is left.
func AwaitGone(ctx context.Context, client klient.Client) error {
	return wait.For(ctx, "the namespaces of the faults to be gone", func(ctx context.Context) (bool, string, error) {
		var left corev1.NamespaceList
		if err := client.Resources().List(ctx, &left, resources.WithLabelSelector(faultLabel)); err != nil {
			return false, "", err
		}
		var names []string
		for _, n := range left.Items {
			names = append(names, n.Name)
		}
		return len(names) == 0, strings.Join(names, ", "), nil
	}, wait.Timeout(goneLimit), wait.Interval(time.Second))
}
