package observe

import (
	"slices"
	"strconv"
	"sync"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"
)

// texts keeps one copy of each text: in what is read of ten thousand targets, most are
// there many times, and the pod's name is in its labels at every replica once more.
type texts struct {
	mu        sync.Mutex
	kept      map[string]string
	templates map[string][]corev1.Container // by what they are
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

// labels has a set of labels be of kept texts.
func (t *texts) labels(labels map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, value := range labels {
		labels[t.locked(name)] = t.locked(value)
	}
}

// slim drops of a pod what no check, no rule of a diagnosis and no discovery reads, and
// takes for the rest what other pods have as well.
func (t *texts) slim(p *corev1.Pod) {
	delete(p.Annotations, annotation.SidecarStatus.Name)
	t.labels(p.Labels)
	t.labels(p.Annotations)
	p.ResourceVersion = ""
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
	t.slimSpec(&p.Spec)
	p.Status.Conditions = telling(p.Status.Conditions)
	p.Status.Resources, p.Status.HostIPs, p.Status.PodIPs = nil, nil, nil
	p.Status.InitContainerStatuses, p.Status.ContainerStatuses = t.statuses(p.Status.InitContainerStatuses), t.statuses(p.Status.ContainerStatuses)
}

// telling are the conditions by which a pod says that it is ready, or why it is not.
func telling(all []corev1.PodCondition) []corev1.PodCondition {
	var some []corev1.PodCondition
	for _, c := range all {
		if c.Type == corev1.PodReady || c.Status != corev1.ConditionTrue {
			some = append(some, c)
		}
	}
	return slices.Clip(some)
}

func (t *texts) slimSpec(s *corev1.PodSpec) {
	s.Volumes, s.Tolerations, s.Affinity, s.NodeSelector, s.TopologySpreadConstraints = nil, nil, nil, nil, nil
	s.Resources, s.Overhead, s.ResourceClaims, s.ImagePullSecrets = nil, nil, nil, nil
	s.InitContainers, s.Containers = t.containers(s.InitContainers), t.containers(s.Containers)
}

// containers are those of a pod without what nobody reads. Pods of one template have
// them together: nobody writes to them.
func (t *texts) containers(all []corev1.Container) []corev1.Container {
	if len(all) == 0 {
		return nil
	}
	slim := make([]corev1.Container, len(all))
	var of []byte
	for i, c := range all {
		slim[i] = corev1.Container{Name: c.Name, Image: c.Image, Command: c.Command, Args: c.Args, Ports: c.Ports, RestartPolicy: c.RestartPolicy, SecurityContext: c.SecurityContext}
		one, err := slim[i].Marshal()
		if err != nil {
			return slim // it is kept by itself
		}
		of = append(append(strconv.AppendInt(of, int64(len(one)), 10), ' '), one...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept, ok := t.templates[string(of)]; ok {
		return kept
	}
	if t.templates == nil {
		t.templates = map[string][]corev1.Container{}
	}
	t.templates[string(of)] = slim
	return slim
}

// statuses are those of containers without what nobody reads.
func (t *texts) statuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(all) == 0 {
		return nil
	}
	slim := make([]corev1.ContainerStatus, len(all)) // as long as it has to be, which what is decoded is not
	for i, s := range all {
		slim[i] = s
		slim[i].Name, slim[i].Image, slim[i].ImageID = t.one(s.Name), t.one(s.Image), t.one(s.ImageID)
		slim[i].VolumeMounts, slim[i].AllocatedResources, slim[i].Resources, slim[i].User = nil, nil, nil, nil
	}
	return slim
}
