package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func deployment(ready int32) appsv1.Deployment {
	one := int32(1)
	d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "productpage-v1"}}
	d.Spec.Replicas, d.Status.ReadyReplicas = &one, ready
	return d
}

func set(ready int32) appsv1.StatefulSet {
	one := int32(1)
	s := appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "prometheus-default"}}
	s.Spec.Replicas, s.Status.ReadyReplicas = &one, ready
	return s
}

func waiting(pod, reason string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	return p
}

func refused(kind, name string) corev1.Event {
	return corev1.Event{Reason: "FailedCreate", Message: "no", InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}}
}

func TestWorkloadsAreReadyStuckOrOnTheirWay(t *testing.T) {
	for name, c := range map[string]struct {
		w            workloads
		ready, stuck bool
		text         string
	}{
		"ready":           {workloads{deployments: []appsv1.Deployment{deployment(1)}, sets: []appsv1.StatefulSet{set(1)}}, true, true, ""},
		"on their way":    {workloads{deployments: []appsv1.Deployment{deployment(1)}, sets: []appsv1.StatefulSet{set(0)}}, false, false, "prometheus-default has 0 ready"},
		"no set":          {workloads{deployments: []appsv1.Deployment{deployment(1)}}, false, false, noSet},
		"container waits": {workloads{sets: []appsv1.StatefulSet{set(0)}, pods: []corev1.Pod{waiting("prometheus-default-0", "CrashLoopBackOff")}}, false, true, "prometheus-default has 0 ready (app in prometheus-default-0: CrashLoopBackOff)"},
		"container comes": {workloads{sets: []appsv1.StatefulSet{set(0)}, pods: []corev1.Pod{waiting("prometheus-default-0", "PodInitializing")}}, false, false, "prometheus-default has 0 ready"},
		"pods refused":    {workloads{sets: []appsv1.StatefulSet{set(0)}, warnings: []corev1.Event{refused("StatefulSet", "prometheus-default")}}, false, true, "prometheus-default has 0 ready (no)"},
		"both refused": {workloads{
			deployments: []appsv1.Deployment{deployment(0)}, sets: []appsv1.StatefulSet{set(0)},
			warnings: []corev1.Event{refused("StatefulSet", "prometheus-default"), refused("ReplicaSet", "productpage-v1-5b97c68556")},
		}, false, true, "productpage-v1 has 0 ready (no); prometheus-default has 0 ready (no)"},
		"one refused, one on its way": {workloads{
			deployments: []appsv1.Deployment{deployment(0)}, sets: []appsv1.StatefulSet{set(0)}, warnings: []corev1.Event{refused("StatefulSet", "prometheus-default")},
		}, false, false, "productpage-v1 has 0 ready; prometheus-default has 0 ready (no)"},
		"refused at first": {workloads{
			sets: []appsv1.StatefulSet{set(0)}, pods: []corev1.Pod{waiting("prometheus-default-0", "PodInitializing")}, warnings: []corev1.Event{refused("StatefulSet", "prometheus-default")},
		}, false, false, "prometheus-default has 0 ready"},
	} {
		s := c.w.standing()
		assert.Equal(t, standing{ready: c.ready, stuck: c.stuck, text: c.text}, s, name)
	}
}

func TestPrometheusRunsIfItsContainerDoes(t *testing.T) {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "prometheus-default-0", Labels: map[string]string{"operator.prometheus.io/name": "default"}}}
	assert.Nil(t, workloads{pods: []corev1.Pod{p}}.running())
	since := metav1.NewTime(time.Unix(1_700_000_000, 0))
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "config-reloader"}, {Name: "prometheus", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}}}}
	if running := (workloads{pods: []corev1.Pod{p}}).running(); assert.NotNil(t, running) {
		assert.Equal(t, since, running.StartedAt)
	}
	p.Labels["operator.prometheus.io/name"] = "main"
	assert.Nil(t, workloads{pods: []corev1.Pod{p}}.running(), "another Prometheus is not the one under test")
}
