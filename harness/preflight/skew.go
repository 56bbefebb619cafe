package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// SupportedSkew is by how many minors a control plane may be ahead of a proxy that it
// serves: istio.io/latest/docs/releases/supported-releases, "Control Plane/Data Plane
// Skew". That no proxy may be ahead of it holds as well, but is not looked for: whoever
// goes back from an upgrade breaks it for a while, and can do no other.
const SupportedSkew = 1

// Skewed is what the proxies of a mesh are to a control plane, by workload, as in
// "Deployment default/reviews-v1".
type Skewed struct {
	Behind  map[string]string // version of the proxies that it does not serve
	Unknown map[string]string // what is given for a version, and none
	Served  int               // proxies that it does serve
}

// Skew compares the proxies in some pods with the version of a control plane, as in
// "1.31.0". Pods that are going are left out.
func Skew(pods []corev1.Pod, plane string) Skewed {
	found := Skewed{Behind: map[string]string{}, Unknown: map[string]string{}}
	to, err := version.ParseGeneric(plane)
	for i := range pods {
		p := &pods[i]
		sidecar, ok := observe.SidecarOf(p)
		if !ok || p.DeletionTimestamp != nil {
			continue
		}
		is, unreadable := version.ParseGeneric(sidecar.Version())
		switch {
		case err != nil || unreadable != nil:
			found.Unknown[workloadOf(p)] = sidecar.Version()
		case tooOld(is, to):
			found.Behind[workloadOf(p)] = sidecar.Version()
		default:
			found.Served++
		}
	}
	return found
}

// tooOld reports whether a control plane is too far ahead of a proxy. Another major is
// further than any minor.
func tooOld(proxy, plane *version.Version) bool {
	if proxy.Major() != plane.Major() {
		return proxy.Major() < plane.Major()
	}
	return proxy.Minor()+SupportedSkew < plane.Minor()
}

// workloadOf names what makes a pod anew, as a user knows it: the Deployment, and not
// its ReplicaSet, whose name has a hash at its end.
func workloadOf(p *corev1.Pod) string {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return fmt.Sprintf("Pod %s/%s", p.Namespace, p.Name)
	}
	hash := "-" + p.Labels["pod-template-hash"]
	if owner.Kind == "ReplicaSet" && hash != "-" && strings.HasSuffix(owner.Name, hash) {
		return fmt.Sprintf("Deployment %s/%s", p.Namespace, strings.TrimSuffix(owner.Name, hash))
	}
	return fmt.Sprintf("%s %s/%s", owner.Kind, p.Namespace, owner.Name)
}

// skewed looks for proxies that a control plane to come would not serve.
func skewed(ctx context.Context, s *Subject) (State, string) {
	if s.Next == "" {
		return OK, "no version is named that the mesh is to be upgraded to (-next), so the proxies were compared with none"
	}
	pods, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return Warn, "the proxies of the mesh were not looked for: " + err.Error()
	}
	return judgeSkew(Skew(pods.Items, s.Next), s.Next)
}

func judgeSkew(found Skewed, next string) (State, string) {
	if len(found.Behind) > 0 {
		return Fail, fmt.Sprintf("Istio %s serves proxies of at most %d minor before it, and these are older: %s; make their pods anew with a newer proxy first",
			next, SupportedSkew, inWords(found.Behind))
	}
	if len(found.Unknown) > 0 {
		return Warn, "which version these proxies are, their images do not say: " + inWords(found.Unknown)
	}
	return OK, fmt.Sprintf("none of %d proxies is too old for Istio %s", found.Served, next)
}

// inWords is as in "Deployment a/b has 1.29.0, Pod c/d has 1.28.1".
func inWords(versions map[string]string) string {
	var words []string
	for _, workload := range slices.Sorted(maps.Keys(versions)) {
		words = append(words, fmt.Sprintf("%s has %s", workload, versions[workload]))
	}
	return strings.Join(words, ", ")
}
