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
		wanted := int32(1)
		if s.Spec.Replicas != nil {
			wanted = *s.Spec.Replicas
		}
		now := s.Status
		return now.UpdatedReplicas == wanted && now.ReadyReplicas == wanted,
			fmt.Sprintf("%d of %d replicas are of it, %d ready", now.UpdatedReplicas, wanted, now.ReadyReplicas)
	})
}

// set changes the release of the object. Without a strategy the Operator has its own,
// which is to roll.
func set(ctx context.Context, client klient.Client, object types.NamespacedName, r Release, strategy monitoringv1.StatefulSetUpdateStrategyType) error {
	patch, err := releasePatch(r, strategy)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusesKind))
	u.SetNamespace(object.Namespace)
	u.SetName(object.Name)
	if err := client.Resources().GetControllerRuntimeClient().Patch(ctx, u, crclient.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("changing the Prometheus %s to %s: %w", object, r.Version, err)
	}
	return nil
}

// releasePatch is a merge patch of a Prometheus object. The Operator makes the
// configuration by the version and runs the image, so both are set.
func releasePatch(r Release, strategy monitoringv1.StatefulSetUpdateStrategyType) ([]byte, error) {
	var update any // null removes it
	if strategy != "" {
		update = map[string]any{"type": strategy}
	}
	return json.Marshal(map[string]any{"spec": map[string]any{"version": r.Version, "image": r.Image, "updateStrategy": update}})
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
	image := imageOf(s.Spec.Template.Spec)
	is := s.Spec.UpdateStrategy.Type
	if is == "" {
		is = appsv1.RollingUpdateStatefulSetStrategyType // the API's default
	}
	return image == r.Image && is == strategy && s.Status.ObservedGeneration >= s.Generation,
		fmt.Sprintf("its template has the image %s, it updates by %s", image, is)
}

// imageOf is that of Prometheus itself.
func imageOf(p corev1.PodSpec) string {
	for _, c := range p.Containers {
		if c.Name == "prometheus" {
			return c.Image
		}
	}
	return ""
}
