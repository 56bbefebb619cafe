package observe

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// serviceGroups is discovery/kubernetes/service.go, buildService.
func (d *discovery) serviceGroups(q query) ([]group, error) {
	var found []group
	for i := range d.o.Services {
		s := &d.o.Services[i]
		if !q.covers(s.Namespace) {
			continue
		}
		selected, err := d.selectsService(q, s)
		if err != nil {
			return nil, err
		}
		if selected {
			found = append(found, group{
				layers: []layer{d.serviceLayer(s)}, targets: func(yield func(candidate) error) error { return serviceTargets(s, yield) },
			})
		}
	}
	return found, nil
}

func (d *discovery) selectsService(q query, s *corev1.Service) (bool, error) {
	return q.selectors[roleService].selects(s.Labels, fields.Set{
		"metadata.name": s.Name, "metadata.namespace": s.Namespace, "spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type),
	})
}

func serviceTargets(s *corev1.Service, yield func(candidate) error) error {
	for _, p := range s.Spec.Ports {
		const prefix = kubernetesPrefix + "service_"
		l := layer{
			addressLabel:         known(join(s.Name+"."+s.Namespace+".svc", p.Port)),
			prefix + "port_name": known(p.Name), prefix + "port_number": known(strconv.Itoa(int(p.Port))), prefix + "port_protocol": known(string(p.Protocol)),
			prefix + "type": known(string(s.Spec.Type)),
		}
		switch s.Spec.Type {
		case corev1.ServiceTypeExternalName:
			l[prefix+"external_name"] = known(s.Spec.ExternalName)
		case corev1.ServiceTypeLoadBalancer:
			// Which of its addresses this is changed with release 3.15.
			l[prefix+"loadbalancer_ip"] = unobserved(prefix + "loadbalancer_ip")
			fallthrough
		default:
			l[prefix+"cluster_ip"] = known(s.Spec.ClusterIP)
		}
		if err := yield(candidate{layers: []layer{l}, namespace: s.Namespace, service: s}); err != nil {
			return err
		}
	}
	return nil
}

// serviceLayer is discovery/kubernetes/service.go, serviceLabels.
func (d *discovery) serviceLayer(s *corev1.Service) layer {
	if l, ok := d.made[s]; ok {
		return l
	}
	l := layer{kubernetesPrefix + "namespace": known(s.Namespace)}
	l.addMeta("service", &s.ObjectMeta)
	d.made[s] = l
	return l
}
