package observe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// More than one subject may be in a cluster, each with a client of its own.
func TestTheClientThatAsksIsTheOneBesideThePrometheus(t *testing.T) {
	pod := func(namespace, app string, phase corev1.PodPhase) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app, Labels: map[string]string{"app": app}}, Status: corev1.PodStatus{Phase: phase}}
	}
	o := Observation{Pods: []corev1.Pod{
		pod("own", StrangerApp, corev1.PodPending), pod("default", StrangerApp, corev1.PodRunning), pod("other", MemberApp, corev1.PodRunning), pod("own", MemberApp, corev1.PodRunning),
	}}
	p := &pass{Observer: &Observer{namespace: "own"}, o: o}
	require.NotNil(t, p.clientPod(MemberApp))
	assert.Equal(t, "own", p.clientPod(MemberApp).Namespace)
	assert.Equal(t, "default", p.clientPod(StrangerApp).Namespace, "one elsewhere will do where there is none")
	p.o.Pods = p.o.Pods[:1]
	assert.Nil(t, p.clientPod(StrangerApp))
}
