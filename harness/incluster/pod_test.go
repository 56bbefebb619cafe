package incluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/incluster/simulated"
)

func podWith(s *corev1.PodStatus) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: simulated.Pod}, Spec: corev1.PodSpec{NodeName: "node-1"}, Status: *s}
}

func TestWhatAPodWaitsFor(t *testing.T) {
	unscheduled := &corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: 3 Insufficient memory."},
	}}
	evicted := &corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."}
	for name, c := range map[string]struct {
		status       *corev1.PodStatus
		running      bool
		state, never string
	}{
		"nothing, it runs":              {simulated.Running(), true, "", ""},
		"nothing, it has ended":         {simulated.Ended(1), true, "", ""},
		"a node":                        {unscheduled, false, "the pod waits for a node: Unschedulable: 0/3 nodes are available", ""},
		"its kubelet":                   {&corev1.PodStatus{Phase: corev1.PodPending}, false, "the pod is Pending", ""},
		"its volumes":                   {simulated.Waiting("ContainerCreating", ""), false, "the container waits: ContainerCreating", ""},
		"a registry that may be busy":   {simulated.Waiting("ErrImagePull", "429 Too Many Requests"), false, "ErrImagePull: 429", ""},
		"an image that is not there":    {simulated.Waiting("ImagePullBackOff", `Back-off pulling image "x"`), false, "ImagePullBackOff", `the image cannot be had by the node node-1: ImagePullBackOff: Back-off pulling image "x"; see that IMAGE=`},
		"an image of no name":           {simulated.Waiting("InvalidImageName", "couldn't parse"), false, "InvalidImageName", "the image cannot be had by the node node-1: InvalidImageName: couldn't parse"},
		"one that is never pulled":      {simulated.Waiting("ErrImageNeverPull", "is not present"), false, "ErrImageNeverPull", "is not present"},
		"what the kubelet never allows": {simulated.Waiting("CreateContainerConfigError", "container has runAsNonRoot"), false, "runAsNonRoot", "the container cannot be made: CreateContainerConfigError: container has runAsNonRoot"},
		"nothing, since it was evicted": {evicted, false, "", "the pod failed before it ran: Evicted: The node was low on resource: memory."},
	} {
		t.Run(name, func(t *testing.T) {
			running, state, never := start(podWith(c.status))
			assert.Equal(t, c.running, running)
			assert.Contains(t, state, c.state)
			if c.never == "" {
				assert.NoError(t, never)
				return
			}
			assert.ErrorContains(t, never, c.never)
		})
	}
}

func TestHowARunInsideEnds(t *testing.T) {
	evicted := simulated.Killed(137, "Error")
	evicted.Reason, evicted.Message = "Evicted", "The node was low on resource: ephemeral-storage."
	told := simulated.Ended(4) // it was told to end, and did in order
	told.Reason, told.Message = "Evicted", "Pod was preempted"
	for name, c := range map[string]struct {
		status *corev1.PodStatus
		ended  bool
		code   int
		how    string
	}{
		"not yet":                          {simulated.Running(), false, Unknown, ""},
		"well":                             {simulated.Ended(0), true, 0, "exit code 0"},
		"with a failure":                   {simulated.Ended(1), true, 1, "exit code 1"},
		"for its memory":                   {simulated.Killed(137, "OOMKilled"), true, Unknown, "OOMKilled: it took more memory than manifests/certify/job.yaml allows"},
		"by a signal":                      {simulated.Killed(137, "Error"), true, Unknown, "exit code 137: Error"},
		"before it began":                  {simulated.Killed(128, "StartError"), true, Unknown, "exit code 128: StartError"},
		"by its node":                      {evicted, true, Unknown, "Evicted: The node was low on resource: ephemeral-storage."},
		"by its node, in order":            {told, true, Unknown, "Evicted: Pod was preempted"},
		"by its node, without a container": {&corev1.PodStatus{Phase: corev1.PodFailed, Reason: "NodeLost", Message: "m"}, true, Unknown, "NodeLost: m"},
	} {
		t.Run(name, func(t *testing.T) {
			ended, code, how := end(podWith(c.status))
			assert.Equal(t, c.ended, ended)
			assert.Equal(t, c.code, code)
			assert.Contains(t, how, c.how)
		})
	}
}
