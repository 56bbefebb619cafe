package observe

import (
	"context"
	"path"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
)

// list returns a read of one whole collection.
func (p *pass) list(what string, into k8s.ObjectList, opts ...resources.ListOption) func(context.Context) {
	return func(ctx context.Context) { p.unread(what, p.listPages(ctx, into, opts)) }
}

// dropBookkeeping removes what the API server and its clients note for themselves.
func dropBookkeeping(o runtime.Object) error {
	m, err := meta.Accessor(o)
	if err != nil {
		return err
	}
	m.SetManagedFields(nil)
	delete(m.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	return nil
}

// reading is a part of a pass: reads that are made side by side, and what is done with
// what they read once all of them have ended.
type reading struct {
	reads []func(context.Context)
	take  func()
}

// readObjects lists each collection once.
func (p *pass) readObjects(ctx context.Context) {
	scraped, others := p.readingTargetObjects(), p.readingOthers()
	each(ctx, slices.Concat(scraped.reads, others.reads)...)
	scraped.take()
	others.take()
	strip(&p.o)
}

// readTargetObjects lists only what [ExpectedTargets], [Replicas] and [CertificateFiles] are
// worked out from: who waits for scrapes looks again and again.
func (p *pass) readTargetObjects(ctx context.Context) {
	scraped := p.readingTargetObjects()
	each(ctx, scraped.reads...)
	scraped.take()
	strip(&p.o)
}

// readingTargetObjects is of what says who is to be scraped, and how.
func (p *pass) readingTargetObjects() reading {
	var (
		namespaces    corev1.NamespaceList
		monitors      monitoringv1.ServiceMonitorList
		podMonitors   monitoringv1.PodMonitorList
		probes        monitoringv1.ProbeList
		scrapeConfigs monitoringv1alpha1.ScrapeConfigList
		services      corev1.ServiceList
		slicesList    discoveryv1.EndpointSliceList
		pods          corev1.PodList
		prometheuses  monitoringv1.PrometheusList
	)
	return reading{[]func(context.Context){
		p.list("namespaces", &namespaces), p.list("service monitors", &monitors), p.list("pod monitors", &podMonitors),
		p.list("probe objects", &probes), p.list("scrape configs", &scrapeConfigs), p.list("services", &services),
		p.list("endpoint slices", &slicesList), p.list("pods", &pods), p.list("the Prometheus objects", &prometheuses),
	}, func() {
		o := &p.o
		o.OtherPrometheuses = []monitoringv1.Prometheus{} // looked for, and perhaps none found
		for _, x := range prometheuses.Items {
			if x.Namespace == p.namespace && x.Name == p.prometheus {
				o.Prometheus = &x
			} else {
				o.OtherPrometheuses = append(o.OtherPrometheuses, x)
			}
		}
		o.Namespaces, o.Services, o.EndpointSlices, o.Pods = namespaces.Items, services.Items, slicesList.Items, pods.Items
		o.ServiceMonitors, o.PodMonitors, o.ProbeMonitors, o.ScrapeConfigs = monitors.Items, podMonitors.Items, probes.Items, scrapeConfigs.Items
	}}
}

// readingOthers is of what the checks and the diagnosis ask beside that.
func (p *pass) readingOthers() reading {
	var (
		sets           appsv1.StatefulSetList
		deployments    appsv1.DeploymentList
		peers          securityv1.PeerAuthenticationList
		authorizations securityv1.AuthorizationPolicyList
		rules          networkingv1.DestinationRuleList
		sidecars       networkingv1.SidecarList
		events         corev1.EventList
		kubernetes     string
	)
	return reading{[]func(context.Context){
		p.list("stateful sets", &sets), p.list("deployments", &deployments), p.list("peer authentications", &peers),
		p.list("authorization policies", &authorizations), p.list("destination rules", &rules), p.list("sidecars", &sidecars),
		p.list("events", &events, resources.WithFieldSelector("type=Warning")),
		func(context.Context) {
			v, err := p.kubernetes.Discovery().ServerVersion()
			p.unread("the version of Kubernetes", err)
			if err == nil {
				kubernetes = v.GitVersion
			}
		},
	}, func() {
		o := &p.o
		o.Versions.Kubernetes = kubernetes
		o.PeerAuthentications, o.AuthorizationPolicies = peers.Items, authorizations.Items
		o.DestinationRules, o.Sidecars = rules.Items, sidecars.Items
		for _, s := range sets.Items {
			if s.Namespace == p.namespace && s.Labels[PrometheusLabel] == p.prometheus {
				o.StatefulSets = append(o.StatefulSets, s)
			}
		}
		for _, d := range deployments.Items {
			if isOperator(d) {
				o.Versions.Operator = imageTag(d)
			}
			if d.Labels["app"] == "istiod" {
				o.Mesh.ControlPlanes = append(o.Mesh.ControlPlanes, controlPlane(d))
				o.Versions.Istio = imageTag(d)
			}
		}
		for _, e := range events.Items {
			o.Events = append(o.Events, eventOf(e))
		}
	}}
}

func eventOf(e corev1.Event) Event {
	last := e.LastTimestamp.Time
	if last.IsZero() {
		last = e.EventTime.Time
	}
	return Event{
		Kind: e.InvolvedObject.Kind, Namespace: e.InvolvedObject.Namespace, Name: e.InvolvedObject.Name,
		Type: e.Type, Reason: e.Reason, Message: e.Message, Last: last.UTC(),
	}
}

// isOperator reports whether a Deployment runs the Prometheus Operator. Its name is up
// to whoever installed it; that of its image is not.
func isOperator(d appsv1.Deployment) bool {
	if len(d.Spec.Template.Spec.Containers) == 0 {
		return d.Name == operatorImage
	}
	image, _, _ := strings.Cut(d.Spec.Template.Spec.Containers[0].Image, "@")
	name, _, _ := strings.Cut(path.Base(image), ":")
	return name == operatorImage
}

// operatorImage is the last part of its image's name, whatever registry it is from.
const operatorImage = "prometheus-operator"

// imageTag is the tag of a Deployment's first container, which is the version of
// what runs there.
func imageTag(d appsv1.Deployment) string {
	if len(d.Spec.Template.Spec.Containers) == 0 {
		return ""
	}
	image, _, _ := strings.Cut(d.Spec.Template.Spec.Containers[0].Image, "@")
	return image[strings.LastIndex(image, ":")+1:]
}

// strip removes the values of environment variables, which may be secrets of their
// owner. Those of Istio's proxy are settings and are kept.
func strip(o *Observation) {
	for i := range o.Pods {
		hideEnvironment(o.Pods[i].Spec.InitContainers)
		hideEnvironment(o.Pods[i].Spec.Containers)
	}
	for i := range o.StatefulSets {
		hideEnvironment(o.StatefulSets[i].Spec.Template.Spec.InitContainers)
		hideEnvironment(o.StatefulSets[i].Spec.Template.Spec.Containers)
	}
}

func hideEnvironment(containers []corev1.Container) {
	for i := range containers {
		if containers[i].Name == proxyContainer {
			continue
		}
		for j := range containers[i].Env {
			containers[i].Env[j].Value = ""
		}
	}
}

// sort puts everything into the order of names, so that equal subjects give equal
// files.
func (p *pass) sort() {
	o := &p.o
	byName := func(a, b metav1.ObjectMeta) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	}
	slices.SortFunc(o.Namespaces, func(a, b corev1.Namespace) int { return byName(a.ObjectMeta, b.ObjectMeta) })
	slices.SortFunc(o.Services, func(a, b corev1.Service) int { return byName(a.ObjectMeta, b.ObjectMeta) })
	slices.SortFunc(o.EndpointSlices, func(a, b discoveryv1.EndpointSlice) int { return byName(a.ObjectMeta, b.ObjectMeta) })
	slices.SortFunc(o.Pods, func(a, b corev1.Pod) int { return byName(a.ObjectMeta, b.ObjectMeta) })
	slices.SortFunc(o.Events, func(a, b Event) int {
		return strings.Compare(a.Namespace+a.Kind+a.Name+a.Reason+a.Message, b.Namespace+b.Kind+b.Name+b.Reason+b.Message)
	})
	slices.SortFunc(o.Access, func(a, b Access) int { return strings.Compare(a.Namespace+a.Resource, b.Namespace+b.Resource) })
	slices.SortFunc(o.Replicas, func(a, b Replica) int { return strings.Compare(a.Pod, b.Pod) })
	slices.SortFunc(o.Proxies, func(a, b Proxy) int { return strings.Compare(a.Pod, b.Pod) })
	slices.SortFunc(o.Probes, func(a, b Probe) int { return strings.Compare(a.Kind+a.Pod+a.Port, b.Kind+b.Pod+b.Port) })
	slices.SortFunc(o.Direct, func(a, b Direct) int { return strings.Compare(a.Pod, b.Pod) })
	slices.SortFunc(o.Unread, func(a, b Unread) int { return strings.Compare(a.What, b.What) })
}
