package observe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What a diagnosis reads of a pod stays: whether it is ready, why it is not, and what its
// containers were told to capture.
func TestASlimPodStillSaysHowItIs(t *testing.T) {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Annotations: map[string]string{"a": "b", annotation.SidecarStatus.Name: "{}"}},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "istio-init", Args: []string{"istio-iptables", "-d", "15090"}}},
			Volumes:        []corev1.Volume{{Name: "v"}},
		},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue},
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "no room"},
		}},
	}
	(&texts{}).slim(&pod)
	assert.Equal(t, []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionTrue},
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "no room"},
	}, pod.Status.Conditions)
	assert.Equal(t, []string{"istio-iptables", "-d", "15090"}, pod.Spec.InitContainers[0].Args)
	assert.Equal(t, map[string]string{"a": "b"}, pod.Annotations)
	assert.Empty(t, pod.Spec.Volumes)
}
