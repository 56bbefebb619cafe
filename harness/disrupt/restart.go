package disrupt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// PodRestart deletes a pod of a StatefulSet and waits for the new one of the same
// name.
func PodRestart(client klient.Client, name, title, namespace, pod string) Disruption {
	return Disruption{
		Name: name, Title: title,
		Apply: func(ctx context.Context) error {
			var p corev1.Pod
			if err := client.Resources(namespace).Get(ctx, pod, namespace, &p); err != nil {
				return err
			}
			old := p.UID
			if err := client.Resources(namespace).Delete(ctx, &p); err != nil {
				return err
			}
			return awaitPod(ctx, client, namespace, pod, "a new pod "+pod+" to be ready", func(p corev1.Pod) bool { return p.UID != old && ready(p) })
		},
		Undo: func(ctx context.Context) error {
			return awaitPod(ctx, client, namespace, pod, "the pod "+pod+" to be ready", ready)
		},
	}
}

// ReplicaRestart deletes the first pod of a Deployment, by name, and waits until
// another has taken its place.
func ReplicaRestart(client klient.Client, name, title, namespace, deployment string) Disruption {
	settled := func(ctx context.Context, old types.UID) error {
		refused := refusalsOf(client, namespace, deployment)
		return wait.For(ctx, "every replica of "+namespace+"/"+deployment+" to be ready", func(ctx context.Context) (bool, string, error) {
			d, pods, err := replicasOf(ctx, client, namespace, deployment)
			if err != nil {
				return false, "", err
			}
			n := 0
			for _, p := range pods {
				if p.UID != old && ready(p) {
					n++
				}
			}
			state := fmt.Sprintf("%d of %d ready", n, *d.Spec.Replicas)
			if n == int(*d.Spec.Replicas) {
				return true, state, nil
			}
			return false, state, refused.hopeless(ctx)
		}, wait.Timeout(recoveryTimeout))
	}
	return Disruption{
		Name: name, Title: title,
		Apply: func(ctx context.Context) error {
			_, pods, err := replicasOf(ctx, client, namespace, deployment)
			if err != nil {
				return err
			}
			if len(pods) == 0 {
				return fmt.Errorf("the Deployment %s/%s has no pod", namespace, deployment)
			}
			if err := client.Resources(namespace).Delete(ctx, &pods[0]); err != nil {
				return err
			}
			return settled(ctx, pods[0].UID)
		},
		Undo: func(ctx context.Context) error { return settled(ctx, "") },
	}
}

// replicasOf are the pods of a Deployment, by name.
func replicasOf(ctx context.Context, client klient.Client, namespace, deployment string) (d appsv1.Deployment, pods []corev1.Pod, err error) {
	if err := client.Resources(namespace).Get(ctx, deployment, namespace, &d); err != nil {
		return d, nil, err
	}
	var list corev1.PodList
	if err := client.Resources(namespace).List(ctx, &list, resources.WithLabelSelector(metav1.FormatLabelSelector(d.Spec.Selector))); err != nil {
		return d, nil, err
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return d, list.Items, nil
}

// Rollout restarts every pod of a Deployment, as `kubectl rollout restart` does.
func Rollout(client klient.Client, name, title, namespace, deployment string) Disruption {
	return Disruption{
		Name: name, Title: title,
		Apply: func(ctx context.Context) error {
			patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
				"annotations": map[string]any{"kubectl.kubernetes.io/restartedAt": time.Now().Format(time.RFC3339Nano)},
			}}}})
			if err != nil {
				return err
			}
			d := appsv1.Deployment{}
			d.Name, d.Namespace = deployment, namespace
			if err := client.Resources(namespace).Patch(ctx, &d, k8s.Patch{PatchType: types.StrategicMergePatchType, Data: patch}); err != nil {
				return err
			}
			return awaitRollout(ctx, client, namespace, deployment)
		},
		Undo: func(ctx context.Context) error { return awaitRollout(ctx, client, namespace, deployment) },
	}
}

// SidecarRestart ends the Envoy of a pod's sidecar; its agent ends with it, and
// the kubelet starts the container anew while the rest of the pod goes on.
func SidecarRestart(client klient.Client, name, title, namespace, pod string) Disruption {
	const container = "istio-proxy"
	return Disruption{
		Name: name, Title: title,
		Apply: func(ctx context.Context) error {
			var p corev1.Pod
			if err := client.Resources(namespace).Get(ctx, pod, namespace, &p); err != nil {
				return err
			}
			before := restarts(p, container)
			if before < 0 {
				return fmt.Errorf("the pod %s/%s has no container %s", namespace, pod, container)
			}
			var out, errOut bytes.Buffer
			// Envoy may be gone before it has answered; what counts is the restart.
			err := client.Resources().ExecInPod(ctx, namespace, pod, container, []string{"pilot-agent", "request", "POST", "quitquitquit"}, &out, &errOut)
			waitErr := awaitPod(ctx, client, namespace, pod, "the sidecar of "+pod+" to be restarted", func(p corev1.Pod) bool {
				return restarts(p, container) > before && ready(p)
			})
			if waitErr != nil && err != nil {
				return fmt.Errorf("%w (asking Envoy to end: %w %s)", waitErr, err, strings.TrimSpace(errOut.String()))
			}
			return waitErr
		},
		Undo: func(ctx context.Context) error {
			return awaitPod(ctx, client, namespace, pod, "the pod "+pod+" to be ready", ready)
		},
	}
}

func awaitPod(ctx context.Context, client klient.Client, namespace, pod, what string, holds func(corev1.Pod) bool) error {
	refused := refusalsOf(client, namespace, setOf(pod))
	return wait.For(ctx, what, func(ctx context.Context) (bool, string, error) {
		var p corev1.Pod
		err := client.Resources(namespace).Get(ctx, pod, namespace, &p)
		if apierrors.IsNotFound(err) {
			return false, "there is no pod " + pod, refused.hopeless(ctx)
		}
		if err != nil {
			return false, "", err
		}
		return holds(p), fmt.Sprintf("%s is %s, restarted %d times", pod, p.Status.Phase, restarts(p, "istio-proxy")), nil
	}, wait.Timeout(recoveryTimeout))
}

func ready(p corev1.Pod) bool { return p.DeletionTimestamp == nil && cluster.PodReady(p) }

// restarts is how often a container was restarted, or -1 if there is none.
func restarts(p corev1.Pod, container string) int32 {
	for _, s := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if s.Name == container {
			return s.RestartCount
		}
	}
	return -1
}
