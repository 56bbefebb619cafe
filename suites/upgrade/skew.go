package upgrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

const (
	// skewID names, in what the checks of the ways say, that proxies are too old for the
	// control plane that is to come.
	skewID = "upgrade-skew"
	// supportedSkew is by how many minors a control plane may be ahead of a proxy that it
	// serves: istio.io/latest/docs/releases/supported-releases, "Control Plane/Data Plane
	// Skew". That proxies may not be ahead of it holds as well; every way back breaks it
	// for a while, with versions of which that was tried.
	supportedSkew = 1
)

// supported requires, before anything is changed, that the newer control plane serves
// every proxy that there is, whether Prometheus scrapes it or not. What is too old must
// be made anew first; with it, the upgrade does not begin.
func (f *finding) supported(r Record) {
	if len(r.Steps) == 0 {
		return // that it was not tried is told with its steps
	}
	found := skew(r.Steps[0].Observation, r.To)
	for _, workload := range slices.Sorted(maps.Keys(found.behind)) {
		f.Fail("before the upgrade: %s: %s has the proxy %s, and Istio %s serves proxies of at most %d minor before it: make its pods anew with a newer proxy first",
			skewID, workload, found.behind[workload], r.To, supportedSkew)
	}
	for _, workload := range slices.Sorted(maps.Keys(found.unknown)) {
		f.Unclear("before the upgrade: %s: which version the proxy of %s is, its image does not say: %q", skewID, workload, found.unknown[workload])
	}
	if found.served > 0 {
		f.Saw(sourceAPI, skewID, "%d proxies are of no version that Istio %s does not serve", found.served, r.To)
	}
}

// skewed is what proxies are to a control plane, by workload.
type skewed struct {
	behind  map[string]string // version of those that it does not serve
	unknown map[string]string // of those whose version cannot be read
	served  int               // proxies that it does serve
}

// skew compares the proxies of a mesh with the version of a control plane.
func skew(o observe.Observation, plane string) skewed {
	found := skewed{behind: map[string]string{}, unknown: map[string]string{}}
	to, err := version.ParseGeneric(plane)
	for i := range o.Pods {
		p := &o.Pods[i]
		text, ok := proxyVersion(p)
		if !ok || p.DeletionTimestamp != nil {
			continue
		}
		is, unreadable := version.ParseGeneric(text)
		switch {
		case err != nil || unreadable != nil:
			found.unknown[workloadOf(p)] = text
		case tooOld(is, to):
			found.behind[workloadOf(p)] = text
		default:
			found.served++
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
	return proxy.Minor()+supportedSkew < plane.Minor()
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
