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
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// operatorTimeout bounds the start of an Operator, with its sidecar, beside the one that
// it replaces: 10 s to 20 s on two cores.
const operatorTimeout = 2 * time.Minute

// OperatorRelease is a version of the Operator, as in "v0.92.0", and what it consists of.
type OperatorRelease struct {
	Version     string
	Definitions []*unstructured.Unstructured
	Objects     []*unstructured.Unstructured // its Deployment, and what that may do
	Reloader    string                       // reference of the image that it puts beside Prometheus
}

// Define brings the definitions of the Operator's objects to those of a release. Whoever
// goes forward does it before the Operator comes that knows them, whoever goes back when
// it is gone.
func Define(ctx context.Context, client klient.Client, r OperatorRelease) error {
	if err := cluster.Apply(ctx, client, r.Definitions...); err != nil {
		return fmt.Errorf("bringing the Operator's definitions to %s: %w", r.Version, err)
	}
	return nil
}

// Operate brings the Operator itself to a release. It returns when no other runs and it
// has changed the StatefulSet of a Prometheus, which from then on asks for the reloader
// of that release. Whether pods are replaced for it is for [Hold] to say.
func Operate(ctx context.Context, client klient.Client, object types.NamespacedName, r OperatorRelease) error {
	if err := cluster.Apply(ctx, client, r.Objects...); err != nil {
		return fmt.Errorf("bringing the Operator to %s: %w", r.Version, err)
	}
	for _, u := range r.Objects {
		if u.GetKind() != "Deployment" {
			continue
		}
		if err := awaitOperator(ctx, client, types.NamespacedName{Namespace: u.GetNamespace(), Name: u.GetName()}); err != nil {
			return err
		}
	}
	return await(ctx, client, object, "ask for the reloader of "+r.Version, templateTimeout, func(s appsv1.StatefulSet) (bool, string) {
		image := ReloaderOf(s.Spec.Template.Spec)
		return image == r.Reloader && s.Status.ObservedGeneration >= s.Generation, "its template has the image " + image
	})
}

// awaitOperator waits until a Deployment has all its replicas, of the newest template, and
// no others.
func awaitOperator(ctx context.Context, client klient.Client, name types.NamespacedName) error {
	return wait.For(ctx, "the Operator "+name.String()+" to be replaced", func(ctx context.Context) (bool, string, error) {
		var d appsv1.Deployment
		if err := client.Resources(name.Namespace).Get(ctx, name.Name, name.Namespace, &d); err != nil {
			return false, "", err
		}
		wanted, now := int32(1), d.Status
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		done := now.ObservedGeneration >= d.Generation && now.UpdatedReplicas == wanted && now.AvailableReplicas == wanted && now.Replicas == wanted
		return done, fmt.Sprintf("%d of %d replicas are of it, %d available, %d in all", now.UpdatedReplicas, wanted, now.AvailableReplicas, now.Replicas), nil
	}, wait.Timeout(operatorTimeout))
}

// Hold has the StatefulSet of a Prometheus replace no pod by itself: one becomes what the
// template says when it is deleted, and not before.
func Hold(ctx context.Context, client klient.Client, object types.NamespacedName) error {
	if err := pace(ctx, client, object, monitoringv1.OnDeleteStatefulSetStrategyType); err != nil {
		return err
	}
	return await(ctx, client, object, "replace no pod by itself", templateTimeout, func(s appsv1.StatefulSet) (bool, string) {
		return updatesBy(s, appsv1.OnDeleteStatefulSetStrategyType)
	})
}

// LetGo ends a [Hold]: the StatefulSet replaces what is not as its template says, one pod
// after the other. It returns when there is none left.
func LetGo(ctx context.Context, client klient.Client, object types.NamespacedName) error {
	if err := pace(ctx, client, object, ""); err != nil {
		return err
	}
	return await(ctx, client, object, "have every pod as its template says", rollTimeout, func(s appsv1.StatefulSet) (bool, string) {
		if ok, state := updatesBy(s, appsv1.RollingUpdateStatefulSetStrategyType); !ok {
			return false, state
		}
		return rolled(s)
	})
}

// pace changes how the StatefulSet of a Prometheus replaces pods; empty is the Operator's
// own way, which is to roll.
func pace(ctx context.Context, client klient.Client, object types.NamespacedName, strategy monitoringv1.StatefulSetUpdateStrategyType) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"updateStrategy": updateStrategy(strategy)}})
	if err != nil {
		return err
	}
	return patchPrometheus(ctx, client, object, "how its pods are replaced", patch)
}

// updatesBy reports whether the controller has taken over how pods are replaced.
func updatesBy(s appsv1.StatefulSet, strategy appsv1.StatefulSetUpdateStrategyType) (bool, string) {
	is := s.Spec.UpdateStrategy.Type
	if is == "" {
		is = appsv1.RollingUpdateStatefulSetStrategyType // the API's default
	}
	return is == strategy && s.Status.ObservedGeneration >= s.Generation, "it updates by " + string(is)
}

// rolled reports whether every pod is as the template says, and ready.
func rolled(s appsv1.StatefulSet) (bool, string) {
	wanted, now := int32(1), s.Status
	if s.Spec.Replicas != nil {
		wanted = *s.Spec.Replicas
	}
	return now.UpdatedReplicas == wanted && now.ReadyReplicas == wanted,
		fmt.Sprintf("%d of %d replicas are of it, %d ready", now.UpdatedReplicas, wanted, now.ReadyReplicas)
}

// ReloaderOf is the image of the Operator's reloader in a pod; empty if it has none.
func ReloaderOf(p corev1.PodSpec) string { return imageIn(p, "config-reloader") }
