package disrupt

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// Outage takes every replica of a Deployment away for a time.
func Outage(client klient.Client, name, title, namespace, deployment string, lasts time.Duration) Disruption {
	return Disruption{
		Name: name, Title: title, Lasts: lasts,
		Apply: func(ctx context.Context) error {
			var d appsv1.Deployment
			if err := client.Resources(namespace).Get(ctx, deployment, namespace, &d); err != nil {
				return err
			}
			replicas := int32(1)
			if d.Spec.Replicas != nil {
				replicas = *d.Spec.Replicas
			}
			// One patch: there is no moment at which the change is made and the way back
			// is not written down.
			if err := patchScale(ctx, client, &d, 0, strconv.Itoa(int(replicas))); err != nil {
				return err
			}
			return awaitNoPods(ctx, client, &d)
		},
		Undo: func(ctx context.Context) error {
			var d appsv1.Deployment
			if err := client.Resources(namespace).Get(ctx, deployment, namespace, &d); err != nil {
				return err
			}
			return restoreScale(ctx, client, &d)
		},
	}
}

func patchScale(ctx context.Context, client klient.Client, d *appsv1.Deployment, replicas int, undo any) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{undoAnnotation: undo}},
		"spec":     map[string]any{"replicas": replicas},
	})
	if err != nil {
		return err
	}
	return client.Resources(d.Namespace).Patch(ctx, d, k8s.Patch{PatchType: types.MergePatchType, Data: patch})
}

// restoreScale gives a Deployment back the replicas that its annotation tells of,
// and waits for them.
func restoreScale(ctx context.Context, client klient.Client, d *appsv1.Deployment) error {
	text, ok := d.Annotations[undoAnnotation]
	if !ok {
		return nil
	}
	replicas, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("the annotation %s of the Deployment %s/%s is %q, not a number of replicas: scale it by hand and remove the annotation", undoAnnotation, d.Namespace, d.Name, text)
	}
	if err := patchScale(ctx, client, d, replicas, nil); err != nil {
		return err
	}
	return awaitRollout(ctx, client, d.Namespace, d.Name)
}

func restoreScales(ctx context.Context, client klient.Client) (restored []string, err error) {
	var deployments appsv1.DeploymentList
	if err := client.Resources().List(ctx, &deployments); err != nil {
		return nil, fmt.Errorf("looking for what an earlier run left disrupted: %w", err)
	}
	for _, d := range deployments.Items {
		if _, ok := d.Annotations[undoAnnotation]; !ok {
			continue
		}
		if err := restoreScale(ctx, client, &d); err != nil {
			return restored, err
		}
		restored = append(restored, fmt.Sprintf("Deployment %s/%s", d.Namespace, d.Name))
	}
	return restored, nil
}

// awaitRollout waits until a Deployment has all its replicas, of the newest
// template, and no others.
func awaitRollout(ctx context.Context, client klient.Client, namespace, name string) error {
	refused := refusalsOf(client, namespace, name)
	return wait.For(ctx, "the rollout of "+namespace+"/"+name, func(ctx context.Context) (bool, string, error) {
		var d appsv1.Deployment
		if err := client.Resources(namespace).Get(ctx, name, namespace, &d); err != nil {
			return false, "", err
		}
		s := d.Status
		state := fmt.Sprintf("%d of %d replicas updated, %d available, %d in all", s.UpdatedReplicas, *d.Spec.Replicas, s.AvailableReplicas, s.Replicas)
		done := s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == *d.Spec.Replicas && s.AvailableReplicas == *d.Spec.Replicas && s.Replicas == *d.Spec.Replicas
		if done {
			return true, state, nil
		}
		return false, state, refused.hopeless(ctx)
	}, wait.Timeout(recoveryTimeout))
}

func awaitNoPods(ctx context.Context, client klient.Client, d *appsv1.Deployment) error {
	selector := ""
	for k, v := range d.Spec.Selector.MatchLabels {
		selector += k + "=" + v + ","
	}
	return wait.For(ctx, "the pods of "+d.Namespace+"/"+d.Name+" to be gone", func(ctx context.Context) (bool, string, error) {
		var pods corev1.PodList
		err := client.Resources(d.Namespace).List(ctx, &pods, resources.WithLabelSelector(selector[:len(selector)-1]))
		return err == nil && len(pods.Items) == 0, fmt.Sprintf("%d pods", len(pods.Items)), err
	}, wait.Timeout(recoveryTimeout))
}
