package sandbox

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	discovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	metadata "k8s.io/client-go/metadata/fake"
	k8stesting "k8s.io/client-go/testing"
)

// clusterWith is one with a mesh and an Operator, and with some objects.
func clusterWith(objects ...runtime.Object) *fake.Clientset {
	k := fake.NewClientset(objects...)
	k.Discovery().(*discovery.FakeDiscovery).Resources = []*metav1.APIResourceList{{GroupVersion: "monitoring.coreos.com/v1"}, {GroupVersion: "security.istio.io/v1"}}
	k.PrependReactor("create", "namespaces", func(action k8stesting.Action) (bool, runtime.Object, error) {
		action.(k8stesting.CreateAction).GetObject().(*corev1.Namespace).UID = "new"
		return false, nil, nil
	})
	return k
}

// metadataOf is a client for what describes objects.
func metadataOf(t *testing.T, objects ...runtime.Object) *metadata.FakeMetadataClient {
	t.Helper()
	scheme := metadata.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	return metadata.NewSimpleMetadataClient(scheme, objects...)
}

func describing(version, kind, name, uid string, labels map[string]string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: kind}, ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), Labels: labels},
	}
}

func run(t *testing.T, k *fake.Clientset) *Sandbox {
	t.Helper()
	s := &Sandbox{Options: Options{RunID: "run-1"}, holder: "run-1 on here", kubernetes: k, metadata: metadataOf(t), injection: Injection{"default", "istio-injection", "enabled"}}
	t.Cleanup(s.letGo)
	return s
}

func noLoss(t *testing.T) func(error) {
	return func(err error) { t.Errorf("the lease was lost: %v", err) }
}

// ofRun is the namespace that a run made, some time ago.
func ofRun(id string, ago time.Duration) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: Namespace, UID: "old", Labels: map[string]string{ManagedByLabel: ManagedBy, RunLabel: id}, CreationTimestamp: metav1.NewTime(time.Now().Add(-ago)),
	}}
}

// leaseOf is one that was taken and renewed some time ago.
func leaseOf(holder string, taken, renewed time.Duration) *coordinationv1.Lease {
	since, last, seconds := metav1.NewMicroTime(time.Now().Add(-taken)), metav1.NewMicroTime(time.Now().Add(-renewed)), int32(60)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: leaseName, Namespace: Namespace},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, AcquireTime: &since, RenewTime: &last, LeaseDurationSeconds: &seconds},
	}
}

// changes are the requests that were no reads.
func changes(k *fake.Clientset) (verbs []string) {
	for _, a := range k.Actions() {
		if a.GetVerb() != "get" && a.GetVerb() != "list" {
			verbs = append(verbs, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	return verbs
}

func TestARunMakesItsNamespaceAndHoldsIt(t *testing.T) {
	k := clusterWith()
	s := run(t, k)
	assert.False(t, s.Stands())
	note, err := s.Claim(t.Context(), noLoss(t))
	require.NoError(t, err)
	assert.Equal(t, "namespace mtls-scrape-sandbox, istio-injection=enabled", note)
	assert.True(t, s.Stands())
	n, err := k.CoreV1().Namespaces().Get(t.Context(), Namespace, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{ManagedByLabel: ManagedBy, RunLabel: "run-1", "istio-injection": "enabled"}, n.Labels)
	holder, err := held(t.Context(), k, n, time.Now())
	require.NoError(t, err)
	require.NotNil(t, holder)
	assert.Equal(t, "run-1 on here", holder.Holder)
}

func TestTheNamespaceEnforcesWhatIsAskedFor(t *testing.T) {
	s := run(t, clusterWith())
	s.PodSecurity = "restricted"
	assert.Equal(t, "restricted", s.namespace().Labels["pod-security.kubernetes.io/enforce"])
}

func TestAnotherRunsNamespaceIsNotTouched(t *testing.T) {
	for name, objects := range map[string][]runtime.Object{
		"held":                       {ofRun("run-0", time.Hour), leaseOf("run-0 on there", time.Hour, 20*time.Second)},
		"made a moment ago":          {ofRun("run-0", 2*time.Second)},
		"one that is not of a run's": {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}},
	} {
		t.Run(name, func(t *testing.T) {
			k := clusterWith(objects...)
			s := run(t, k)
			_, err := s.Claim(t.Context(), noLoss(t))
			require.Error(t, err)
			assert.False(t, s.Stands(), "so that it is not removed at the end")
			assert.Equal(t, []string{"create namespaces"}, changes(k), "which was refused")
			if len(objects) == 1 && name != "made a moment ago" {
				assert.ErrorContains(t, err, "is not this project's")
				assert.ErrorContains(t, err, "remove or rename it")
				return
			}
			var h *HeldError
			require.ErrorAs(t, err, &h)
			assert.Contains(t, h.Holder, "run-0")
			assert.ErrorContains(t, err, "is held by the run run-0")
			assert.ErrorContains(t, err, "since "+h.Since.UTC().Format(time.RFC3339))
		})
	}
}

func TestWhatADeadRunLeftIsRemovedFirst(t *testing.T) {
	for name, objects := range map[string][]runtime.Object{
		"its lease has run out":  {ofRun("run-0", time.Hour), leaseOf("run-0 on there", time.Hour, 2*time.Minute)},
		"its lease was given up": {ofRun("run-0", time.Hour), leaseOf("", time.Hour, time.Second)},
		"it got to no lease":     {ofRun("run-0", time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			k := clusterWith(objects...)
			if len(objects) > 1 { // with a namespace goes what is in it
				k.PrependReactor("delete", "namespaces", func(k8stesting.Action) (bool, runtime.Object, error) {
					return false, nil, k.Tracker().Delete(coordinationv1.SchemeGroupVersion.WithResource("leases"), Namespace, leaseName)
				})
			}
			s := run(t, k)
			note, err := s.Claim(t.Context(), noLoss(t))
			require.NoError(t, err)
			assert.Contains(t, note, "what the run run-0 had left was removed first")
			assert.Equal(t, []string{"create namespaces", "delete namespaces", "create namespaces", "create leases"}, changes(k))
		})
	}
}

func TestAClusterWithoutAMeshOrAnOperatorIsToldSoAtOnce(t *testing.T) {
	for missing, says := range map[string]string{"monitoring.coreos.com/v1": "install the Prometheus Operator", "security.istio.io/v1": "install Istio"} {
		k := clusterWith()
		d := k.Discovery().(*discovery.FakeDiscovery)
		var left []*metav1.APIResourceList
		for _, r := range d.Resources {
			if r.GroupVersion != missing {
				left = append(left, r)
			}
		}
		d.Resources = left
		_, err := run(t, k).Claim(t.Context(), noLoss(t))
		assert.ErrorContains(t, err, says)
		assert.Empty(t, changes(k))
	}
}

func TestALeaseIsRenewedByItsHolderOnly(t *testing.T) {
	k := clusterWith(leaseOf("run-1 on here", time.Hour, 50*time.Second))
	s := run(t, k)
	now := time.Now()
	lost, err := s.renew(t.Context(), s.holder, now)
	require.NoError(t, err)
	assert.False(t, lost)
	l, err := k.CoordinationV1().Leases(Namespace).Get(t.Context(), leaseName, metav1.GetOptions{})
	require.NoError(t, err)
	assert.NotNil(t, holderOf(l, now.Add(59*time.Second)))
	assert.Nil(t, holderOf(l, now.Add(61*time.Second)))

	s.holder = "run-2 on here"
	lost, err = s.renew(t.Context(), s.holder, now)
	assert.True(t, lost)
	assert.ErrorContains(t, err, "has another holder")

	s.kubernetes = clusterWith()
	lost, err = s.renew(t.Context(), s.holder, now)
	assert.True(t, lost, "it is gone")
	assert.Error(t, err)
}

func TestAReleasedNamespaceIsHeldByNobody(t *testing.T) {
	k := clusterWith(ofRun("run-1", time.Hour), leaseOf("run-1 on here", time.Hour, time.Second))
	s := run(t, k)
	require.NoError(t, s.Release(t.Context()))
	holder, err := held(t.Context(), k, ofRun("run-1", time.Hour), time.Now())
	require.NoError(t, err)
	assert.Nil(t, holder)
}

func TestTheRenewalEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stop := run(t, clusterWith()).hold(ctx, noLoss(t))
	cancel()
	stop()
}

// An interrupt may come after the namespace was made and before anybody said so.
func TestANamespaceWhoseMakingWasCutShortIsRemovedAllTheSame(t *testing.T) {
	for id, stands := range map[string]bool{"run-1": true, "run-0": false} {
		k := clusterWith(ofRun(id, time.Second))
		k.PrependReactor("create", "namespaces", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, context.Canceled })
		s := run(t, k)
		_, err := s.Claim(t.Context(), noLoss(t))
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, stands, s.Stands(), id)
	}
}
