package sandbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	// leaseName is that of the Lease by which a run holds its namespace.
	leaseName = "mtls-scrape-run"
	// leaseDuration is for how long a Lease holds that is not renewed. It is much longer
	// than the pause between renewals, so that neither a busy API server nor clocks that
	// differ by some seconds take a run for a dead one.
	leaseDuration = time.Minute
	// renewInterval is the pause between renewals: one small request in ten seconds.
	renewInterval = 10 * time.Second
)

// HeldError says that another run has the namespace.
type HeldError struct {
	Namespace string
	Holder    string
	Since     time.Time
	Renewed   time.Time     // when it last said so
	Lasts     time.Duration // how long it holds after that
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("the namespace %s is held by the run %s since %s, which last said so at %s: wait until it has ended; one that was killed is overtaken %s after that",
		e.Namespace, e.Holder, e.Since.UTC().Format(time.RFC3339), e.Renewed.UTC().Format(time.RFC3339), e.Lasts)
}

// held is who holds a namespace of this project at a time; nil if nobody does. One that
// has no Lease yet is held while it is as young as a Lease may be old: whoever made it
// is about to make the Lease. The error of a Lease that cannot be read is returned.
func held(ctx context.Context, k kubernetes.Interface, n *corev1.Namespace, now time.Time) (*HeldError, error) {
	l, err := k.CoordinationV1().Leases(n.Name).Get(ctx, leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		made := n.CreationTimestamp.Time
		if now.Sub(made) < leaseDuration {
			return &HeldError{n.Name, n.Labels[RunLabel], made, made, leaseDuration}, nil
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading who holds the namespace %s: %w", n.Name, err)
	}
	return holderOf(l, now), nil
}

// holderOf is who holds a Lease at a time; nil if it was given up or has run out.
func holderOf(l *coordinationv1.Lease, now time.Time) *HeldError {
	s := l.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || s.RenewTime == nil {
		return nil
	}
	lasts := leaseDuration
	if s.LeaseDurationSeconds != nil {
		lasts = time.Duration(*s.LeaseDurationSeconds) * time.Second
	}
	if now.After(s.RenewTime.Add(lasts)) {
		return nil
	}
	h := &HeldError{Namespace: l.Namespace, Holder: *s.HolderIdentity, Since: s.RenewTime.Time, Renewed: s.RenewTime.Time, Lasts: lasts}
	if s.AcquireTime != nil {
		h.Since = s.AcquireTime.Time
	}
	return h
}

// lease makes the Lease of this run.
func (s *Sandbox) lease(ctx context.Context, now time.Time) error {
	return Reserve(ctx, s.kubernetes, Namespace, s.holder, s.labels(), now, leaseDuration)
}

// Reserve makes a Lease by which a run holds a namespace of this project for some time,
// so that nobody clears it up meanwhile. Who wants it for longer renews it.
func Reserve(ctx context.Context, k kubernetes.Interface, namespace, holder string, labels map[string]string, now time.Time, lasts time.Duration) error {
	at, seconds := metav1.NewMicroTime(now), int32(lasts.Seconds())
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: leaseName, Namespace: namespace, Labels: labels},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, AcquireTime: &at, RenewTime: &at, LeaseDurationSeconds: &seconds},
	}
	if _, err := k.CoordinationV1().Leases(namespace).Create(ctx, l, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making the Lease %s/%s, by which this run holds the namespace: %w", namespace, leaseName, err)
	}
	return nil
}

// GiveUp takes the holder out of the Lease of a namespace that is left as it is. The Lease
// itself stays: a young namespace without one counts as one that is being made.
func GiveUp(ctx context.Context, k kubernetes.Interface, namespace string) error {
	nobody := []byte(`{"spec":{"holderIdentity":null}}`)
	_, err := k.CoordinationV1().Leases(namespace).Patch(ctx, leaseName, types.MergePatchType, nobody, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("giving up the Lease %s/%s: %w", namespace, leaseName, err)
	}
	return nil
}

// renew says that this run still holds its Lease, or with nobody as the holder that it
// does no more. It is lost, for good, if it is another's or gone.
func (s *Sandbox) renew(ctx context.Context, holder string, now time.Time) (lost bool, err error) {
	leases := s.kubernetes.CoordinationV1().Leases(Namespace)
	l, err := leases.Get(ctx, leaseName, metav1.GetOptions{})
	if err != nil {
		return apierrors.IsNotFound(err), err
	}
	if l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity != s.holder {
		return true, fmt.Errorf("the Lease %s/%s has another holder", Namespace, leaseName)
	}
	at := metav1.NewMicroTime(now)
	l.Spec.HolderIdentity, l.Spec.RenewTime = &holder, &at
	_, err = leases.Update(ctx, l, metav1.UpdateOptions{})
	return false, err
}

// hold renews the Lease until the context or the returned function ends it. It tells
// once if the Lease is lost: somebody else may then make the namespace his.
func (s *Sandbox) hold(ctx context.Context, lost func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(renewInterval)
		defer ticker.Stop()
		last := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			gone, err := s.renew(ctx, s.holder, time.Now())
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				last = time.Now()
			case gone || time.Since(last) > leaseDuration:
				lost(fmt.Errorf("this run no longer holds the namespace %s: %w", Namespace, err))
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// Release gives the Lease up and leaves the namespace as it is: the next run removes
// it.
func (s *Sandbox) Release(ctx context.Context) error {
	s.letGo()
	if _, err := s.renew(ctx, "", time.Now()); err != nil {
		return fmt.Errorf("giving up the Lease %s/%s: %w", Namespace, leaseName, err)
	}
	return nil
}

func (s *Sandbox) letGo() {
	if s.release != nil {
		s.release()
		s.release = nil
	}
}
