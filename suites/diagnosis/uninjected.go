package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// callsInjector reports whether the API server says that it could not call the webhook
// which injects sidecars.
func callsInjector(message string) bool {
	return strings.Contains(message, "failed calling webhook") && (strings.Contains(message, "sidecar-injector") || strings.Contains(message, "/inject"))
}

// calledService is the Service that the API server could not call, as it quotes its URL.
var calledService = regexp.MustCompile(`https://([a-z0-9-]+)\.([a-z0-9-]+)\.svc[:/]`)

// targetsNotInjected finds the workloads of targets whose pods are refused since the
// injector cannot be called. One that lost all of its pods has no target any more: then
// a workload without any pod, in a namespace with targets, is taken for it.
func (f *facts) targetsNotInjected() []finding {
	events := slices.Clone(f.o.Events)
	slices.SortStableFunc(events, func(a, b observe.Event) int { return b.Last.Compare(a.Last) })
	for _, e := range events {
		if e.Kind != "ReplicaSet" || e.Reason != "FailedCreate" || !callsInjector(e.Message) {
			continue
		}
		about, concerned := f.ofWorkload(e)
		service, configurations := f.injectorsCalled(e.Message)
		if !concerned || f.overcome(e, configurations) {
			continue
		}
		x := certain(about, fmt.Sprintf("%s %s/%s: %s", e.Kind, e.Namespace, e.Name, e.Message),
			injectorChange(configurations)+"; the pods follow by themselves")
		switch {
		case service != "" && f.lacksService(service):
			x.seen += "; there is no Service " + service
		case f.someControlPlane():
			x.confidence = reports.Likely // it may be over
		}
		return []finding{x}
	}
	return nil
}

// ofWorkload says which targets a refused workload has, and whether it concerns the
// subject at all.
func (f *facts) ofWorkload(e observe.Event) (about []string, concerned bool) {
	near := e.Namespace == f.namespace
	for _, t := range f.targets {
		if t.pod == nil {
			continue
		}
		near = near || t.pod.Namespace == e.Namespace
		if owns(e, t.pod) {
			about = append(about, t.about()...)
		}
	}
	if len(about) > 0 {
		return about, true
	}
	alive := slices.ContainsFunc(f.o.Pods, func(p corev1.Pod) bool { return owns(e, &p) })
	return []string{e.Kind + " " + e.Namespace + "/" + e.Name}, near && !alive
}

// overcome reports whether a refusal is old news: a pod came after it, or what could not
// be called is not called any more.
func (f *facts) overcome(e observe.Event, configurations []string) bool {
	if len(f.o.Mesh.Injectors) > 0 && len(configurations) == 0 && calledService.MatchString(e.Message) {
		return true
	}
	return slices.ContainsFunc(f.o.Pods, func(p corev1.Pod) bool { return owns(e, &p) && p.CreationTimestamp.After(e.Last) })
}

// owns reports whether a pod is one of the workload that an event is about.
func owns(e observe.Event, p *corev1.Pod) bool {
	return p.Namespace == e.Namespace && slices.ContainsFunc(p.OwnerReferences, func(r metav1.OwnerReference) bool { return r.Kind == e.Kind && r.Name == e.Name })
}

// injectorsCalled is the Service that was called, as in "istio-system/istiod", and the
// configurations of webhooks that still name it.
func (f *facts) injectorsCalled(message string) (service string, configurations []string) {
	m := calledService.FindStringSubmatch(message)
	if m == nil {
		return "", nil
	}
	service = m[2] + "/" + m[1]
	for _, i := range f.o.Mesh.Injectors {
		if i.Service == service && !slices.Contains(configurations, i.Configuration) {
			configurations = append(configurations, i.Configuration)
		}
	}
	return service, configurations
}

func injectorChange(configurations []string) string {
	if len(configurations) == 0 {
		return "start istiod, or point the webhook configuration at the istiod that runs"
	}
	return "MutatingWebhookConfiguration " + strings.Join(configurations, ", ") + ": let webhooks[].clientConfig.service name the istiod that runs, or start that one"
}

// lacksService reports whether the Services of a namespace were seen, and one of them is
// not there.
func (f *facts) lacksService(name string) bool {
	namespace, _, _ := strings.Cut(name, "/")
	seen := false
	for i := range f.o.Services {
		s := &f.o.Services[i]
		if s.Namespace+"/"+s.Name == name {
			return false
		}
		seen = seen || s.Namespace == namespace
	}
	return seen
}

func (f *facts) someControlPlane() bool {
	return slices.ContainsFunc(f.o.Mesh.ControlPlanes, func(c observe.ControlPlane) bool { return c.Ready > 0 })
}
