package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const (
	// templateTimeout bounds the time until the Operator has changed the StatefulSet,
	// which takes it a second.
	templateTimeout = time.Minute
	// rollTimeout bounds a roll of both replicas, of which each takes up to half a minute
	// to end and to be ready again.
	rollTimeout = 4 * time.Minute
)

// Release is a version of Prometheus, as in "v3.16.0", and the reference of its image.
type Release struct{ Version, Image string }

// Offer has the Operator change the StatefulSet of a Prometheus to a release, of which a
// replica becomes when its pod is deleted, and not before. It returns when that has come
// about. The configuration is that for the release from then on, for every replica: the
// Operator makes one for all.
func Offer(ctx context.Context, client klient.Client, object types.NamespacedName, r Release) error {
	if err := set(ctx, client, object, r, monitoringv1.OnDeleteStatefulSetStrategyType); err != nil {
		return err
	}
	return await(ctx, client, object, "offer "+r.Version, templateTimeout, func(s appsv1.StatefulSet) (bool, string) {
		return offers(s, r, appsv1.OnDeleteStatefulSetStrategyType)
	})
}

// Roll has every replica of a Prometheus be of a release, and waits for them: the
// StatefulSet replaces what is of another, one after the other. That is also how an
// [Offer] ends.
func Roll(ctx context.Context, client klient.Client, object types.NamespacedName, r Release) error {
	if err := set(ctx, client, object, r, ""); err != nil {
		return err
	}
	return await(ctx, client, object, "have rolled to "+r.Version, rollTimeout, func(s appsv1.StatefulSet) (bool, string) {
		if ok, why := offers(s, r, appsv1.RollingUpdateStatefulSetStrategyType); !ok {
			return false, why
		}
		return rolled(s)
	})
}

// set changes the release of the object. Without a strategy the Operator has its own,
// which is to roll.
func set(ctx context.Context, client klient.Client, object types.NamespacedName, r Release, strategy monitoringv1.StatefulSetUpdateStrategyType) error {
	patch, err := releasePatch(r, strategy)
	if err != nil {
		return err
	}
	return patchPrometheus(ctx, client, object, "its version to "+r.Version, patch)
}

// patchPrometheus merges a patch into a Prometheus object; what it changes is for the error.
func patchPrometheus(ctx context.Context, client klient.Client, object types.NamespacedName, what string, patch []byte) error {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusesKind))
	u.SetNamespace(object.Namespace)
	u.SetName(object.Name)
	if err := client.Resources().GetControllerRuntimeClient().Patch(ctx, u, crclient.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("changing the Prometheus %s, %s: %w", object, what, err)
	}
	return nil
}

// releasePatch is a merge patch of a Prometheus object. The Operator makes the
// configuration by the version and runs the image, so both are set.
func releasePatch(r Release, strategy monitoringv1.StatefulSetUpdateStrategyType) ([]byte, error) {
	return json.Marshal(map[string]any{"spec": map[string]any{"version": r.Version, "image": r.Image, "updateStrategy": updateStrategy(strategy)}})
}

// updateStrategy is the field of that name in a merge patch, where null removes it.
func updateStrategy(strategy monitoringv1.StatefulSetUpdateStrategyType) any {
	if strategy == "" {
		return nil
	}
	return map[string]any{"type": strategy}
}

// await waits for something of the StatefulSet of a Prometheus.
func await(ctx context.Context, client klient.Client, object types.NamespacedName, what string, timeout time.Duration, holds func(appsv1.StatefulSet) (bool, string)) error {
	name := "prometheus-" + object.Name // the Operator's, for the first shard
	return wait.For(ctx, "the StatefulSet "+object.Namespace+"/"+name+" to "+what, func(ctx context.Context) (bool, string, error) {
		var s appsv1.StatefulSet
		if err := client.Resources(object.Namespace).Get(ctx, name, object.Namespace, &s); err != nil {
			return false, "", err
		}
		ok, state := holds(s)
		return ok, state, nil
	}, wait.Timeout(timeout))
}

// offers reports whether a new pod of a StatefulSet would be of a release, and pods are
// replaced as a strategy says.
func offers(s appsv1.StatefulSet, r Release, strategy appsv1.StatefulSetUpdateStrategyType) (bool, string) {
	image := imageIn(s.Spec.Template.Spec, "prometheus")
	ok, state := updatesBy(s, strategy)
	return ok && image == r.Image, fmt.Sprintf("its template has the image %s, %s", image, state)
}

// imageIn is the image of a container by its name; empty if there is none.
func imageIn(p corev1.PodSpec, container string) string {
	for _, c := range p.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}
