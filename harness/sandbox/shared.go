package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"istio.io/api/label"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// Shared are the Deployments of the cluster that others use as well as we do. They are
// disrupted only if their owner has allowed it by name.
type Shared struct{ Operator, ControlPlane types.NamespacedName }

// FindShared looks for them. Of several control planes it is that of the revision, if
// one has its name. One that is not found has the name that upstream gives it, so that
// who wants to disrupt it is told that it is not there.
func FindShared(ctx context.Context, config *rest.Config, revision string) (Shared, error) {
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Shared{}, fmt.Errorf("making a client for the cluster: %w", err)
	}
	all, err := k.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return Shared{}, fmt.Errorf("looking for the mesh's control plane and the Prometheus Operator: %w", err)
	}
	return sharedOf(all.Items, revision), nil
}

func sharedOf(deployments []appsv1.Deployment, revision string) Shared {
	var s Shared
	revision = cmp.Or(revision, mesh.DefaultRevision)
	exact := false
	for _, d := range deployments {
		name := types.NamespacedName{Namespace: d.Namespace, Name: d.Name}
		if d.Labels["app"] == "istiod" && !exact {
			s.ControlPlane, exact = name, d.Labels[label.IoIstioRev.Name] == revision
		}
		if runsOperator(d) {
			s.Operator = name
		}
	}
	if s.ControlPlane.Name == "" {
		s.ControlPlane = types.NamespacedName{Namespace: mesh.RootNamespace, Name: "istiod"}
	}
	if s.Operator.Name == "" {
		s.Operator = types.NamespacedName{Namespace: Namespace, Name: "prometheus-operator"}
	}
	return s
}

// runsOperator goes by the image, since the name is up to whoever installed it.
func runsOperator(d appsv1.Deployment) bool {
	for _, c := range d.Spec.Template.Spec.Containers {
		if isOperator(c.Image) {
			return true
		}
	}
	return false
}

func isOperator(image string) bool {
	name := image[strings.LastIndex(image, "/")+1:]
	return name == "prometheus-operator" || strings.HasPrefix(name, "prometheus-operator:") || strings.HasPrefix(name, "prometheus-operator@")
}
