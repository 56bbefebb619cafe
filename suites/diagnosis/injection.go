package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"istio.io/api/annotation"
	"istio.io/api/label"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// consequencesOfNoProxy are what a Prometheus pod without a proxy cannot have.
var consequencesOfNoProxy = []string{"certificate-file-missing", "pool-not-made", "pools-made-before-files", "certificate-file-invalid", "control-plane-down"}

// injectionRules say why a Prometheus pod has no proxy. They share one search:
// each finds the pods for which it is the reason.
var injectionRules = []Rule{
	injectionRule("injection-host-network", "The pod uses the network of its node: Istio never injects it"),
	injectionRule("injection-disabled", "A label or annotation switches injection off"),
	injectionRule("injection-system-namespace", "Istio never injects pods of this namespace"),
	injectionRule("injection-revision-unknown", "A label asks for a revision that no webhook serves"),
	injectionRule("injection-label-as-annotation", "The wish for a proxy is an annotation, and the webhook selects by labels"),
	injectionRule("injection-not-requested", "Nothing asks for a proxy in this pod"),
	injectionRule("injection-pod-older", "The pod would get a proxy now, but was made without one"),
}

func injectionRule(code, title string) Rule {
	return Rule{
		Code: code, Title: title, Layer: LayerInjection, Hides: consequencesOfNoProxy,
		Explain: func(f *facts) []finding {
			var found []finding
			for _, r := range f.replicas {
				if r.pod == nil || proxyOf(r.pod) != nil {
					continue
				}
				if why := f.notInjected(r.pod); why.code == code {
					found = append(found, certain(r.about(), "pod "+f.namespace+"/"+r.name+" has no "+proxyName+": "+why.seen, why.change(f.prometheus, "spec.podMetadata")))
				}
			}
			return found
		},
	}
}

// noProxy is why a pod has no proxy.
type noProxy struct {
	code string
	seen string
	// change takes what makes the pod, and where in it the pod's metadata is.
	change func(object, metadata string) string
}

// labelNamespace is the label of a namespace by which the default revision injects
// sidecars into its pods.
const labelNamespace = "istio-injection"

// notInjected finds why a pod has no proxy, in the order in which Istio decides.
func (f *facts) notInjected(pod *corev1.Pod) noProxy {
	ns := f.namespaces[pod.Namespace]
	labels := pod.Labels
	revision, from := firstOf(ns[label.IoIstioRev.Name], labels[label.IoIstioRev.Name]), "pod"
	if ns[label.IoIstioRev.Name] != "" {
		from = "Namespace " + pod.Namespace
	}
	namespaceChange := func(change string) func(string, string) string {
		return func(object, _ string) string {
			return "Namespace " + pod.Namespace + ": " + change + "; then restart the pods of " + object
		}
	}
	switch {
	case pod.Spec.HostNetwork:
		return noProxy{"injection-host-network", "it has hostNetwork true", func(object, _ string) string { return object + ": set spec.hostNetwork to false" }}
	case slices.Contains([]string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"}, pod.Namespace):
		return noProxy{"injection-system-namespace", "Istio ignores the namespace " + pod.Namespace, func(object, _ string) string { return object + ": move it to a namespace that Istio injects" }}
	case labels[label.SidecarInject.Name] == "false":
		return noProxy{"injection-disabled", "it has the label " + label.SidecarInject.Name + ": false", func(object, metadata string) string {
			return fmt.Sprintf("%s: set %s.labels.%s to %q", object, metadata, label.SidecarInject.Name, "true")
		}}
	case ns[labelNamespace] == "disabled":
		return noProxy{"injection-disabled", fmt.Sprintf("Namespace %s has the label %s: disabled, which no label of a pod overrules", pod.Namespace, labelNamespace), namespaceChange("set the label " + labelNamespace + " to enabled")}
	case revision != "" && ns[labelNamespace] == "" && !f.servesRevision(revision):
		return noProxy{"injection-revision-unknown", fmt.Sprintf("%s has the label %s: %s, and the webhooks serve %s", from, label.IoIstioRev.Name, revision, f.revisions()), func(object, metadata string) string {
			if from != "pod" {
				return namespaceChange("set the label "+label.IoIstioRev.Name+" to a revision that has an istiod: "+f.revisions())(object, metadata)
			}
			return fmt.Sprintf("%s: set %s.labels.%s to a revision that has an istiod: %s", object, metadata, label.IoIstioRev.Name, f.revisions())
		}}
	case pod.Annotations[label.SidecarInject.Name] == "false":
		return noProxy{"injection-disabled", "it has the annotation " + label.SidecarInject.Name + ": false", func(object, metadata string) string {
			return fmt.Sprintf("%s: remove %s.annotations.%s", object, metadata, label.SidecarInject.Name)
		}}
	case f.wouldInject(ns, labels):
		return noProxy{"injection-pod-older", fmt.Sprintf("a webhook selects it (Namespace labels %s), so it was made before that, or while istiod was away", labelText(ns)), func(object, _ string) string { return "restart the pods of " + object }}
	case pod.Annotations[label.SidecarInject.Name] != "":
		return noProxy{"injection-label-as-annotation", fmt.Sprintf("it has the annotation %s: %s; Namespace %s has labels %s, the pod no label %s", label.SidecarInject.Name, pod.Annotations[label.SidecarInject.Name], pod.Namespace, labelText(ns), label.SidecarInject.Name), wantLabel}
	}
	return noProxy{"injection-not-requested", fmt.Sprintf("Namespace %s has labels %s, the pod %s: no webhook selects it", pod.Namespace, labelText(ns), labelText(labels)), wantLabel}
}

func wantLabel(object, metadata string) string {
	return fmt.Sprintf("%s: set %s.labels.%s to %q (a label, not an annotation)", object, metadata, label.SidecarInject.Name, "true")
}

// wouldInject reports whether a webhook selects pods with these labels: the
// cluster's own if they were read, else those that Istio installs.
func (f *facts) wouldInject(ns, pod map[string]string) bool {
	if len(f.o.Mesh.Injectors) == 0 {
		return ns[labelNamespace] == "enabled" || ns[label.IoIstioRev.Name] != "" || pod[label.SidecarInject.Name] == "true" || pod[label.IoIstioRev.Name] != ""
	}
	return slices.ContainsFunc(f.o.Mesh.Injectors, func(i observe.Injector) bool {
		return (i.NamespaceSelector == nil || selects(i.NamespaceSelector, ns)) && (i.ObjectSelector == nil || selects(i.ObjectSelector, pod))
	})
}

// served lists the revisions and tags that webhooks select.
func (f *facts) served() []string {
	var all []string
	add := func(s string) {
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, i := range f.o.Mesh.Injectors {
		add(i.Revision)
		if i.NamespaceSelector == nil {
			continue
		}
		for _, e := range i.NamespaceSelector.MatchExpressions {
			if e.Key == label.IoIstioRev.Name {
				for _, v := range e.Values {
					add(v)
				}
			}
		}
		add(i.NamespaceSelector.MatchLabels[label.IoIstioRev.Name])
	}
	slices.Sort(all)
	return all
}

func (f *facts) servesRevision(r string) bool {
	return len(f.o.Mesh.Injectors) == 0 || slices.Contains(f.served(), r)
}

func (f *facts) revisions() string { return firstOf(strings.Join(f.served(), ", "), "none") }

// targetRules are about the pod of a target and its proxy.
var targetRules = []Rule{
	{
		Code: "target-not-in-mesh", Layer: LayerTarget,
		Title:   "A target without a proxy is scraped with https",
		Explain: targetNotInMesh,
	},
	{
		Code: "target-port-not-captured", Layer: LayerTarget,
		Title:   "The target's proxy leaves this port alone, so that nothing there speaks mTLS",
		Explain: targetPortNotCaptured,
	},
	{
		Code: "target-pod-not-ready", Layer: LayerTarget,
		Title:   "The pod of a target does not run as it should",
		Proof:   "whether the scrape fails only while the pod is not ready",
		Explain: targetPodNotReady,
	},
}

// eachTargetWithoutProxy calls with each target that is scraped by TLS, has no proxy to
// answer it, and answers as one would that has none.
func (f *facts) eachTargetWithoutProxy(call func(*target, reports.Confidence)) {
	for _, t := range f.targets {
		if t.pod == nil || t.Scheme != "https" || proxyOf(t.pod) != nil {
			continue
		}
		if c, ok := t.confidence(plainClasses...); ok {
			call(t, c)
		}
	}
}

func targetNotInMesh(f *facts) []finding {
	var found []finding
	f.eachTargetWithoutProxy(func(t *target, c reports.Confidence) {
		why := f.notInjected(t.pod)
		found = append(found, t.finding(c, fmt.Sprintf("pod %s has no %s (%s), and %s scrapes it with https; %s", t.name, proxyName, why.seen, t.monitor, t.says()),
			why.change("the workload of "+ownerOf(t.pod), "spec.template.metadata")+", or scrape it by a monitor of its own with scheme http"))
	})
	return found
}

// ownerOf names what made a pod, or the pod.
func ownerOf(pod *corev1.Pod) string {
	for _, o := range pod.OwnerReferences {
		return o.Kind + " " + pod.Namespace + "/" + o.Name
	}
	return "pod " + pod.Namespace + "/" + pod.Name
}

func targetPortNotCaptured(f *facts) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.pod == nil || t.Scheme != "https" || proxyOf(t.pod) == nil {
			continue
		}
		c, ok := t.confidence(plainClasses...)
		if !ok {
			continue
		}
		in := captureOf(t.pod)
		change := "the workload of " + ownerOf(t.pod) + ": "
		switch {
		case in.mode == "NONE":
			change += "remove the annotation " + annotation.SidecarInterceptionMode.Name
		case listed(in.notInbound, t.Port):
			change += "take " + t.Port + " out of the annotation " + annotation.SidecarTrafficExcludeInboundPorts.Name
		case in.inbound != "*" && !listed(in.inbound, t.Port):
			change += "add " + t.Port + " to the annotation " + annotation.SidecarTrafficIncludeInboundPorts.Name + ", or remove it"
		default:
			continue
		}
		found = append(found, t.finding(c, fmt.Sprintf("the proxy of pod %s does not take port %s (%s); %s", t.name, t.Port, in, t.says()), change))
	}
	return found
}

func targetPodNotReady(f *facts) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.pod == nil || ready(t.pod) || t.pod.Status.Phase == "" {
			continue
		}
		c, ok := t.confidence(ConnectionRefused, UnavailableStatus, TimedOut, Unreachable)
		if !ok {
			continue
		}
		if c == reports.Certain && !strings.Contains(podState(t.pod), "waits") {
			c = reports.Likely
		}
		found = append(found, t.finding(c, fmt.Sprintf("pod %s is not ready: %s; %s", t.name, podState(t.pod), t.says()), "repair "+ownerOf(t.pod)))
	}
	return found
}
