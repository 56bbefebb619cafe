package observe

import (
	"context"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/klient/k8s"
)

// readObjects lists each collection once.
func (p *pass) readObjects(ctx context.Context) {
	list := func(what string, into k8s.ObjectList) func(context.Context) {
		return func(ctx context.Context) { p.unread(what, p.client.Resources().List(ctx, into)) }
	}
	var (
		namespaces  corev1.NamespaceList
		monitors    monitoringv1.ServiceMonitorList
		services    corev1.ServiceList
		slicesList  discoveryv1.EndpointSliceList
		pods        corev1.PodList
		peers       securityv1.PeerAuthenticationList
		deployments appsv1.DeploymentList
		prometheus  monitoringv1.Prometheus
	)
	each(ctx,
		list("namespaces", &namespaces), list("service monitors", &monitors), list("services", &services),
		list("endpoint slices", &slicesList), list("pods", &pods), list("peer authentications", &peers),
		list("deployments", &deployments),
		func(ctx context.Context) {
			err := p.client.Resources(p.namespace).Get(ctx, p.prometheus, p.namespace, &prometheus)
			p.unread("the Prometheus "+p.namespace+"/"+p.prometheus, err)
			if err == nil {
				prometheus.ManagedFields = nil
				p.o.Prometheus = &prometheus
			}
		},
		func(context.Context) {
			v, err := p.kubernetes.Discovery().ServerVersion()
			p.unread("the version of Kubernetes", err)
			if err == nil {
				p.o.Versions.Kubernetes = v.GitVersion
			}
		},
	)
	o := &p.o
	o.Namespaces, o.Services, o.EndpointSlices, o.Pods = namespaces.Items, services.Items, slicesList.Items, pods.Items
	o.ServiceMonitors, o.PeerAuthentications = monitors.Items, peers.Items
	o.Versions.Istio, o.Versions.Operator = imageTag(deployments, "istiod"), imageTag(deployments, "prometheus-operator")
	strip(o)
}

// imageTag is the tag of a Deployment's first container, which is the version of
// what runs there.
func imageTag(deployments appsv1.DeploymentList, name string) string {
	for _, d := range deployments.Items {
		if d.Name == name && len(d.Spec.Template.Spec.Containers) > 0 {
			image, _, _ := strings.Cut(d.Spec.Template.Spec.Containers[0].Image, "@")
			return image[strings.LastIndex(image, ":")+1:]
		}
	}
	return ""
}

// strip removes what no check reads: bookkeeping of the API server, and the
// values of environment variables, which may be secrets of their owner. Those of
// Istio's proxy are settings and are kept.
func strip(o *Observation) {
	bookkeeping := func(m *metav1.ObjectMeta) {
		m.ManagedFields = nil
		delete(m.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	for i := range o.Namespaces {
		bookkeeping(&o.Namespaces[i].ObjectMeta)
	}
	for i := range o.Services {
		bookkeeping(&o.Services[i].ObjectMeta)
	}
	for i := range o.EndpointSlices {
		bookkeeping(&o.EndpointSlices[i].ObjectMeta)
	}
	for i := range o.ServiceMonitors {
		bookkeeping(&o.ServiceMonitors[i].ObjectMeta)
	}
	for i := range o.PeerAuthentications {
		bookkeeping(&o.PeerAuthentications[i].ObjectMeta)
	}
	for i := range o.Pods {
		bookkeeping(&o.Pods[i].ObjectMeta)
		hideEnvironment(o.Pods[i].Spec.InitContainers)
		hideEnvironment(o.Pods[i].Spec.Containers)
	}
}

func hideEnvironment(containers []corev1.Container) {
	for i := range containers {
		if containers[i].Name == "istio-proxy" {
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
	name := func(m metav1.ObjectMeta) string { return m.Namespace + "/" + m.Name }
	slices.SortFunc(o.Namespaces, func(a, b corev1.Namespace) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Services, func(a, b corev1.Service) int { return strings.Compare(name(a.ObjectMeta), name(b.ObjectMeta)) })
	slices.SortFunc(o.EndpointSlices, func(a, b discoveryv1.EndpointSlice) int {
		return strings.Compare(name(a.ObjectMeta), name(b.ObjectMeta))
	})
	slices.SortFunc(o.Pods, func(a, b corev1.Pod) int { return strings.Compare(name(a.ObjectMeta), name(b.ObjectMeta)) })
	slices.SortFunc(o.Replicas, func(a, b Replica) int { return strings.Compare(a.Pod, b.Pod) })
	slices.SortFunc(o.Proxies, func(a, b Proxy) int { return strings.Compare(a.Pod, b.Pod) })
	slices.SortFunc(o.Probes, func(a, b Probe) int { return strings.Compare(a.Kind+a.Pod+a.Port, b.Kind+b.Pod+b.Port) })
	slices.SortFunc(o.Direct, func(a, b Direct) int { return strings.Compare(a.Pod, b.Pod) })
	slices.SortFunc(o.Unread, func(a, b Unread) int { return strings.Compare(a.What, b.What) })
}
