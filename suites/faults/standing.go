package faults

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// workloads are those of a subject, at one look.
type workloads struct {
	deployments []appsv1.Deployment
	sets        []appsv1.StatefulSet
	pods        []corev1.Pod
	warnings    []corev1.Event
}

// standing is how far they are.
type standing struct {
	ready bool // all of them are
	stuck bool // those that are not never will be
	text  string
}

func (w workloads) standing() standing {
	s := standing{stuck: true}
	var waiting []string
	look := func(name string, wanted *int32, have int32) {
		if wanted != nil && have >= *wanted {
			return
		}
		why := w.whyNot(name)
		s.stuck = s.stuck && why != ""
		waiting = append(waiting, strings.TrimSpace(fmt.Sprintf("%s has %d ready %s", name, have, why)))
	}
	for _, d := range w.deployments {
		look(d.Name, d.Spec.Replicas, d.Status.ReadyReplicas)
	}
	for _, x := range w.sets {
		look(x.Name, x.Spec.Replicas, x.Status.ReadyReplicas)
	}
	if len(w.sets) == 0 {
		s.stuck = false
		waiting = append(waiting, noSet)
	}
	s.ready = len(waiting) == 0
	s.text = strings.Join(waiting, "; ")
	return s
}

// noSet is what is told of a Prometheus on which nobody acted.
const noSet = "the Operator has made no StatefulSet"

// hopeless are the states in which a container waits for what does not come by
// itself.
var hopeless = []string{
	"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// whyNot says why a workload will not be ready, as far as somebody said so.
func (w workloads) whyNot(name string) string {
	for _, e := range w.warnings {
		of := e.InvolvedObject
		if e.Reason == "FailedCreate" && (of.Name == name || strings.HasPrefix(of.Name, name+"-")) && !w.hasPods(name) {
			return "(" + e.Message + ")"
		}
	}
	for _, p := range w.pods {
		if !strings.HasPrefix(p.Name, name+"-") {
			continue
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if state := c.State.Waiting; state != nil && slices.Contains(hopeless, state.Reason) {
				return fmt.Sprintf("(%s in %s: %s)", c.Name, p.Name, state.Reason)
			}
		}
	}
	return ""
}

func (w workloads) hasPods(name string) bool {
	return slices.ContainsFunc(w.pods, func(p corev1.Pod) bool { return strings.HasPrefix(p.Name, name+"-") })
}

// prometheusPods are those of the Prometheus under test.
func (w workloads) prometheusPods() []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(w.pods), func(p corev1.Pod) bool { return p.Labels["operator.prometheus.io/name"] != prometheusName })
}

// running reports whether Prometheus runs in some pod, and since when it has.
func (w workloads) running() (since *corev1.ContainerStateRunning) {
	for _, p := range w.prometheusPods() {
		for _, c := range p.Status.ContainerStatuses {
			if c.Name == "prometheus" && c.State.Running != nil {
				return c.State.Running
			}
		}
	}
	return nil
}

// prometheusName is what the guide calls its Prometheus.
const prometheusName = "default"
