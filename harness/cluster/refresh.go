package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
)

// refreshAnnotation is changed on a pod for the kubelet to look at it.
const refreshAnnotation = "mtls-scrape-conformance/refreshed"

// Refresh has the kubelet bring the Secrets and ConfigMaps that pods mount up to
// date now. It does so whenever a pod changes, and else about once a minute. The
// pods are those of a namespace that a label selector matches; empty means all. A
// pod that is gone by now needs nothing.
func Refresh(ctx context.Context, client klient.Client, namespace, selector string) error {
	var pods corev1.PodList
	var options []resources.ListOption
	if selector != "" {
		options = append(options, resources.WithLabelSelector(selector))
	}
	if err := client.Resources(namespace).List(ctx, &pods, options...); err != nil {
		return fmt.Errorf("listing the pods to refresh in %s: %w", namespace, err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]any{refreshAnnotation: time.Now().UTC().Format(time.RFC3339Nano)},
	}})
	if err != nil {
		return err
	}
	for _, p := range pods.Items {
		err := client.Resources(namespace).Patch(ctx, &p, k8s.Patch{PatchType: types.MergePatchType, Data: patch})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("refreshing the volumes of the pod %s/%s: %w", namespace, p.Name, err)
		}
	}
	return nil
}
