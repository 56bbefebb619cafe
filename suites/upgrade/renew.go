package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"istio.io/api/label"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

const (
	// parallelRollouts is how many Deployments are rolled out at a time: as many as a
	// small machine has cores, so that those who scrape meanwhile get their share.
	parallelRollouts = 2
	// readyTimeout bounds the start of one pod with its sidecar, which takes 10 s.
	readyTimeout = 2 * time.Minute
)

// renew makes every pod of the namespace anew that has the proxy of another version,
// whether it is scraped or not: a control plane may go only when nobody uses it. The
// replicas of Prometheus, which are no Deployment, come one after the other.
func (s subject) renew(ctx context.Context, version string) error {
	var pods corev1.PodList
	if err := s.client.Resources(s.namespace).List(ctx, &pods); err != nil {
		return fmt.Errorf("looking for pods with an older or newer proxy: %w", err)
	}
	var deployments appsv1.DeploymentList
	if err := s.client.Resources(s.namespace).List(ctx, &deployments); err != nil {
		return fmt.Errorf("looking for Deployments to roll out: %w", err)
	}
	rollouts, rctx := errgroup.WithContext(ctx)
	rollouts.SetLimit(parallelRollouts)
	for _, d := range deployments.Items {
		if len(outdated(pods.Items, d.Spec.Selector.MatchLabels, version)) > 0 {
			rollouts.Go(func() error {
				return disrupt.Rollout(s.client, d.Name, d.Name+" is rolled out anew", s.namespace, d.Name).Apply(rctx)
			})
		}
	}
	if err := rollouts.Wait(); err != nil {
		return err
	}
	for _, p := range outdated(pods.Items, nil, version) {
		owner := metav1.GetControllerOf(&p)
		switch {
		case owner == nil:
			if err := s.recreate(ctx, p); err != nil {
				return err
			}
		case owner.Kind == "StatefulSet":
			if err := disrupt.PodRestart(s.client, p.Name, p.Name+" is made anew", s.namespace, p.Name).Apply(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// outdated are the pods with some labels whose proxy is not of a version. One that has
// none, and did not say that it wants none, was made while nobody injected them.
func outdated(pods []corev1.Pod, with map[string]string, version string) []corev1.Pod {
	var some []corev1.Pod
	for _, p := range pods {
		v, has := proxyVersion(&p)
		wants := has || p.Labels[label.SidecarInject.Name] != "false"
		if wants && v != version && p.DeletionTimestamp == nil && labels.SelectorFromSet(with).Matches(labels.Set(p.Labels)) {
			some = append(some, p)
		}
	}
	return some
}

// recreate makes one of the suite's own clients anew, which nobody else would.
func (s subject) recreate(ctx context.Context, p corev1.Pod) error {
	objects, err := manifests.Read(manifests.Probe)
	if err != nil {
		return err
	}
	if err := s.client.Resources(s.namespace).Delete(ctx, &p, resources.WithGracePeriod(0)); err != nil {
		return fmt.Errorf("removing the client %s/%s: %w", p.Namespace, p.Name, err)
	}
	if err := cluster.Apply(ctx, s.client, manifests.Apply(objects, manifests.InNamespace(s.namespace))...); err != nil {
		return err
	}
	return wait.For(ctx, "the client "+p.Name+" to be ready", func(ctx context.Context) (bool, string, error) {
		var now corev1.Pod
		if err := s.client.Resources(s.namespace).Get(ctx, p.Name, s.namespace, &now); err != nil {
			return false, "", err
		}
		return now.UID != p.UID && cluster.PodReady(now), string(now.Status.Phase), nil
	}, wait.Timeout(readyTimeout))
}

// underWay is the annotation of the control plane's namespace that names, by its
// check, an upgrade which has begun and not ended.
const underWay = "mtls-scrape-conformance/upgrade"

// note writes down that an upgrade is under way; empty, that none is.
func (s subject) note(ctx context.Context, check string) error {
	var value any // null removes it
	if check != "" {
		value = check
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{underWay: value}}})
	if err != nil {
		return err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: mesh.RootNamespace}}
	if err := s.client.Resources().Patch(ctx, ns, k8s.Patch{PatchType: types.MergePatchType, Data: patch}); err != nil {
		return fmt.Errorf("noting in the namespace %s which upgrade is under way: %w", mesh.RootNamespace, err)
	}
	return nil
}

// unfinished is the check of an upgrade that a killed run left half way; empty if
// there is none.
func (s subject) unfinished(ctx context.Context) (check string, err error) {
	var ns corev1.Namespace
	if err := s.client.Resources().Get(ctx, mesh.RootNamespace, "", &ns); err != nil {
		return "", fmt.Errorf("looking for an upgrade that an earlier run left half way: %w", err)
	}
	return ns.Annotations[underWay], nil
}

// goBack rolls back what an earlier run left half way. Where to, only a run of the same
// versions knows.
func (s subject) goBack(ctx context.Context, check string) error {
	if _, to := s.versions(check); to == "" {
		return errors.New("this run is of something else and does not know its versions: run `make upgrade` once more with the UPGRADE, FROM and TO of that run")
	}
	if err := s.rollBack(ctx, check); err != nil {
		return err
	}
	return s.note(ctx, "")
}

// rollBack brings the subject to where an upgrade began, from wherever it is. Only a
// canary upgrade that has removed the old control plane is too far for that.
func (s subject) rollBack(ctx context.Context, check string) error {
	switch check {
	case upgradePrometheus.ID:
		return monitoring.Roll(ctx, s.client, s.object(), s.prometheus.from)
	case upgradeOperator.ID:
		return s.operatorBack(ctx)
	case upgradeInPlace.ID:
		if err := mesh.Upgrade(ctx, s.client, s.options(s.from)); err != nil {
			return err
		}
		if err := mesh.LeaveOwnCA(ctx, s.client, s.namespace); err != nil {
			return err
		}
		return s.renew(ctx, s.from.Version)
	}
	old, err := s.stands(ctx, "istiod")
	if err != nil {
		return err
	}
	if !old {
		return fmt.Errorf("the control plane of Istio %s is gone already, so the mesh stays at %s", s.from.Version, s.to.Version)
	}
	if err := mesh.Inject(ctx, s.client, s.namespace, s.from.Revision); err != nil {
		return err
	}
	if err := s.renew(ctx, s.from.Version); err != nil {
		return err
	}
	if err := mesh.Untag(ctx, s.client, tag); err != nil {
		return err
	}
	canary := s.canary().Revision
	there, err := s.stands(ctx, "istiod-"+canary)
	if err != nil {
		return err
	}
	if there {
		if err := mesh.Remove(ctx, s.client, s.kubeconfig, canary); err != nil {
			return err
		}
	}
	return mesh.LeaveOwnCA(ctx, s.client, s.namespace)
}

func (s subject) stands(ctx context.Context, deployment string) (bool, error) {
	err := s.client.Resources(mesh.RootNamespace).Get(ctx, deployment, mesh.RootNamespace, &appsv1.Deployment{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
