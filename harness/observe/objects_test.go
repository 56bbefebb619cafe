package observe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestBookkeepingIsDroppedFromListsOfEitherKind(t *testing.T) {
	noted := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Name: "x", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "kept": "yes"},
		}
	}
	pods := &corev1.PodList{Items: []corev1.Pod{{ObjectMeta: noted()}}}
	peers := &securityv1.PeerAuthenticationList{Items: []*securityv1.PeerAuthentication{{ObjectMeta: noted()}}}
	require.NoError(t, meta.EachListItem(pods, dropBookkeeping))
	require.NoError(t, meta.EachListItem(peers, dropBookkeeping))
	for _, m := range []metav1.ObjectMeta{pods.Items[0].ObjectMeta, peers.Items[0].ObjectMeta} {
		assert.Equal(t, metav1.ObjectMeta{Name: "x", Annotations: map[string]string{"kept": "yes"}}, m)
	}
}
