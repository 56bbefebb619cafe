package sandbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// operatorTimeout bounds the wait for the owner's Operator to take the Prometheus up,
// which takes it a second or two: one that looks after the namespace is told of it.
const operatorTimeout = time.Minute

// Deploy applies the set-up to the claimed namespace and returns when all of it runs.
func (s *Sandbox) Deploy(ctx context.Context) (note string, err error) {
	objects, err := s.objects(s.accessLogFits(ctx))
	if err != nil {
		return "", err
	}
	if err := cluster.Apply(ctx, s.Client, objects[0]); err != nil {
		return "", err
	}
	if err := s.awaitQuota(ctx); err != nil {
		return "", err
	}
	if err := cluster.Apply(ctx, s.Client, objects[1:]...); err != nil {
		return "", s.explained(err, "")
	}
	if err := s.awaitOperator(ctx); err != nil {
		return "", err
	}
	if note, err = stack.Ready(ctx, s.Client, Namespace); err != nil {
		return "", s.explained(err, s.refusals(ctx))
	}
	return note, nil
}

// awaitQuota waits until what the quota counts has been counted: until then, the API
// server refuses whatever is to be counted.
func (s *Sandbox) awaitQuota(ctx context.Context) error {
	return wait.For(ctx, "the quota of "+Namespace+" to be in effect", func(ctx context.Context) (bool, string, error) {
		q, err := s.kubernetes.CoreV1().ResourceQuotas(Namespace).Get(ctx, quotaName, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return len(q.Status.Used) == len(q.Spec.Hard), fmt.Sprintf("%d of %d kinds are counted", len(q.Status.Used), len(q.Spec.Hard)), nil
	}, wait.Timeout(operatorTimeout))
}

// objects are all that the namespace gets: the quota first, then what holds for its part
// of the mesh, and the set-up of the guide.
func (s *Sandbox) objects(accessLogFits bool) ([]*unstructured.Unstructured, error) {
	images, err := stack.ImagesFrom(s.Registry, s.Prometheus)
	if err != nil {
		return nil, err
	}
	strict, err := manifests.Read(manifests.Mesh)
	if err != nil {
		return nil, err
	}
	workloads, err := stack.Workloads(s.Variant, Namespace, s.Prometheus, images)
	if err != nil {
		return nil, err
	}
	objects := append([]*unstructured.Unstructured{quota()}, manifests.Apply(strict, manifests.InNamespace(Namespace))...)
	if !accessLogFits {
		objects = append(objects, accessLog())
	}
	edits := []manifests.Edit{namespaced, counting, s.labelled, stack.EndsSoon}
	if s.PodSecurity != "" {
		edits = append(edits, restricted)
	}
	return manifests.Apply(append(objects, workloads...), edits...), nil
}

// accessLogFits reports whether sidecars of the mesh log what checks read, so that they
// need not be told to. If that cannot be read, they are told.
func (s *Sandbox) accessLogFits(ctx context.Context) bool {
	c, err := s.kubernetes.CoreV1().ConfigMaps(mesh.RootNamespace).Get(ctx, mesh.Named("istio", s.injection.Revision), metav1.GetOptions{})
	if err != nil || !strings.Contains(c.Data["mesh"], "/dev/stdout") {
		return false
	}
	for _, field := range mesh.AccessLogFields {
		if text, ok := field.(string); ok && !strings.Contains(c.Data["mesh"], text) {
			return false
		}
	}
	return true
}

// awaitOperator waits until the Operator of the cluster has made the StatefulSet. We
// bring none: if it does not, it is not there, or is told not to look here.
func (s *Sandbox) awaitOperator(ctx context.Context) error {
	err := wait.For(ctx, "the Prometheus Operator to make the StatefulSet of Prometheus "+Namespace+"/"+Prometheus, func(ctx context.Context) (bool, string, error) {
		sets, err := s.kubernetes.AppsV1().StatefulSets(Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", err
		}
		return len(sets.Items) > 0, fmt.Sprintf("%d StatefulSets in %s", len(sets.Items), Namespace), nil
	}, wait.Timeout(operatorTimeout))
	if err == nil || ctx.Err() != nil {
		return err
	}
	all, listErr := s.kubernetes.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if listErr != nil {
		return fmt.Errorf("%w\n  whether the cluster has an Operator could not be seen: %w", err, listErr)
	}
	return fmt.Errorf("%w\n  %s", err, operatorHint(all.Items))
}

// operatorHint says why no Operator looks after the namespace, by how those that there
// are were started, and what to change.
func operatorHint(deployments []appsv1.Deployment) string {
	var found []string
	for _, d := range deployments {
		for _, c := range d.Spec.Template.Spec.Containers {
			if !isOperator(c.Image) {
				continue
			}
			flags := "no flag that names namespaces: see its log"
			var named []string
			for _, a := range append(c.Command, c.Args...) {
				if strings.Contains(a, "namespaces") || strings.Contains(a, "-selector") {
					named = append(named, a)
				}
			}
			if len(named) > 0 {
				flags = strings.Join(named, " ")
			}
			found = append(found, fmt.Sprintf("Deployment %s/%s has %s", d.Namespace, d.Name, flags))
		}
	}
	if len(found) == 0 {
		return "no Deployment of the cluster runs a Prometheus Operator: install one"
	}
	return "the Operator there does not look after the namespace: " + strings.Join(found, "; ") +
		". Add " + Namespace + " to its flags --namespaces and --prometheus-instance-namespaces, or leave them out, and see that it runs"
}

// refusals are what the API server said of pods that were not made, from the warnings
// in the namespace; empty if none can be read.
func (s *Sandbox) refusals(ctx context.Context) string {
	events, err := s.kubernetes.CoreV1().Events(Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		return ""
	}
	return refusalsIn(events.Items)
}

func refusalsIn(events []corev1.Event) string {
	var texts []string
	seen := map[string]bool{}
	for _, e := range events {
		text := fmt.Sprintf("%s %s: %s", e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message)
		if e.Reason == "FailedCreate" && !seen[text] {
			seen[text] = true
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n  ")
}

// explained adds to an error what else is known of it, and what to change where that is
// clear.
func (s *Sandbox) explained(err error, refusals string) error {
	if refusals != "" {
		err = fmt.Errorf("%w\n  %s", err, refusals)
	}
	switch text := err.Error(); {
	case strings.Contains(text, "violates PodSecurity"):
		return fmt.Errorf("%w\n  pods with a sidecar pass the level %q only where the mesh has Istio's CNI plugin: without it, istio-init needs NET_ADMIN. Install the plugin, or leave POD_SECURITY out", err, s.PodSecurity)
	case strings.Contains(text, "ErrImagePull"), strings.Contains(text, "ImagePullBackOff"), strings.Contains(text, "ErrImageNeverPull"):
		return fmt.Errorf("%w\n  the nodes must be able to pull every image; that of the probes is published nowhere. Put them into a registry that they reach, and name it with REGISTRY=host/path", err)
	}
	return err
}
