package observe

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// texts keeps one copy of each text: in what is read of ten thousand targets, most are
// there many times, and the pod's name is in its labels at every replica once more.
type texts struct {
	mu   sync.Mutex
	kept map[string]string
}

func (t *texts) one(s string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.locked(s)
}

func (t *texts) locked(s string) string {
	if kept, ok := t.kept[s]; ok {
		return kept
	}
	if t.kept == nil {
		t.kept = map[string]string{}
	}
	t.kept[s] = s
	return s
}

// labels has a set of labels be of kept texts, and returns it.
func (t *texts) labels(labels map[string]string) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, value := range labels {
		labels[t.locked(name)] = t.locked(value)
	}
	return labels
}

// pod does the same for those texts of a pod that others have as well.
func (t *texts) pod(p *corev1.Pod) {
	t.labels(p.Labels)
	t.labels(p.Annotations)
	for _, s := range []*string{
		&p.Namespace, &p.Name, &p.GenerateName, &p.Spec.NodeName, &p.Spec.ServiceAccountName, &p.Spec.DeprecatedServiceAccount,
		&p.Spec.SchedulerName, &p.Spec.PriorityClassName, &p.Status.HostIP, &p.Status.PodIP,
	} {
		*s = t.one(*s)
	}
	for i := range p.OwnerReferences {
		o := &p.OwnerReferences[i]
		o.Name, o.Kind, o.APIVersion = t.one(o.Name), t.one(o.Kind), t.one(o.APIVersion)
	}
	for _, all := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range all {
			all[i].Name, all[i].Image = t.one(all[i].Name), t.one(all[i].Image)
		}
	}
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range all {
			all[i].Name, all[i].Image, all[i].ImageID = t.one(all[i].Name), t.one(all[i].Image), t.one(all[i].ImageID)
		}
	}
}
