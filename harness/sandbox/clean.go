package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// LeftError says what could not be removed, a line each.
type LeftError struct{ error }

func (e *LeftError) Unwrap() error { return e.error }

// Clean removes what runs left in a cluster, found by its label, and says what it was.
// The error is a [HeldError] while a run holds a namespace; nothing is removed then. It
// is a [LeftError] if something could not be removed.
func Clean(ctx context.Context, config *rest.Config) (removed []string, err error) {
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client to clean with: %w", err)
	}
	m, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client to clean with: %w", err)
	}
	return clean(ctx, k, m, time.Now())
}

func clean(ctx context.Context, k kubernetes.Interface, m metadata.Interface, now time.Time) (removed []string, err error) {
	ours := metav1.ListOptions{LabelSelector: ManagedByLabel + "=" + ManagedBy}
	namespaces, err := k.CoreV1().Namespaces().List(ctx, ours)
	if err != nil {
		return nil, fmt.Errorf("looking for namespaces that runs left: %w", err)
	}
	for _, n := range namespaces.Items {
		if n.DeletionTimestamp != nil {
			continue
		}
		holder, err := held(ctx, k, &n, now)
		if err != nil {
			return nil, err
		}
		if holder != nil {
			return nil, holder
		}
	}
	var failures []error
	for _, n := range namespaces.Items {
		if err := RemoveNamespace(ctx, k, n.Name, n.UID); err != nil {
			failures = append(failures, err)
			continue
		}
		removed = append(removed, "namespace "+n.Name)
	}
	for _, r := range outside[1:] { // without the namespaces
		found, err := m.Resource(r).List(ctx, ours)
		if err != nil {
			failures = append(failures, fmt.Errorf("looking for %s that runs left: %w", r.Resource, err))
			continue
		}
		for _, o := range found.Items {
			t := thing{r.Resource, o.ObjectMeta}
			if err := m.Resource(r).Delete(ctx, o.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				failures = append(failures, fmt.Errorf("removing the %s: %w", t, err))
				continue
			}
			removed = append(removed, t.String())
		}
	}
	if len(failures) > 0 {
		return removed, &LeftError{errors.Join(failures...)}
	}
	return removed, nil
}
