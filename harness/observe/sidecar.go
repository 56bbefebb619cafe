package observe

import (
	"encoding/json"
	"slices"
	"strings"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Sidecar is the proxy in a pod.
type Sidecar struct {
	Native bool // an init container that keeps running, else a container beside the others
	Image  string
	Ready  bool
	UID    int64 // as which it runs: what tells its connections from those of the application
	// Revision is that of the control plane which injected it, as that one wrote down;
	// empty if it did not.
	Revision string
}

// proxyUID is the user of Istio's proxy unless an installation says otherwise.
const proxyUID = 1337

// SidecarOf finds the proxy of a pod.
func SidecarOf(pod *corev1.Pod) (Sidecar, bool) {
	if pod == nil {
		return Sidecar{}, false
	}
	named := func(c corev1.Container) bool { return c.Name == proxyContainer }
	if i := slices.IndexFunc(pod.Spec.InitContainers, named); i >= 0 {
		c := pod.Spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			return newSidecar(pod, c, true, pod.Status.InitContainerStatuses), true
		}
	}
	if i := slices.IndexFunc(pod.Spec.Containers, named); i >= 0 {
		return newSidecar(pod, pod.Spec.Containers[i], false, pod.Status.ContainerStatuses), true
	}
	return Sidecar{}, false
}

func newSidecar(pod *corev1.Pod, c corev1.Container, native bool, statuses []corev1.ContainerStatus) Sidecar {
	s := Sidecar{Native: native, Image: c.Image, UID: proxyUID, Revision: injectedBy(pod)}
	if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
		s.UID = *c.SecurityContext.RunAsUser
	}
	if i := slices.IndexFunc(statuses, func(x corev1.ContainerStatus) bool { return x.Name == c.Name }); i >= 0 {
		s.Ready = statuses[i].Ready
	}
	return s
}

// injectedBy reads the revision from what Istio's injector notes on every pod. The
// label istio.io/rev does not tell it: that may name a tag.
func injectedBy(pod *corev1.Pod) string {
	var status struct {
		Revision string `json:"revision"`
	}
	if err := json.Unmarshal([]byte(pod.Annotations[annotation.SidecarStatus.Name]), &status); err != nil {
		return "" // it was not injected, or not by Istio
	}
	return status.Revision
}

// Sidecars are the proxies of pods, by namespace and name of the pod. Pods without
// are left out.
func Sidecars(pods []corev1.Pod) map[types.NamespacedName]Sidecar {
	all := map[types.NamespacedName]Sidecar{}
	for i := range pods {
		if s, ok := SidecarOf(&pods[i]); ok {
			all[types.NamespacedName{Namespace: pods[i].Namespace, Name: pods[i].Name}] = s
		}
	}
	return all
}

// Version is the tag of the image, or its digest if it has no tag that stays the
// same; empty if neither is known.
func (s Sidecar) Version() string {
	image, digest, _ := strings.Cut(s.Image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if tag == "" || tag == "latest" {
		return digest
	}
	return tag
}

// FindPod returns a pod by name, or nil.
func FindPod(o Observation, namespace, name string) *corev1.Pod {
	for i := range o.Pods {
		if o.Pods[i].Namespace == namespace && o.Pods[i].Name == name {
			return &o.Pods[i]
		}
	}
	return nil
}

// IdentityOf is the SPIFFE ID that the mesh gives to a pod: by its own account, in
// the mesh's trust domain. It is empty if the trust domain is not known.
func IdentityOf(o Observation, pod *corev1.Pod) string {
	if pod == nil || o.Mesh.TrustDomain == "" {
		return ""
	}
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	return "spiffe://" + o.Mesh.TrustDomain + "/ns/" + pod.Namespace + "/sa/" + account
}
