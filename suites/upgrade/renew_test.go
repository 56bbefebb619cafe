package upgrade

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhatHasAnotherProxyOrLacksOneIsMadeAnew(t *testing.T) {
	pod := func(name, proxy string, labels map[string]string) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		p.Spec.Containers = []corev1.Container{{Name: "productpage", Image: "productpage:1"}}
		if proxy != "" {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "proxyv2:" + proxy})
		}
		return p
	}
	going := pod("going", "1.30.4", nil)
	going.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	pods := []corev1.Pod{
		pod("new", "1.31.0", nil), pod("old", "1.30.4", map[string]string{"app": "productpage"}),
		pod("made-while-nobody-injected", "", nil), pod("wants-none", "", map[string]string{"sidecar.istio.io/inject": "false"}), going,
	}
	names := func(with map[string]string) (names []string) {
		for _, p := range outdated(pods, with, "1.31.0") {
			names = append(names, p.Name)
		}
		return names
	}
	assert.Equal(t, []string{"old", "made-while-nobody-injected"}, names(nil))
	assert.Equal(t, []string{"old"}, names(map[string]string{"app": "productpage"}))
}
