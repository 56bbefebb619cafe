package incluster

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// imageLost are the reasons for which a container waits for an image that it will not get
// by waiting. When the kubelet backs off it has tried: a registry that was only busy is
// worth another run, and a name with a slip in it is told at once.
var imageLost = []string{"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}

// imageTroubles are the reasons that say in their message what is wrong with an image.
var imageTroubles = []string{"ErrImagePull", "InvalidImageName", "ErrImageNeverPull"}

// start reports whether the suite runs in a pod, or did; else what the pod waits for, and
// why it will never run if that is known.
func start(p *corev1.Pod) (running bool, state string, never error) {
	c := suiteOf(p)
	switch {
	case c.State.Running != nil, c.State.Terminated != nil:
		return true, "", nil
	case p.Status.Phase == corev1.PodFailed:
		return false, "", fmt.Errorf("the pod failed before it ran: %s: %s", p.Status.Reason, p.Status.Message)
	case c.State.Waiting != nil:
		w := c.State.Waiting
		state = fmt.Sprintf("the container waits: %s: %s", w.Reason, w.Message)
		switch {
		case slices.Contains(imageLost, w.Reason):
			return false, state, fmt.Errorf("the image cannot be had by the node %s: %s: %s; see that IMAGE= is a reference which nodes can pull without a secret, or that they have it", p.Spec.NodeName, w.Reason, w.Message)
		case w.Reason == "CreateContainerConfigError":
			return false, state, fmt.Errorf("the container cannot be made: %s: %s", w.Reason, w.Message)
		}
		return false, state, nil
	}
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			return false, fmt.Sprintf("the pod waits for a node: %s: %s", cond.Reason, cond.Message), nil
		}
	}
	return false, fmt.Sprintf("the pod is %s", p.Status.Phase), nil
}

// imageTrouble is what a kubelet says of an image that it could not pull; empty if it
// says nothing of one.
func imageTrouble(p *corev1.Pod) string {
	if w := suiteOf(p).State.Waiting; w != nil && slices.Contains(imageTroubles, w.Reason) {
		return w.Message
	}
	return ""
}

// end reports whether the run in a pod has ended, its exit code, or [Unknown], and how it
// ended in words.
func end(p *corev1.Pod) (ended bool, code int, how string) {
	t := suiteOf(p).State.Terminated
	switch {
	case t != nil && t.Reason == "OOMKilled":
		return true, Unknown, "OOMKilled: it took more memory than manifests/certify/job.yaml allows"
	case p.Status.Phase == corev1.PodFailed && p.Status.Reason != "": // by the kubelet, as when it is evicted
		return true, Unknown, fmt.Sprintf("%s: %s", p.Status.Reason, p.Status.Message)
	case t != nil && t.Signal != 0:
		return true, Unknown, fmt.Sprintf("signal %d: %s", t.Signal, t.Message)
	case t != nil && t.ExitCode > mostExitCode:
		return true, Unknown, fmt.Sprintf("exit code %d: %s %s", t.ExitCode, t.Reason, t.Message)
	case t != nil:
		return true, int(t.ExitCode), fmt.Sprintf("exit code %d", t.ExitCode)
	}
	return false, Unknown, ""
}

// mostExitCode is the largest exit code that is a program's own word. What is larger is
// the container runtime's: 128 if it could not start a program, and above for a signal.
const mostExitCode = 127

// suiteOf is the state of the suite's container; empty if the kubelet says nothing of it.
func suiteOf(p *corev1.Pod) corev1.ContainerStatus {
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == container {
			return c
		}
	}
	return corev1.ContainerStatus{}
}
