package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	k8stesting "k8s.io/client-go/testing"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
)

func listed(things ...thing) listing {
	all := listing{}
	for _, t := range things {
		all[t.UID] = t
	}
	return all
}

func TestWhatWasNotThereBeforeIsALeftoverIfItIsOurs(t *testing.T) {
	of := func(resource, namespace, name, uid string, labels map[string]string) thing {
		return thing{resource, metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid), Labels: labels}}
	}
	ours := map[string]string{ManagedByLabel: ManagedBy}
	applied := of("clusterroles", "", "prometheus", "5", nil)
	applied.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: cluster.FieldOwner}}
	before := listed(of("namespaces", "", "default", "1", nil), of("namespaces", "", Namespace, "2", ours))
	another := map[string]string{ManagedByLabel: ManagedBy, RunLabel: "run-2"}
	left, others := added(before, listed(
		of("namespaces", "", "default", "1", nil), of("namespaces", "", Namespace, "3", nil),
		of("pods", "team", "x", "4", ours), applied, of("namespaces", "", "ci-7", "6", nil), of("leases", Namespace, "run", "7", another),
	), "run-1")
	assert.Equal(t, []string{"clusterrole prometheus", "namespace " + Namespace, "pod team/x"}, left, "also one of the name of one that was there before")
	assert.Equal(t, []string{"lease " + Namespace + "/run", "namespace ci-7"}, others)
	left, others = added(before, listed(of("namespaces", "", "default", "1", nil)), "run-1")
	assert.Empty(t, left)
	assert.Empty(t, others)
}

func TestTheRunRemovesItsNamespaceAndComparesWithBefore(t *testing.T) {
	k := clusterWith()
	s := run(t, k)
	_, err := s.Claim(t.Context(), noLoss(t))
	require.NoError(t, err)
	note, err := s.Remove(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "nothing is left", note)

	_, err = k.CoreV1().Namespaces().Get(t.Context(), Namespace, metav1.GetOptions{})
	require.Error(t, err)
	s.metadata = metadataOf(t, describing("rbac.authorization.k8s.io/v1", "ClusterRole", "left", "7", map[string]string{RunLabel: "run-1"}),
		describing("v1", "Namespace", "ci-7", "8", nil))
	note, err = s.Remove(t.Context())
	assert.EqualError(t, err, "clusterrole left")
	assert.Contains(t, note, "others made meanwhile namespace ci-7")
}

func TestARunThatMadeNothingRemovesNothing(t *testing.T) {
	var none *Sandbox
	_, err := none.Remove(t.Context())
	require.NoError(t, err)
	k := clusterWith(ofRun("run-0", time.Hour))
	_, err = run(t, k).Remove(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changes(k))
}

func TestAKindThatCannotBeListedIsNamed(t *testing.T) {
	m := metadataOf(t)
	m.PrependReactor("list", "clusterroles", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, assert.AnError
	})
	_, err := list(t.Context(), m)
	assert.ErrorContains(t, err, "listing clusterroles, to know afterwards that nothing is left")
	assert.ErrorContains(t, err, "sandbox-rbac.yaml")
}

func TestCleanRemovesWhatRunsLeftAndNothingElse(t *testing.T) {
	ours := map[string]string{ManagedByLabel: ManagedBy}
	k := clusterWith(ofRun("run-0", time.Hour))
	m := metadataOf(t, describing("rbac.authorization.k8s.io/v1", "ClusterRole", "left", "7", ours), describing("rbac.authorization.k8s.io/v1", "ClusterRole", "view", "8", nil))
	removed, err := clean(t.Context(), k, m, time.Now())
	require.NoError(t, err)
	assert.Equal(t, []string{"namespace " + Namespace, "clusterrole left"}, removed)
	left, err := m.Resource(outside[1]).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, left.Items, 1)
	assert.Equal(t, "view", left.Items[0].Name)
}

func TestCleanRefusesWhileARunIsThere(t *testing.T) {
	k := clusterWith(ofRun("run-0", time.Hour), leaseOf("run-0 on there", time.Hour, time.Second))
	removed, err := clean(t.Context(), k, metadataOf(t), time.Now())
	assert.ErrorAs(t, err, new(*HeldError))
	assert.Empty(t, removed)
	assert.Empty(t, changes(k))
	_, err = clean(t.Context(), k, metadataOf(t), time.Now().Add(2*time.Minute))
	assert.NoError(t, err, "it has run out")
}

func TestWhatCannotBeRemovedIsTold(t *testing.T) {
	m := metadataOf(t, describing("rbac.authorization.k8s.io/v1", "ClusterRole", "left", "7", map[string]string{ManagedByLabel: ManagedBy}))
	m.PrependReactor("delete", "clusterroles", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, assert.AnError })
	removed, err := clean(t.Context(), clusterWith(ofRun("run-0", time.Hour)), m, time.Now())
	assert.ErrorAs(t, err, new(*LeftError))
	assert.ErrorContains(t, err, "removing the clusterrole left")
	assert.Equal(t, []string{"namespace " + Namespace}, removed, "the rest is removed all the same")
}
