package observe

import (
	"iter"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// podGroups is discovery/kubernetes/pod.go, buildPod.
func (d *discovery) podGroups(q query) ([]group, error) {
	var found []group
	for i := range d.o.Pods {
		pod := &d.o.Pods[i]
		if pod.Status.PodIP == "" || !q.covers(pod.Namespace) {
			continue
		}
		selected, err := d.selectsPod(q, pod)
		if err != nil {
			return nil, err
		}
		if !selected {
			continue
		}
		found = append(found, group{
			layers: append(d.podLayers(pod), layer{kubernetesPrefix + "namespace": known(pod.Namespace)}), lacks: q.nodeLabels(),
			targets: func(yield func(candidate) error) error { return podTargets(pod, yield) },
		})
	}
	return found, nil
}

func (d *discovery) selectsPod(q query, pod *corev1.Pod) (bool, error) {
	return q.selectors[rolePod].selects(pod.Labels, fields.Set{
		"metadata.name": pod.Name, "metadata.namespace": pod.Namespace, "spec.nodeName": pod.Spec.NodeName,
		"spec.serviceAccountName": pod.Spec.ServiceAccountName, "status.phase": string(pod.Status.Phase), "status.podIP": pod.Status.PodIP,
	})
}

// podTargets are one for each port that a container declares, and one for each
// container that declares none.
func podTargets(pod *corev1.Pod, yield func(candidate) error) error {
	for c, isInit := range containers(pod) {
		target := func(address string, port *corev1.ContainerPort) error {
			l := layer{addressLabel: known(address), kubernetesPrefix + "pod_container_id": known(containerID(pod, c.Name, isInit))}
			l.addContainer(c, port, isInit)
			t := candidate{layers: []layer{l}, namespace: pod.Namespace, pod: pod, podName: pod.Name}
			if port != nil {
				t.container = c.Name
			}
			return yield(t)
		}
		if len(c.Ports) == 0 {
			if err := target(pod.Status.PodIP, nil); err != nil {
				return err
			}
		}
		for i := range c.Ports {
			if err := target(join(pod.Status.PodIP, c.Ports[i].ContainerPort), &c.Ports[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// containers goes through those of a pod in the order of Prometheus, and says
// which are init containers.
func containers(pod *corev1.Pod) iter.Seq2[*corev1.Container, bool] {
	return func(yield func(*corev1.Container, bool) bool) {
		for i := range pod.Spec.Containers {
			if !yield(&pod.Spec.Containers[i], false) {
				return
			}
		}
		for i := range pod.Spec.InitContainers {
			if !yield(&pod.Spec.InitContainers[i], true) {
				return
			}
		}
	}
}

func containerID(pod *corev1.Pod, container string, isInit bool) string {
	statuses := pod.Status.ContainerStatuses
	if isInit {
		statuses = pod.Status.InitContainerStatuses
	}
	for _, s := range statuses {
		if s.Name == container {
			return s.ContainerID
		}
	}
	return ""
}

func (l layer) addContainer(c *corev1.Container, port *corev1.ContainerPort, isInit bool) {
	const prefix = kubernetesPrefix + "pod_container_"
	l[prefix+"name"], l[prefix+"image"], l[prefix+"init"] = known(c.Name), known(c.Image), known(strconv.FormatBool(isInit))
	if port != nil {
		l[prefix+"port_name"], l[prefix+"port_number"] = known(port.Name), known(strconv.Itoa(int(port.ContainerPort)))
		l[prefix+"port_protocol"] = known(string(port.Protocol))
	}
}

// podLayers are what a pod has for itself and what others have as well: of ten thousand
// pods, most of what discovery makes is the labels of a few templates.
func (d *discovery) podLayers(pod *corev1.Pod) []layer {
	return []layer{podLayer(pod), d.templateLayer(&pod.ObjectMeta)}
}

// templateLayer is what the labels and annotations of pods become.
func (d *discovery) templateLayer(m *metav1.ObjectMeta) layer {
	type template struct{ labels, annotations string }
	of := template{key(m.Labels), key(m.Annotations)}
	l, ok := d.made[of]
	if !ok {
		l = layer{}
		l.addLabels(kubernetesPrefix+"pod_", m)
		d.made[of] = l
	}
	return l
}

// podLayer is discovery/kubernetes/pod.go, podLabels, but for what pods have in common.
func podLayer(pod *corev1.Pod) layer {
	const prefix = kubernetesPrefix + "pod_"
	l := layer{
		prefix + "ip": known(pod.Status.PodIP), prefix + "ready": known(readiness(pod)), prefix + "phase": known(string(pod.Status.Phase)),
		prefix + "node_name": known(pod.Spec.NodeName), prefix + "host_ip": known(pod.Status.HostIP), prefix + "uid": known(string(pod.UID)),
		prefix + "name": known(pod.Name),
	}
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		l[prefix+"controller_kind"], l[prefix+"controller_name"] = known(owner.Kind), known(owner.Name)
	}
	return l
}

func readiness(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return strings.ToLower(string(c.Status))
		}
	}
	return "unknown"
}
