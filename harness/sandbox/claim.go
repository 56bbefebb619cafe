package sandbox

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// takes is how often a namespace that is in the way is removed: once for what a dead
// run left, and once more if another run came first and was killed at once.
const takes = 2

// Claim makes the namespace and holds it until it is removed or released. What a run
// left that holds it no more is removed first. The error is a [HeldError] if another run
// has it; then, and if the namespace is not of this project, nothing was touched. Lost is
// called, from elsewhere, if the run can hold it no longer.
func (s *Sandbox) Claim(ctx context.Context, lost func(error)) (note string, err error) {
	if err := s.served(); err != nil {
		return "", err
	}
	if s.before, err = list(ctx, s.metadata); err != nil {
		return "", err
	}
	note = fmt.Sprintf("namespace %s, %s=%s", Namespace, s.injection.Key, s.injection.Value)
	for try := 0; ; try++ {
		n, err := s.kubernetes.CoreV1().Namespaces().Create(ctx, s.namespace(), metav1.CreateOptions{})
		if err == nil {
			s.uid = n.UID
			break
		}
		if !apierrors.IsAlreadyExists(err) || try == takes {
			s.adopt(ctx)
			return "", fmt.Errorf("making the namespace %s: %w", Namespace, err)
		}
		left, err := s.vacate(ctx)
		if err != nil {
			return "", err
		}
		note += left
	}
	if err := s.lease(ctx, time.Now()); err != nil {
		return "", err
	}
	s.release = s.hold(context.WithoutCancel(ctx), lost)
	return note, nil
}

// adoptTimeout bounds a look for a namespace whose making was cut short: one request.
const adoptTimeout = 10 * time.Second

// adopt takes the namespace for this run's if it is, though nobody said so: an interrupt
// can come after the API server has made it and before it has answered.
func (s *Sandbox) adopt(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adoptTimeout)
	defer cancel()
	n, err := s.kubernetes.CoreV1().Namespaces().Get(ctx, Namespace, metav1.GetOptions{})
	if err == nil && n.Labels[ManagedByLabel] == ManagedBy && n.Labels[RunLabel] == s.RunID {
		s.uid = n.UID
	}
}

// served fails if the cluster lacks the kinds of the mesh or of the Operator. Nobody is
// going to define them, so there is nothing to wait for.
func (s *Sandbox) served() error {
	for version, next := range map[string]string{
		"monitoring.coreos.com/v1": "install the Prometheus Operator with its definitions",
		"security.istio.io/v1":     "install Istio, 1.22 or newer",
	} {
		_, err := s.kubernetes.Discovery().ServerResourcesForGroupVersion(version)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("the cluster knows no objects of %s: %s", version, next)
		}
		if err != nil {
			return fmt.Errorf("asking the cluster for the kinds of %s: %w", version, err)
		}
	}
	return nil
}

// namespace is that of the run.
func (s *Sandbox) namespace() *corev1.Namespace {
	labels := s.labels()
	labels[s.injection.Key] = s.injection.Value
	if s.PodSecurity != "" {
		labels["pod-security.kubernetes.io/enforce"] = s.PodSecurity
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace, Labels: labels}}
}

// vacate removes a namespace that stands in the way, if a run made it that does not
// hold it any more.
func (s *Sandbox) vacate(ctx context.Context) (note string, err error) {
	n, err := s.kubernetes.CoreV1().Namespaces().Get(ctx, Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil // it went by itself
	}
	if err != nil {
		return "", fmt.Errorf("looking at the namespace %s, which is there already: %w", Namespace, err)
	}
	if n.Labels[ManagedByLabel] != ManagedBy {
		return "", fmt.Errorf("there is a namespace %s which is not this project's, since it has no label %s=%s: it is left as it is; remove or rename it to run here", Namespace, ManagedByLabel, ManagedBy)
	}
	if n.DeletionTimestamp == nil {
		holder, err := held(ctx, s.kubernetes, n, time.Now())
		if err != nil {
			return "", err
		}
		if holder != nil {
			return "", holder
		}
	}
	if err := RemoveNamespace(ctx, s.kubernetes, Namespace, n.UID); err != nil {
		return "", err
	}
	return fmt.Sprintf("; what the run %s had left was removed first", n.Labels[RunLabel]), nil
}

// RemoveNamespace removes a namespace by its UID, so that it cannot be the next one of
// the same name, and returns when all that was in it is gone.
func RemoveNamespace(ctx context.Context, k kubernetes.Interface, name string, uid types.UID) error {
	err := k.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	// A conflict is a namespace of the same name that is not the one to remove.
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("removing the namespace %s: %w", name, err)
	}
	return wait.For(ctx, "the namespace "+name+" to be gone", func(ctx context.Context) (bool, string, error) {
		n, err := k.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && n.UID != uid {
			return true, "", nil
		}
		if err != nil {
			return false, "", err
		}
		state := "it is " + string(n.Status.Phase)
		for _, c := range n.Status.Conditions {
			if c.Status == corev1.ConditionTrue {
				state += "; " + c.Message
			}
		}
		return false, state, nil
	}, wait.Timeout(removeTimeout))
}
