package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// workloadsTimeout bounds the start of ten pods with sidecars on two cores, which
// was measured at under half a minute.
const workloadsTimeout = 4 * time.Minute

// deploy applies the guide: the namespace is taken into the mesh, then come the
// Operator, Bookinfo, the ServiceMonitor and the Prometheus. The ServiceMonitor is
// there before the Prometheus, whose first configuration then has it.
func (s *Stack) deploy(ctx context.Context, v Variant, p sources) (string, error) {
	guide, err := Workloads(v, Namespace, p.prometheus, p.byUpstream())
	if err != nil {
		return "", err
	}
	objects := slices.Concat([]*unstructured.Unstructured{injected(Namespace)}, p.operator.Objects, guide)
	if err := cluster.Apply(ctx, s.Client, objects...); err != nil {
		return "", err
	}
	return waitForPods(ctx, s.Client, Namespace, 1)
}

// injected is the namespace with the label that has Istio add its sidecar.
func injected(namespace string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(namespace)
	u.SetLabels(map[string]string{mesh.InjectionLabel: "enabled"})
	return u
}

// waitForPods waits until every workload of the namespace has all its replicas, and
// the Operator has made as many StatefulSets as it is to.
func waitForPods(ctx context.Context, client klient.Client, namespace string, wanted int) (note string, err error) {
	err = wait.For(ctx, "the workloads in "+namespace+" to be ready", func(ctx context.Context) (bool, string, error) {
		var deployments appsv1.DeploymentList
		if err := client.Resources(namespace).List(ctx, &deployments); err != nil {
			return false, "", err
		}
		var sets appsv1.StatefulSetList
		if err := client.Resources(namespace).List(ctx, &sets); err != nil {
			return false, "", err
		}
		var waiting []string
		ready := int32(0)
		count := func(o metav1.Object, asked *int32, have int32) {
			ready += have
			if asked == nil || have < *asked {
				waiting = append(waiting, fmt.Sprintf("%s has %d ready", o.GetName(), have))
			}
		}
		for _, d := range deployments.Items {
			count(&d, d.Spec.Replicas, d.Status.ReadyReplicas)
		}
		for _, s := range sets.Items {
			count(&s, s.Spec.Replicas, s.Status.ReadyReplicas)
		}
		var pods corev1.PodList
		if err := client.Resources(namespace).List(ctx, &pods); err != nil {
			return false, "", err
		}
		one := int32(1)
		for _, p := range pods.Items {
			if len(p.OwnerReferences) == 0 { // a client that asks from inside the cluster
				have := int32(0)
				if cluster.PodReady(p) {
					have = 1
				}
				count(&p, &one, have)
			}
		}
		if len(sets.Items) < wanted {
			waiting = append(waiting, fmt.Sprintf("the Operator has made %d of %d StatefulSets", len(sets.Items), wanted))
		}
		note = fmt.Sprintf("%d pods ready", ready)
		if len(waiting) == 0 {
			return true, note, nil
		}
		return false, strings.Join(append(waiting, stuckContainers(pods.Items)...), "; "), nil
	}, wait.Timeout(workloadsTimeout))
	return note, err
}

// stuckContainers says what keeps pods that wait for more than their turn.
func stuckContainers(pods []corev1.Pod) []string {
	var stuck []string
	for _, p := range pods {
		for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if w := c.State.Waiting; w != nil && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
				stuck = append(stuck, strings.TrimSpace(fmt.Sprintf("%s/%s: %s %s", p.Name, c.Name, w.Reason, w.Message)))
			}
		}
	}
	return stuck
}
