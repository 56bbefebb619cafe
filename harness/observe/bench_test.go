package observe

import (
	"fmt"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// BenchmarkExpect derives ten thousand targets.
func BenchmarkExpect(b *testing.B) {
	o := small()
	o.Prometheus.Spec.ServiceDiscoveryRole = ptr(monitoringv1.EndpointSliceRole)
	for n := range 10_000 {
		p := *o.Pods[0].DeepCopy()
		p.Name, p.Status.PodIP = fmt.Sprintf("pod-%d", n), fmt.Sprintf("10.1.%d.%d", n/250, n%250)
		o.Pods = append(o.Pods, p)
		s := &o.EndpointSlices[0]
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{p.Status.PodIP}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: p.Name}})
	}
	for b.Loop() {
		if expected, open := Expect(*o); len(expected) != 10_002 || len(open) > 0 {
			b.Fatal(len(expected), open)
		}
	}
}
