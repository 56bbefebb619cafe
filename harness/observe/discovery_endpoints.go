package observe

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// endpointsLimit is how many addresses Kubernetes puts into an Endpoints object.
// Which are left out of one that has more is nowhere said.
const endpointsLimit = 1000

// The controllers that keep slices and Endpoints objects the same, in one
// direction each.
const (
	sliceController     = "endpointslice-controller.k8s.io"
	mirroringController = "endpointslicemirroring-controller.k8s.io"
)

// backing is the addresses behind a Service as one discovered object has them: an
// EndpointSlice, or an Endpoints object, which is all slices of its Service in one.
type backing struct {
	role    string
	slices  []*discoveryv1.EndpointSlice
	service *corev1.Service // that is found for it, and whose labels it has
	leaving bool            // those that are terminating are in it
	unclear error           // why it is not known what it holds
}

// sliceGroups is discovery/kubernetes/endpointslice.go, buildEndpointSlice.
func (d *discovery) sliceGroups(q query) ([]group, error) {
	var found []group
	for i := range d.o.EndpointSlices {
		s := &d.o.EndpointSlices[i]
		if !q.covers(s.Namespace) {
			continue
		}
		selected, err := q.selectors[roleEndpointSlice].selects(s.Labels, fields.Set{"metadata.name": s.Name, "metadata.namespace": s.Namespace})
		if err != nil {
			return nil, err
		}
		if !selected {
			continue
		}
		b := backing{role: q.role, leaving: true}
		if b.service, err = d.serviceFor(q, s.Namespace, s.Labels[discoveryv1.LabelServiceName]); err != nil {
			return nil, err
		}
		if !d.release.since(3, 11) || !secondFamily(b.service, s) {
			b.slices = append(b.slices, s)
		}
		found = append(found, d.group(q, b, d.sliceLayer(s), nil))
	}
	return found, nil
}

// sliceLayer is the labels that a slice gives its targets.
func (d *discovery) sliceLayer(s *discoveryv1.EndpointSlice) layer {
	if l, ok := d.made[s]; ok {
		return l
	}
	l := layer{kubernetesPrefix + "namespace": known(s.Namespace), kubernetesPrefix + "endpointslice_address_type": known(string(s.AddressType))}
	l.addMeta(roleEndpointSlice, &s.ObjectMeta)
	d.made[s] = l
	return l
}

// endpointsGroups is discovery/kubernetes/endpoints.go, buildEndpoints. Endpoints
// objects are not observed: what they hold is worked out of the slices, of which
// they are the older form.
func (d *discovery) endpointsGroups(q query) ([]group, error) {
	var found []group
	for _, key := range slices.Sorted(maps.Keys(d.slices)) {
		all, owner := d.slices[key], d.services[key]
		namespace, name := all[0].Namespace, all[0].Labels[discoveryv1.LabelServiceName]
		if name == "" || !q.covers(namespace) {
			continue
		}
		b := backing{role: q.role}
		var have map[string]string // the labels of the Endpoints object
		if owner != nil {
			have, b.leaving = owner.Labels, owner.Spec.PublishNotReadyAddresses
		}
		for _, s := range all {
			switch by := s.Labels[discoveryv1.LabelManagedBy]; {
			case by == mirroringController:
				have = s.Labels
			case by != "" && by != sliceController:
				b.unclear = fmt.Errorf("EndpointSlice %s/%s is made by %s: whether there is an Endpoints object beside it was not observed", s.Namespace, s.Name, by)
			case secondFamily(owner, s):
				continue
			}
			b.slices = append(b.slices, s)
		}
		selected, err := q.selectors[roleEndpoints].selects(have, fields.Set{"metadata.name": name, "metadata.namespace": namespace})
		if err != nil {
			return nil, err
		}
		if !selected {
			continue
		}
		if b.service, err = d.serviceFor(q, namespace, name); err != nil {
			return nil, err
		}
		own := layer{kubernetesPrefix + "namespace": known(namespace), kubernetesPrefix + "endpoints_name": known(name)}
		found = append(found, d.group(q, b, own, families{kubernetesPrefix + "endpoints_label", kubernetesPrefix + "endpoints_annotation"}))
	}
	return found, nil
}

func (d *discovery) group(q query, b backing, own layer, lacks families) group {
	g := group{layers: []layer{own}, lacks: lacks, targets: func(yield func(candidate) error) error { return d.behind(q, b, yield) }}
	if b.service != nil {
		g.layers = append(g.layers, d.serviceLayer(b.service))
	}
	return g
}

// serviceFor is the Service of that name, if the query finds it.
func (d *discovery) serviceFor(q query, namespace, name string) (*corev1.Service, error) {
	s := d.services[namespace+"/"+name]
	if s == nil {
		return nil, nil
	}
	selected, err := d.selectsService(q, s)
	if err != nil || !selected {
		return nil, err
	}
	return s, nil
}

// secondFamily reports whether a slice has the addresses of the second of two
// families that a Service has. Of two, the first is discovered.
func secondFamily(s *corev1.Service, slice *discoveryv1.EndpointSlice) bool {
	return s != nil && len(s.Spec.IPFamilies) > 1 && string(slice.AddressType) != string(s.Spec.IPFamilies[0])
}

// behind yields each port of each address, and each port that a container of the
// pods behind them declares besides.
func (d *discovery) behind(q query, b backing, yield func(candidate) error) error {
	if b.unclear != nil {
		return b.unclear
	}
	if n := b.addresses(); b.role == roleEndpoints && n > endpointsLimit {
		s := b.slices[0]
		return fmt.Errorf("an Endpoints object holds %d of the %d addresses of Service %s/%s: the role EndpointSlice finds all", endpointsLimit, n, s.Namespace, s.Labels[discoveryv1.LabelServiceName])
	}
	var pods []*corev1.Pod
	covered := map[*corev1.Pod][]int32{}
	for s, ep := range b.endpoints() {
		of := candidate{namespace: s.Namespace, service: b.service}
		var err error
		if of.podName, of.pod, err = d.podOf(q, s.Namespace, ep.TargetRef); err != nil {
			return err
		}
		if ep.NodeName != nil || ep.TargetRef != nil && ep.TargetRef.Kind == "Node" {
			of.lacks = q.nodeLabels()
		}
		for _, p := range s.Ports {
			if p.Port == nil && b.role == roleEndpoints {
				continue // there, every port has a number
			}
			for _, address := range ep.Addresses {
				if err := yield(d.endpoint(of, b.role, address, ep, p)); err != nil {
					return err
				}
			}
			if of.pod != nil && len(ep.Addresses) > 0 {
				if covered[of.pod] == nil {
					pods = append(pods, of.pod)
				}
				covered[of.pod] = append(covered[of.pod], deref(p.Port))
			}
		}
	}
	for _, pod := range pods {
		if err := d.besides(pod, b.service, covered[pod], yield); err != nil {
			return err
		}
	}
	return nil
}

// endpoints goes through those that are discovered.
func (b backing) endpoints() iter.Seq2[*discoveryv1.EndpointSlice, *discoveryv1.Endpoint] {
	return func(yield func(*discoveryv1.EndpointSlice, *discoveryv1.Endpoint) bool) {
		for _, s := range b.slices {
			for i := range s.Endpoints {
				ep := &s.Endpoints[i]
				if (b.leaving || !deref(ep.Conditions.Terminating)) && !yield(s, ep) {
					return
				}
			}
		}
	}
}

func (b backing) addresses() int {
	all := map[string]bool{}
	for _, ep := range b.endpoints() {
		for _, a := range ep.Addresses {
			all[a] = true
		}
	}
	return len(all)
}

// podOf is the pod that an endpoint refers to, if the query finds it, and its name
// in any case.
func (d *discovery) podOf(q query, namespace string, ref *corev1.ObjectReference) (string, *corev1.Pod, error) {
	if ref == nil || ref.Kind != "Pod" {
		return "", nil, nil
	}
	pod := d.pods[namespace+"/"+ref.Name]
	if pod == nil {
		return ref.Name, nil, nil
	}
	selected, err := d.selectsPod(q, pod)
	if err != nil || !selected {
		return ref.Name, nil, err
	}
	return ref.Name, pod, nil
}

// endpoint is the target of one address and one port.
func (d *discovery) endpoint(c candidate, role, address string, ep *discoveryv1.Endpoint, p discoveryv1.EndpointPort) candidate {
	if p.Port != nil {
		address = join(address, *p.Port)
	}
	l := make(layer, 24) // more than there will be
	l[addressLabel] = known(address)
	if role == roleEndpoints {
		l.addEndpoint(ep, p)
	} else {
		l.addSliceEndpoint(ep, p)
	}
	c.layers = []layer{l}
	if c.pod == nil {
		return c
	}
	c.layers = append(c.layers, d.podLayers(c.pod)...)
	for container, isInit := range d.containers(c.pod) {
		for i := range container.Ports {
			if p.Port == nil || container.Ports[i].ContainerPort != *p.Port {
				continue
			}
			c.container = container.Name
			l.addContainer(container, &container.Ports[i], isInit)
			if role == roleEndpoints {
				l[kubernetesPrefix+"pod_container_port_protocol"] = text(p.Protocol)
			}
			break
		}
	}
	return c
}

// containers goes through those in which ports are looked for: before release 3,
// init containers were not among them.
func (d *discovery) containers(pod *corev1.Pod) iter.Seq2[*corev1.Container, bool] {
	return func(yield func(*corev1.Container, bool) bool) {
		for c, isInit := range containers(pod) {
			if isInit && !d.release.since(3, 0) || !yield(c, isInit) {
				return
			}
		}
	}
}

// besides are the targets for the ports of a pod that are no endpoints.
func (d *discovery) besides(pod *corev1.Pod, service *corev1.Service, covered []int32, yield func(candidate) error) error {
	if pod.Status.PodIP == "" {
		return nil
	}
	for c, isInit := range d.containers(pod) {
		for i := range c.Ports {
			port := &c.Ports[i]
			if slices.Contains(covered, port.ContainerPort) {
				continue
			}
			l := layer{addressLabel: known(join(pod.Status.PodIP, port.ContainerPort))}
			l.addContainer(c, port, isInit)
			if err := yield(candidate{
				layers: append([]layer{l}, d.podLayers(pod)...), namespace: pod.Namespace, service: service, pod: pod, podName: pod.Name, container: c.Name,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l layer) addEndpoint(ep *discoveryv1.Endpoint, p discoveryv1.EndpointPort) {
	const prefix = kubernetesPrefix + "endpoint_"
	l[prefix+"port_name"], l[prefix+"port_protocol"] = text(p.Name), text(p.Protocol)
	l[prefix+"ready"] = known(strconv.FormatBool(ep.Conditions.Ready == nil || *ep.Conditions.Ready))
	l[prefix+"node_name"], l[prefix+"hostname"] = text(ep.NodeName), text(ep.Hostname)
	if ep.TargetRef != nil {
		l[prefix+"address_target_kind"], l[prefix+"address_target_name"] = known(ep.TargetRef.Kind), known(ep.TargetRef.Name)
	}
}

func (l layer) addSliceEndpoint(ep *discoveryv1.Endpoint, p discoveryv1.EndpointPort) {
	const prefix = kubernetesPrefix + "endpointslice_"
	l[prefix+"port_name"], l[prefix+"port_protocol"], l[prefix+"port_app_protocol"] = text(p.Name), text(p.Protocol), text(p.AppProtocol)
	if p.Port != nil {
		l[prefix+"port"] = known(strconv.Itoa(int(*p.Port)))
	}
	for name, is := range map[string]*bool{"ready": ep.Conditions.Ready, "serving": ep.Conditions.Serving, "terminating": ep.Conditions.Terminating} {
		if is != nil {
			l[prefix+"endpoint_conditions_"+name] = known(strconv.FormatBool(*is))
		}
	}
	l[prefix+"endpoint_hostname"], l[prefix+"endpoint_node_name"], l[prefix+"endpoint_zone"] = text(ep.Hostname), text(ep.NodeName), text(ep.Zone)
	if ep.TargetRef != nil {
		l[prefix+"address_target_kind"], l[prefix+"address_target_name"] = known(ep.TargetRef.Kind), known(ep.TargetRef.Name)
	}
	for key, value := range ep.DeprecatedTopology {
		l[prefix+"endpoint_topology_"+sanitized(key)] = known(value)
		l[prefix+"endpoint_topology_present_"+sanitized(key)] = known("true")
	}
}

// text is what an optional field holds.
func text[T ~string](of *T) value { return known(string(deref(of))) }

// deref is what a pointer points to, or nothing.
func deref[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}
