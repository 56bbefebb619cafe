package conformance

import (
	"fmt"
	"slices"
	"strings"

	"istio.io/api/label"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// prometheusSidecarInjected: without the sidecar nobody writes certificates. That
// it was asked for does not mean that it is there: the webhook goes by labels of
// the namespace and the pod, and says nothing when it passes a pod over. Replicas
// with different proxies are what an upgrade leaves that was not finished.
var prometheusSidecarInjected = Check{
	ID:      "prometheus-sidecar-injected",
	Title:   "Every replica of Prometheus has a ready sidecar, all of one known version",
	Profile: ProfileSetup,
	Level:   reports.Core,
	Reads:   []string{"the Prometheus ", "pods"},
	Assess: func(o *subject, f *finding) {
		pods := observe.Replicas(o.Observation)
		wantPods(o, len(pods), f)
		var images []string
		for i := range pods {
			pod := &pods[i]
			name := pod.Namespace + "/" + pod.Name
			s, ok := observe.SidecarOf(pod)
			if !ok {
				f.Fail("%s has no running container istio-proxy: namespace %s has %s, the pod has %s", name, pod.Namespace, injectionLabels(namespaceLabels(o, pod.Namespace)), injectionLabels(pod.Labels))
				continue
			}
			kind := "classic sidecar"
			if s.Native {
				kind = "native sidecar"
			}
			switch {
			case !s.Ready:
				f.Fail("%s: the container istio-proxy (%s) is not ready", name, kind)
			case s.Version() == "":
				f.Fail("%s: the container istio-proxy runs %s, which names no version", name, s.Image)
			default:
				f.Saw(sourceAPI, name, "%s, ready, %s", kind, s.Image)
			}
			if !slices.Contains(images, s.Image) {
				images = append(images, s.Image)
			}
		}
		if len(images) > 1 {
			f.Fail("the replicas run different proxies: %s", strings.Join(images, ", "))
		}
	},
}

// injectionLabels shows the labels that injection goes by.
func injectionLabels(labels map[string]string) string {
	var shown []string
	for _, name := range []string{mesh.InjectionLabel, label.SidecarInject.Name, label.IoIstioRev.Name, label.IoIstioDataplaneMode.Name} {
		if value, ok := labels[name]; ok {
			shown = append(shown, fmt.Sprintf("%s=%s", name, value))
		}
	}
	if len(shown) == 0 {
		return "no label that asks for one"
	}
	return "the label " + strings.Join(shown, ", ")
}

func namespaceLabels(o *subject, name string) map[string]string {
	for _, n := range o.Namespaces {
		if n.Name == name {
			return n.Labels
		}
	}
	return nil
}
