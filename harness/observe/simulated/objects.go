package simulated

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"istio.io/api/label"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// collection is one kind of object.
type collection struct {
	group, version, resource, kind string
	namespaced                     bool
	list                           runtime.Object // a list of the kind, empty
	items                          any            // a slice of what its Items holds
}

// collections are those of an observation, by group and resource.
func collections(o observe.Observation) map[string]collection {
	prometheuses := slices.Clone(o.OtherPrometheuses)
	if o.Prometheus != nil {
		prometheuses = append(prometheuses, *o.Prometheus)
	}
	const operator, security, networking = "monitoring.coreos.com", "security.istio.io", "networking.istio.io"
	all := map[string]collection{}
	for _, c := range []collection{
		{"", "v1", "namespaces", "Namespace", false, &corev1.NamespaceList{}, o.Namespaces},
		{"", "v1", "pods", "Pod", true, &corev1.PodList{}, o.Pods},
		{"", "v1", "services", "Service", true, &corev1.ServiceList{}, o.Services},
		{"", "v1", "events", "Event", true, &corev1.EventList{}, []corev1.Event{}},
		{"", "v1", "configmaps", "ConfigMap", true, &corev1.ConfigMapList{}, configMaps(o)},
		{"apps", "v1", "deployments", "Deployment", true, &appsv1.DeploymentList{}, deployments(o)},
		{"apps", "v1", "statefulsets", "StatefulSet", true, &appsv1.StatefulSetList{}, o.StatefulSets},
		{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true, &discoveryv1.EndpointSliceList{}, o.EndpointSlices},
		{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false, &admissionv1.MutatingWebhookConfigurationList{}, []admissionv1.MutatingWebhookConfiguration{}},
		{operator, "v1", "prometheuses", "Prometheus", true, &monitoringv1.PrometheusList{}, prometheuses},
		{operator, "v1", "servicemonitors", "ServiceMonitor", true, &monitoringv1.ServiceMonitorList{}, o.ServiceMonitors},
		{operator, "v1", "podmonitors", "PodMonitor", true, &monitoringv1.PodMonitorList{}, o.PodMonitors},
		{operator, "v1", "probes", "Probe", true, &monitoringv1.ProbeList{}, o.ProbeMonitors},
		{operator, "v1alpha1", "scrapeconfigs", "ScrapeConfig", true, &monitoringv1alpha1.ScrapeConfigList{}, o.ScrapeConfigs},
		{security, "v1", "peerauthentications", "PeerAuthentication", true, &securityv1.PeerAuthenticationList{}, o.PeerAuthentications},
		{security, "v1", "authorizationpolicies", "AuthorizationPolicy", true, &securityv1.AuthorizationPolicyList{}, o.AuthorizationPolicies},
		{networking, "v1", "destinationrules", "DestinationRule", true, &networkingv1.DestinationRuleList{}, o.DestinationRules},
		{networking, "v1", "sidecars", "Sidecar", true, &networkingv1.SidecarList{}, o.Sidecars},
	} {
		all[c.group+"/"+c.resource] = c
	}
	return all
}

// configMaps are what a mesh writes of itself.
func configMaps(o observe.Observation) []corev1.ConfigMap {
	of := func(namespace, name, key, value string) corev1.ConfigMap {
		return corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{key: value}}
	}
	all := []corev1.ConfigMap{of("istio-system", "istio", "mesh", "trustDomain: "+o.Mesh.TrustDomain+"\n")}
	for _, n := range o.Namespaces {
		all = append(all, of(n.Name, "istio-ca-root-cert", "root-cert.pem", ""))
	}
	return all
}

// deployments are those of the control planes and of the Operator.
func deployments(o observe.Observation) []appsv1.Deployment {
	of := func(namespace, name, image string, labels map[string]string) appsv1.Deployment {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: name, Image: image}}
		return d
	}
	all := []appsv1.Deployment{of("operators", "release-kube-prom-operator", "registry.example/mirror/prometheus-operator:"+o.Versions.Operator, nil)}
	for _, p := range o.Mesh.ControlPlanes {
		namespace, name, _ := strings.Cut(p.Name, "/")
		all = append(all, of(namespace, name, "registry.example/pilot:"+p.Version, map[string]string{"app": "istiod", label.IoIstioRev.Name: p.Revision}))
	}
	return all
}

// discover answers what kinds there are.
func (c *Cluster) discover(w http.ResponseWriter, path string) bool {
	switch path {
	case "/version":
		reply(w, map[string]string{"gitVersion": c.observation.Versions.Kubernetes, "major": "1", "minor": "0"})
	case "/api":
		reply(w, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case "/apis":
		groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for group, versions := range c.groups() {
			g := metav1.APIGroup{Name: group}
			for _, v := range versions {
				g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: group + "/" + v, Version: v})
			}
			g.PreferredVersion = g.Versions[0]
			groups.Groups = append(groups.Groups, g)
		}
		reply(w, groups)
	default:
		return c.discoverVersion(w, path)
	}
	return true
}

// groups are the versions of each group but the core.
func (c *Cluster) groups() map[string][]string {
	groups := map[string][]string{}
	for _, x := range c.collections {
		if x.group != "" && !slices.Contains(groups[x.group], x.version) {
			groups[x.group] = append(groups[x.group], x.version)
		}
	}
	return groups
}

func (c *Cluster) discoverVersion(w http.ResponseWriter, path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	group, version := "", ""
	switch {
	case len(parts) == 2 && parts[0] == "api":
		version = parts[1]
	case len(parts) == 3 && parts[0] == "apis":
		group, version = parts[1], parts[2]
	default:
		return false
	}
	resources := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: strings.TrimPrefix(group+"/"+version, "/")}
	for _, x := range c.collections {
		if x.group == group && x.version == version {
			resources.APIResources = append(resources.APIResources, metav1.APIResource{Name: x.resource, Kind: x.kind, Namespaced: x.namespaced, Verbs: metav1.Verbs{"get", "list"}})
		}
	}
	reply(w, resources)
	return true
}

// object answers with a page of a collection, or one object of it.
func (c *Cluster) object(w http.ResponseWriter, r *http.Request, a address) {
	x, ok := c.collections[a.group+"/"+a.resource]
	if !ok {
		refuse(w, http.StatusNotFound, "the server could not find the requested resource")
		return
	}
	items := reflect.ValueOf(x.items)
	if a.name != "" {
		for i := range items.Len() {
			if m, ok := items.Index(i).Addr().Interface().(metav1.Object); ok && m.GetNamespace() == a.namespace && m.GetName() == a.name {
				reply(w, items.Index(i).Addr().Interface())
				return
			}
		}
		refuse(w, http.StatusNotFound, fmt.Sprintf("%s %q not found", a.resource, a.name))
		return
	}
	if items, ok = selected(items, a.namespace, r.URL.Query().Get("labelSelector")); !ok {
		refuse(w, http.StatusBadRequest, "the label selector cannot be read")
		return
	}
	page := x.list.DeepCopyObject()
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	to := items.Len()
	if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 0 {
		to = min(to, from+limit)
	}
	list, _ := page.(metav1.ListInterface)
	if to < items.Len() {
		list.SetContinue(strconv.Itoa(to))
	}
	if to > from {
		reflect.ValueOf(page).Elem().FieldByName("Items").Set(items.Slice(from, to))
	}
	page.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: x.group, Version: x.version, Kind: x.kind + "List"})
	encode(w, r, page)
}

// selected are those of a slice of objects that are in a namespace and have labels.
func selected(items reflect.Value, namespace, labelSelector string) (reflect.Value, bool) {
	selector, err := labels.Parse(labelSelector)
	if err != nil {
		return items, false
	}
	if namespace == "" && selector.Empty() {
		return items, true
	}
	some := reflect.MakeSlice(items.Type(), 0, 0)
	for i := range items.Len() {
		m, ok := items.Index(i).Addr().Interface().(metav1.Object)
		if ok && (namespace == "" || m.GetNamespace() == namespace) && selector.Matches(labels.Set(m.GetLabels())) {
			some = reflect.Append(some, items.Index(i))
		}
	}
	return some, true
}

// encode answers in the form that is asked for, as an API server does.
func encode(w http.ResponseWriter, r *http.Request, object runtime.Object) {
	if _, _, err := scheme.Scheme.ObjectKinds(object); err != nil || !strings.Contains(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
		reply(w, object)
		return
	}
	w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
	_ = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(object, w)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// refuse answers with a Status.
func refuse(w http.ResponseWriter, code int, message string) {
	reasons := map[int]metav1.StatusReason{http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusNotFound: metav1.StatusReasonNotFound}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reasons[code], Message: message,
	})
}
