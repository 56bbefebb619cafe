package observe

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// The roles of Kubernetes service discovery.
const (
	rolePod           = "pod"
	roleService       = "service"
	roleEndpoints     = "endpoints"
	roleEndpointSlice = "endpointslice"
	roleNode          = "node"
	roleIngress       = "ingress"
)

// query is what a job asks Kubernetes for, one kubernetes_sd_config.
type query struct {
	field      string // of the monitor that asks it, if it is not plain
	role       string
	namespaces []string                  // none for all
	selectors  map[string]objectSelector // by the role of the objects they select
	nodes      bool                      // node metadata is to be attached
	server     string                    // another API server than that of the cluster
}

func (q query) covers(namespace string) bool {
	return len(q.namespaces) == 0 || slices.Contains(q.namespaces, namespace)
}

// objectSelector is what the API server selects by. Neither selects everything.
type objectSelector struct {
	label labels.Selector
	field fields.Selector
}

// selects fails for a field that is not worked out.
func (s objectSelector) selects(set map[string]string, has fields.Set) (bool, error) {
	if s.label != nil && !s.label.Matches(labels.Set(set)) {
		return false, nil
	}
	if s.field == nil {
		return true, nil
	}
	for _, r := range s.field.Requirements() {
		if !has.Has(r.Field) {
			return false, fmt.Errorf("selection by the field %s is not worked out", r.Field)
		}
	}
	return s.field.Matches(has), nil
}

// group is targets that have labels in common, as those of one Service. There may
// be tens of thousands, so they are made one by one, and only if they are wanted.
type group struct {
	layers  []layer
	lacks   families
	targets func(yield func(candidate) error) error
}

// candidate is a target before the rules of the job decide about it.
type candidate struct {
	layers    []layer // before those of its group
	lacks     families
	namespace string
	service   *corev1.Service
	pod       *corev1.Pod
	podName   string // also of a pod that was not observed
	container string // that declares the port
}

// staticGroup is targets that are written down, one static_config: the labels are
// those of each.
func staticGroup(targets []string, labels map[string]string) group {
	of := layer{}
	for name, text := range labels {
		of[name] = known(text)
	}
	return group{layers: []layer{of}, targets: func(yield func(candidate) error) error {
		for _, t := range targets {
			if err := yield(candidate{layers: []layer{{addressLabel: known(t)}}}); err != nil {
				return err
			}
		}
		return nil
	}}
}

const kubernetesPrefix = "__meta_kubernetes_"

// discovery finds what Prometheus' service discovery finds, in the objects that
// were observed: discovery/kubernetes of Prometheus.
type discovery struct {
	o        Observation
	release  release
	pods     map[string]*corev1.Pod // by namespace/name, as the rest
	services map[string]*corev1.Service
	slices   map[string][]*discoveryv1.EndpointSlice // by their Service
	made     map[any]layer                           // by the object whose labels they are, or by what they have in common
	byIP     map[string]*corev1.Pod                  // once podAt was asked
}

func newDiscovery(o Observation) *discovery {
	d := &discovery{
		o: o, release: releaseOf(o), pods: map[string]*corev1.Pod{}, services: map[string]*corev1.Service{},
		slices: map[string][]*discoveryv1.EndpointSlice{}, made: map[any]layer{},
	}
	for i := range o.Pods {
		d.pods[o.Pods[i].Namespace+"/"+o.Pods[i].Name] = &o.Pods[i]
	}
	for i := range o.Services {
		d.services[o.Services[i].Namespace+"/"+o.Services[i].Name] = &o.Services[i]
	}
	for i := range o.EndpointSlices {
		s := &o.EndpointSlices[i]
		name := s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]
		d.slices[name] = append(d.slices[name], s)
	}
	return d
}

// podAt is the pod that has an address to itself, or nil.
func (d *discovery) podAt(host string) *corev1.Pod {
	if d.byIP == nil {
		d.byIP = map[string]*corev1.Pod{}
		for i := range d.o.Pods {
			p := &d.o.Pods[i]
			if p.Spec.HostNetwork || p.Status.Phase != corev1.PodRunning {
				continue
			}
			if _, taken := d.byIP[p.Status.PodIP]; taken {
				p = nil // the one or the other
			}
			d.byIP[d.o.Pods[i].Status.PodIP] = p
		}
	}
	return d.byIP[host]
}

// groups answers a query.
func (d *discovery) groups(q query) ([]group, error) {
	found, err := d.groupsOf(q)
	if err != nil && q.field != "" {
		err = fmt.Errorf("%s: %w", q.field, err)
	}
	return found, err
}

func (d *discovery) groupsOf(q query) ([]group, error) {
	if q.server != "" {
		return nil, fmt.Errorf("it discovers by the API server %s, which was not observed", q.server)
	}
	switch q.role {
	case rolePod:
		return d.podGroups(q)
	case roleService:
		return d.serviceGroups(q)
	case roleEndpoints:
		return d.endpointsGroups(q)
	case roleEndpointSlice:
		return d.sliceGroups(q)
	case roleNode, roleIngress:
		return nil, fmt.Errorf("it discovers by the role %s, whose objects are not observed", q.role)
	}
	return nil, fmt.Errorf("it discovers by the role %q, which is not known", q.role)
}

// nodeLabels are those of a target's node, which was not observed.
func (q query) nodeLabels() families {
	if !q.nodes {
		return nil
	}
	return families{kubernetesPrefix + "node_"}
}

// addMeta is discovery/kubernetes/kubernetes.go, addObjectMetaLabels. Of two keys
// that make one label, chance decides in Prometheus.
func (l layer) addMeta(kind string, m *metav1.ObjectMeta) {
	prefix := kubernetesPrefix + kind + "_"
	l[prefix+"name"] = known(m.Name)
	l.addLabels(prefix, m)
}

// addLabels is that part of addMeta which all pods of one template have in common.
func (l layer) addLabels(prefix string, m *metav1.ObjectMeta) {
	add := func(what, key, text string) {
		name := prefix + what + "_" + sanitized(key)
		v := known(text)
		if before, twice := l[name]; twice && before != v {
			v = accidental(name)
		}
		l[name], l[prefix+what+"present_"+sanitized(key)] = v, known("true")
	}
	for key, text := range m.Labels {
		add("label", key, text)
	}
	for key, text := range m.Annotations {
		add("annotation", key, text)
	}
	// It may be there, but it is not kept: see dropBookkeeping.
	for _, what := range []string{"annotation_", "annotationpresent_"} {
		name := prefix + what + sanitized(corev1.LastAppliedConfigAnnotation)
		l[name] = unobserved(name)
	}
}

// sanitized makes a part of a label's name of a key, as Prometheus and the Operator
// both do.
func sanitized(key string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, key)
}

func join(host string, port int32) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }
