package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// podRules are about pods of the Prometheus that do not come to be, or do not run.
var podRules = []Rule{
	{
		Code: "volume-not-defined", Layer: LayerOperator,
		Title:   "A mount names a volume that the pod does not have",
		Hides:   []string{"pod-creation-refused", "pods-missing", "prometheus-not-reconciled", "prometheus-volume-mount-missing", "volumes-differ"},
		Explain: volumeNotDefined,
	},
	{
		Code: "user-volume-mount-malformed", Layer: LayerOperator,
		Title:   "The annotation that asks for the proxy's mount is no JSON list of mounts",
		Hides:   []string{"pod-creation-refused", "pods-missing", "user-volume-mount-missing"},
		Explain: userVolumeMountMalformed,
	},
	{
		Code: "proxy-config-malformed", Layer: LayerOperator,
		Title:   "The annotation that configures the proxy is not what Istio reads",
		Hides:   []string{"pod-creation-refused", "pods-missing", "output-certs-not-set"},
		Explain: proxyConfigMalformed,
	},
	{
		Code: "injector-unreachable", Layer: LayerOperator,
		Title:   "The API server could not reach the injection webhook, so it refuses pods",
		Hides:   []string{"pod-creation-refused", "pods-missing"},
		Explain: injectorUnreachable,
	},
	{
		Code: "pod-security-refused", Layer: LayerOperator,
		Title:   "Pod Security refuses the pod, most often for the proxy's init container",
		Hides:   []string{"pod-creation-refused", "pods-missing"},
		Explain: podSecurityRefused,
	},
	{
		Code: "pod-creation-refused", Layer: LayerOperator,
		Title:   "The pods of Prometheus are refused",
		Hides:   []string{"pods-missing"},
		Explain: podCreationRefused,
	},
	{
		Code: "prometheus-pod-not-ready", Layer: LayerOperator,
		Title:   "A pod of Prometheus exists but does not run",
		Explain: prometheusPodNotReady,
	},
	{
		Code: "pods-missing", Layer: LayerOperator,
		Title:   "There are fewer pods of Prometheus than asked for, and nothing says why",
		Proof:   "the events of the StatefulSet and the log of the operator",
		Explain: podsMissing,
	},
}

// refusals are the events that say why pods of the Prometheus were not created.
func (f *facts) refusals() []observe.Event {
	var events []observe.Event
	if len(f.replicas) >= f.wanted() {
		return nil // old news
	}
	for _, e := range f.o.Events {
		if e.Kind == "StatefulSet" && e.Reason == "FailedCreate" && e.Namespace == f.namespace && f.ownSet(e.Name) {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b observe.Event) int { return b.Last.Compare(a.Last) })
	return events
}

func (f *facts) ownSet(name string) bool {
	return f.o.Prometheus != nil && (name == "prometheus-"+f.o.Prometheus.Name || strings.HasPrefix(name, "prometheus-"+f.o.Prometheus.Name+"-shard-"))
}

// refusedFor finds the refusals with one of the words.
func (f *facts) refusedFor(change string, words ...string) []finding {
	for _, e := range f.refusals() {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(e.Message, w) }) {
			return []finding{certain([]string{aboutPrometheus}, "StatefulSet "+e.Namespace+"/"+e.Name+": "+e.Message, change)}
		}
	}
	return nil
}

func volumeNotDefined(f *facts) []finding {
	if f.o.Prometheus == nil {
		return nil
	}
	defined := map[string]bool{}
	for _, s := range f.sets {
		for _, v := range s.volumes {
			defined[v] = true
		}
	}
	for _, v := range f.spec.Volumes {
		defined[v.Name] = true
	}
	var found []finding
	check := func(mounts []corev1.VolumeMount, field string) {
		for _, m := range mounts {
			// The operator adds its own volumes, so that only a pod that is there
			// knows all of them; without one, the object has to.
			if defined[m.Name] || m.Name == "" {
				continue
			}
			x := certain([]string{aboutPrometheus}, fmt.Sprintf("%s of %s mounts the volume %q; spec.volumes has %s", field, f.prometheus, m.Name, volumeNames(f.spec.Volumes)),
				fmt.Sprintf("%s: add an emptyDir named %s to spec.volumes, or mount a volume that is there", f.prometheus, m.Name))
			if len(f.replicas) > 0 && len(f.refusals()) == 0 {
				x.confidence = reports.Likely
			}
			found = append(found, x)
		}
	}
	check(f.spec.VolumeMounts, "spec.volumeMounts")
	mounts, _ := f.userMounts()
	check(mounts, "the annotation "+annotation.SidecarUserVolumeMount.Name)
	return found
}

func volumeNames(volumes []corev1.Volume) string {
	var names []string
	for _, v := range volumes {
		names = append(names, v.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func userVolumeMountMalformed(f *facts) []finding {
	_, err := f.userMounts()
	if err == nil {
		return nil
	}
	return []finding{certain([]string{aboutPrometheus}, fmt.Sprintf("%s has the annotation %s: %s, which is no JSON list of mounts (%v)", f.prometheus, annotation.SidecarUserVolumeMount.Name, f.podAnnotation(annotation.SidecarUserVolumeMount.Name), err),
		f.prometheus+": set spec.podMetadata.annotations."+annotation.SidecarUserVolumeMount.Name+` to '[{"name": "istio-certs", "mountPath": "/etc/istio-output-certs"}]'`)}
}

func proxyConfigMalformed(f *facts) []finding {
	_, err := f.proxyMetadata()
	if err == nil {
		return nil
	}
	return []finding{certain([]string{aboutPrometheus}, fmt.Sprintf("%s has an annotation %s that Istio cannot read: %v", f.prometheus, annotation.ProxyConfig.Name, err),
		f.prometheus+": make spec.podMetadata.annotations."+annotation.ProxyConfig.Name+" valid YAML, with every value under proxyMetadata in quotes")}
}

func injectorUnreachable(f *facts) []finding {
	return append(f.prometheusNotInjected(), f.targetsNotInjected()...)
}

// prometheusNotInjected finds the pods of the Prometheus that are refused since the
// injector cannot be called.
func (f *facts) prometheusNotInjected() []finding {
	for _, e := range f.refusals() {
		if !callsInjector(e.Message) {
			continue
		}
		seen := "StatefulSet " + e.Namespace + "/" + e.Name + ": " + e.Message
		for _, c := range f.o.Mesh.ControlPlanes {
			seen += fmt.Sprintf("; Deployment %s has %d of %d pods ready", c.Name, c.Ready, c.Replicas)
		}
		return []finding{certain([]string{aboutPrometheus}, seen, "start istiod, or point the webhook configuration at the istiod that runs; the pods follow by themselves")}
	}
	return nil
}

func podSecurityRefused(f *facts) []finding {
	return f.refusedFor(fmt.Sprintf("Namespace %s: set the label pod-security.kubernetes.io/enforce to privileged, or install istio-cni so that the proxy needs no init container with NET_ADMIN", f.namespace),
		"violates PodSecurity", "SecurityContextConstraints", "security context constraint")
}

func podCreationRefused(f *facts) []finding {
	events := f.refusals()
	if len(events) == 0 {
		return nil
	}
	e := events[0]
	return []finding{certain([]string{aboutPrometheus}, "StatefulSet "+e.Namespace+"/"+e.Name+": "+e.Message, "remove what the event names; the pods follow by themselves")}
}

func prometheusPodNotReady(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		if r.pod == nil || ready(r.pod) {
			continue
		}
		seen := fmt.Sprintf("pod %s/%s is not ready: %s", r.pod.Namespace, r.name, podState(r.pod))
		for _, e := range f.o.Events {
			if e.Kind == "Pod" && e.Namespace == r.pod.Namespace && e.Name == r.name && (e.Reason == "FailedMount" || e.Reason == "FailedScheduling" || e.Reason == "Failed") {
				seen += "; " + e.Reason + ": " + e.Message
				break
			}
		}
		found = append(found, certain(r.about(), seen, "repair what keeps the container from running"))
	}
	return found
}

func podsMissing(f *facts) []finding {
	if f.o.Prometheus == nil || len(f.replicas) >= f.wanted() || f.wanted() == 0 {
		return nil
	}
	if _, unread := f.unread("pods"); unread {
		return nil
	}
	x := certain([]string{aboutPrometheus}, fmt.Sprintf("%s asks for %d pods, %d are there", f.prometheus, f.wanted(), len(f.replicas)),
		"look at the events of StatefulSet "+f.namespace+"/prometheus-"+f.o.Prometheus.Name+" and at the log of the operator")
	x.confidence = reports.Likely
	return []finding{x}
}

func ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
}

// podState says why a pod is not ready, from the first container that is not.
func podState(p *corev1.Pod) string {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		last := ""
		if t := s.LastTerminationState.Terminated; t != nil {
			last = strings.TrimSpace(fmt.Sprintf(", it ended last with code %d %s %s", t.ExitCode, t.Reason, lastLine(t.Message)))
		}
		switch w := s.State.Waiting; {
		case w != nil && w.Reason != "PodInitializing":
			return strings.TrimSpace(fmt.Sprintf("container %s waits: %s %s%s", s.Name, w.Reason, w.Message, last))
		case s.State.Running != nil && !s.Ready:
			return fmt.Sprintf("container %s runs and is not ready, %d restarts%s", s.Name, s.RestartCount, last)
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			return c.Message
		}
	}
	return "phase " + string(p.Status.Phase)
}

func lastLine(s string) string {
	_, after, _ := cutLast(strings.TrimSpace(s), "\n")
	if after == "" {
		return strings.TrimSpace(s)
	}
	return after
}
