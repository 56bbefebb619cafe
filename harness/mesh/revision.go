package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"istio.io/api/label"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// DefaultRevision is that of the control plane which serves whatever names no
// other. Istio calls it so in labels; in names of objects it has none.
const DefaultRevision = "default"

// InjectionLabel is the label of a namespace by which the default revision injects
// sidecars into its pods. It wins over the one that names a revision. Istio's API
// has all its labels but this one.
const InjectionLabel = "istio-injection"

// Named is the name that an object of Istio's charts has for a revision.
func Named(name, revision string) string {
	if revision == DefaultRevision {
		return name
	}
	return name + "-" + revision
}

// Inject has pods that a namespace gets from now on injected by a revision, or by
// the one that a tag points to. Pods that are there keep their sidecar.
func Inject(ctx context.Context, client klient.Client, namespace, revision string) error {
	labels := map[string]any{InjectionLabel: nil, label.IoIstioRev.Name: revision}
	if revision == DefaultRevision {
		labels = map[string]any{InjectionLabel: "enabled", label.IoIstioRev.Name: nil}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := client.Resources().Patch(ctx, n, k8s.Patch{PatchType: types.MergePatchType, Data: patch}); err != nil {
		return fmt.Errorf("having the namespace %s injected by the revision %s: %w", namespace, revision, err)
	}
	return nil
}

// Tag lets a revision tag point to a control plane that stands. A tag that is there
// is moved in one step: at no moment would a pod be created without a sidecar.
func Tag(ctx context.Context, client klient.Client, o Options, tag string) error {
	h, err := newHelm(o.Kubeconfig)
	if err != nil {
		return err
	}
	standing, err := h.controlPlanes()
	if err != nil {
		return err
	}
	if err := checkTag(slices.Sorted(maps.Keys(standing)), o.Revision, tag); err != nil {
		return err
	}
	objects, err := tagObjects(ctx, o, tag)
	if err != nil {
		return err
	}
	if err := cluster.Apply(ctx, client, objects...); err != nil {
		return err
	}
	return wait.For(ctx, "the tag "+tag+" to be served", func(ctx context.Context) (bool, string, error) {
		return webhookReady(ctx, client)
	}, wait.Timeout(readyTimeout))
}

// checkTag refuses a tag that would take no effect, or have two control planes
// inject the same pod.
func checkTag(standing []string, revision, tag string) error {
	if !slices.Contains(standing, revision) {
		return fmt.Errorf("tagging the revision %s: there is no such control plane, only %v", revision, standing)
	}
	if slices.Contains(standing, tag) {
		return fmt.Errorf("tagging the revision %s: the tag %s has the name of a revision, whose sidecars would be injected beside its own", revision, tag)
	}
	return nil
}

// tagObjects are what a tag consists of. They are rendered from the chart of its
// control plane but are, as in Istio's own instructions, no part of that Helm
// release: it could not take them over from another, and would take them along when
// it is removed.
func tagObjects(ctx context.Context, o Options, tag string) ([]*unstructured.Unstructured, error) {
	c, err := o.chart(ctx, "istiod")
	if err != nil {
		return nil, err
	}
	v := values(o)
	v["revisionTags"] = []any{tag}
	objects, err := render(ctx, Named(istiodRelease, o.Revision), c, v)
	if err != nil {
		return nil, err
	}
	objects = slices.DeleteFunc(objects, func(u *unstructured.Unstructured) bool { return u.GetLabels()[label.IoIstioTag.Name] != tag })
	if len(objects) == 0 {
		return nil, fmt.Errorf("the chart of Istio %s makes nothing of the tag %s", o.Version, tag)
	}
	return objects, nil
}

// Untag removes a tag. Namespaces that name it are injected by nobody from then on.
func Untag(ctx context.Context, client klient.Client, tag string) error {
	hook := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "istio-revision-tag-" + tag}}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "istiod-revision-tag-" + tag, Namespace: RootNamespace}}
	for _, o := range []k8s.Object{hook, service} {
		if err := client.Resources(o.GetNamespace()).Delete(ctx, o); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing the tag %s: %w", tag, err)
		}
	}
	return nil
}

// Remove takes the control plane of a revision away, and returns when it is gone.
// Sidecars that it injected must be gone before: nobody renews their certificates
// any more. It refuses while a tag points to it, and to leave no control plane.
func Remove(ctx context.Context, client klient.Client, kubeconfig, revision string) error {
	var tags admissionv1.MutatingWebhookConfigurationList
	if err := client.Resources().List(ctx, &tags, resources.WithLabelSelector(label.IoIstioTag.Name+","+label.IoIstioRev.Name+"="+revision)); err != nil {
		return fmt.Errorf("looking for tags of the revision %s: %w", revision, err)
	}
	if len(tags.Items) > 0 {
		return fmt.Errorf("removing the revision %s: the tag %s still points to it", revision, tags.Items[0].Labels[label.IoIstioTag.Name])
	}
	h, err := newHelm(kubeconfig)
	if err != nil {
		return err
	}
	if err := h.remove(ctx, revision); err != nil {
		return fmt.Errorf("removing the revision %s: %w", revision, err)
	}
	selector := istiodOf(revision)
	return wait.For(ctx, "the control plane of the revision "+revision+" to be gone", func(ctx context.Context) (bool, string, error) {
		var pods corev1.PodList
		err := client.Resources(RootNamespace).List(ctx, &pods, resources.WithLabelSelector(selector))
		return err == nil && len(pods.Items) == 0, describe(pods.Items), err
	}, wait.Timeout(readyTimeout))
}

// remove takes the Helm release of a revision away. One that was never whole, since a run
// was killed while it came, validates nothing and has nothing to hand over.
func (h helm) remove(ctx context.Context, revision string) error {
	name := Named(istiodRelease, revision)
	if removed, err := h.repair(name); removed || err != nil {
		return err
	}
	if err := h.leaveValidation(ctx, revision); err != nil {
		return err
	}
	return h.uninstall(name)
}

// leaveValidation has objects that name no revision validated by the newest other
// control plane, if it was this one that did. Without, none could be changed any more.
func (h helm) leaveValidation(ctx context.Context, revision string) error {
	standing, err := h.controlPlanes()
	if err != nil {
		return err
	}
	base, err := h.base()
	if err != nil {
		return err
	}
	if standing[revision] == nil || base == nil {
		return fmt.Errorf("there is no such control plane, only %v", slices.Sorted(maps.Keys(standing)))
	}
	successor := ""
	for _, other := range slices.Sorted(maps.Keys(standing)) {
		if other != revision && (successor == "" || standing[successor].LessThan(standing[other])) {
			successor = other
		}
	}
	if successor == "" {
		return errors.New("it is the only control plane")
	}
	if base.Config[defaultRevisionValue] != revision {
		return nil
	}
	v := maps.Clone(base.Config)
	v[defaultRevisionValue] = successor
	return h.upgrade(ctx, baseRelease, base.Chart, v)
}
