package observe

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Expected is a target that must be scraped, worked out from what the owners
// wrote and from the endpoints that Kubernetes found: never from Prometheus,
// whose word on its own targets is what is under test.
type Expected struct {
	Pool      string // as the Operator names it: serviceMonitor/<namespace>/<name>/<endpoint>
	URL       string
	Namespace string
	Service   string // empty for a PodMonitor
	Pod       string // empty if it is no pod
	Container string // that declares the port, if any does
	Address   string // host:port
	Port      string
	Path      string
	Scheme    string
}

// Open is a set of targets that cannot be worked out from what was observed. What
// Prometheus says of it can be neither confirmed nor denied.
type Open struct {
	Pool   string // empty for all, otherPools for those that no monitor makes
	Reason string // names the object and the field
}

// otherPools are the pools that come from somewhere else than a monitor.
const otherPools = "*"

// Covers reports whether a scrape pool is among those left open.
func (u Open) Covers(pool string) bool {
	if u.Pool == otherPools {
		kind, _, _ := strings.Cut(pool, "/")
		return !slices.Contains([]string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig"}, kind)
	}
	return u.Pool == "" || u.Pool == pool
}

// ExpectedTargets derives the exact set that each replica must have, sorted by
// pool and URL, as far as it can be derived.
func ExpectedTargets(o Observation) []Expected {
	expected, _ := Expect(o)
	return expected
}

// Expect derives the exact set that each replica must have, sorted by pool and
// URL, and says what of it cannot be derived.
func Expect(o Observation) ([]Expected, []Open) {
	if o.Prometheus == nil {
		return nil, nil
	}
	p := o.Prometheus
	name := "Prometheus " + p.Namespace + "/" + p.Name
	if n := p.Spec.Shards; n != nil && *n > 1 {
		return nil, []Open{{Reason: fmt.Sprintf("%s has spec.shards %d: which shard must scrape which target is not worked out", name, *n)}}
	}
	d := newDerivation(o)
	for _, m := range Monitors(o) {
		switch {
		case !m.Selected:
		case m.service != nil:
			d.serviceMonitor(m)
		case m.pod != nil:
			d.podMonitor(m)
		default:
			d.open = append(d.open, Open{Pool: m.Jobs[0].Name, Reason: fmt.Sprintf("the targets of %s are not worked out", m)})
		}
	}
	if p.Spec.AdditionalScrapeConfigs != nil {
		d.open = append(d.open, Open{Pool: otherPools, Reason: name + " has spec.additionalScrapeConfigs: its targets are in a Secret, which is not read"})
	}
	byPool := func(a, b Expected) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.URL, b.URL), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container))
	}
	slices.SortFunc(d.expected, byPool)
	return slices.Compact(d.expected), d.open // what Prometheus cannot tell apart it scrapes once
}

// derivation works the expected targets out.
type derivation struct {
	o        Observation
	pods     map[string]*corev1.Pod
	slices   map[string][]*discoveryv1.EndpointSlice // by namespace/service
	expected []Expected
	open     []Open
}

func newDerivation(o Observation) *derivation {
	d := &derivation{o: o, pods: map[string]*corev1.Pod{}, slices: map[string][]*discoveryv1.EndpointSlice{}}
	for i := range o.Pods {
		d.pods[o.Pods[i].Namespace+"/"+o.Pods[i].Name] = &o.Pods[i]
	}
	for i := range o.EndpointSlices {
		s := &o.EndpointSlices[i]
		name := s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]
		d.slices[name] = append(d.slices[name], s)
	}
	return d
}

// candidate is what service discovery makes of one port of one address, before
// the job decides whether it is a target.
type candidate struct {
	address       string
	port          int32
	portName      string // of the endpoint; only if fromEndpoint
	fromEndpoint  bool
	container     string
	containerPort string // its name
	declared      bool   // a container declares the port
	service       *corev1.Service
	pod           *corev1.Pod
	podName       string
	namespace     string
}

// job is what the two kinds of monitor that are derived have in common.
type job struct {
	pool          string
	object        string // whose relabelings these are
	scheme, path  string
	params        map[string][]string
	filterRunning *bool
	class         *monitoringv1.ScrapeClass
	relabelings   []monitoringv1.RelabelConfig
}

func (d *derivation) serviceMonitor(m Monitor) {
	x := m.service
	selector, err := metav1.LabelSelectorAsSelector(&x.Spec.Selector)
	if err != nil {
		return // the API server takes no such selector; the Operator would reject it
	}
	for i, e := range x.Spec.Endpoints {
		j := job{
			pool: m.Jobs[i].Name, object: m.String() + ", " + m.Jobs[i].Field, scheme: m.Jobs[i].Scheme, path: e.Path, params: e.Params,
			filterRunning: e.FilterRunning, class: scrapeClass(d.o, x.Spec.ScrapeClassName), relabelings: e.RelabelConfigs,
		}
		var found []candidate
		for s := range d.o.Services {
			service := &d.o.Services[s]
			if !d.looksIn(x.Spec.NamespaceSelector, x.Namespace, service.Namespace) || !selector.Matches(labels.Set(service.Labels)) {
				continue
			}
			for _, c := range d.ofService(service, role(d.o, x)) {
				if wantsPort(c, &e.Port, nil, e.TargetPort) {
					found = append(found, c)
				}
			}
		}
		d.add(j, found)
	}
}

func (d *derivation) podMonitor(m Monitor) {
	x := m.pod
	selector, err := metav1.LabelSelectorAsSelector(&x.Spec.Selector)
	if err != nil {
		return
	}
	for i, e := range x.Spec.PodMetricsEndpoints {
		j := job{
			pool: m.Jobs[i].Name, object: m.String() + ", " + m.Jobs[i].Field, scheme: m.Jobs[i].Scheme, path: e.Path, params: e.Params,
			filterRunning: e.FilterRunning, class: scrapeClass(d.o, x.Spec.ScrapeClassName), relabelings: e.RelabelConfigs,
		}
		targetPort := e.TargetPort //nolint:staticcheck // deprecated, and still obeyed
		if (e.Port == nil || *e.Port == "") && (e.PortNumber == nil || *e.PortNumber == 0) && targetPort == nil {
			d.open = append(d.open, Open{Pool: j.pool, Reason: j.object + " names no port: containers without ports become targets at ports of Prometheus' choice"})
			continue
		}
		var found []candidate
		for p := range d.o.Pods {
			pod := &d.o.Pods[p]
			if pod.Status.PodIP == "" || !d.looksIn(x.Spec.NamespaceSelector, x.Namespace, pod.Namespace) || !selector.Matches(labels.Set(pod.Labels)) {
				continue
			}
			for _, c := range containerPorts(pod, nil) {
				if wantsContainerPort(c, e.Port, e.PortNumber, targetPort) {
					found = append(found, c)
				}
			}
		}
		d.add(j, found)
	}
}

// add makes targets of the candidates of a job, unless its relabelings change
// them in a way that is not worked out.
func (d *derivation) add(j job, found []candidate) {
	var rules []monitoringv1.RelabelConfig
	if j.class != nil {
		rules = append(rules, j.class.Relabelings...)
	}
	rules = append(rules, j.relabelings...)
	if reason := underivable(rules); reason != "" {
		d.open = append(d.open, Open{Pool: j.pool, Reason: j.object + ": " + reason})
		return
	}
	if j.path == "" {
		j.path = "/metrics"
	}
	for _, c := range found {
		if (j.filterRunning == nil || *j.filterRunning) && c.pod != nil && (c.pod.Status.Phase == corev1.PodFailed || c.pod.Status.Phase == corev1.PodSucceeded) {
			continue
		}
		if !keeps(rules, c) {
			continue
		}
		port := strconv.Itoa(int(c.port))
		x := Expected{
			Pool: j.pool, Namespace: c.namespace, Pod: c.podName, Container: c.container,
			Address: net.JoinHostPort(c.address, port), Port: port, Path: j.path, Scheme: j.scheme,
		}
		if c.service != nil {
			x.Service = c.service.Name
		}
		x.URL = x.Scheme + "://" + x.Address + x.Path
		if len(j.params) > 0 {
			x.URL += "?" + url.Values(j.params).Encode()
		}
		d.expected = append(d.expected, x)
	}
}

// ofService lists what discovery makes of a Service: each port of each endpoint,
// and each port that a container of the pods behind it declares besides.
func (d *derivation) ofService(s *corev1.Service, role monitoringv1.ServiceDiscoveryRole) []candidate {
	var found []candidate
	for _, slice := range d.slices[s.Namespace+"/"+s.Name] {
		if len(s.Spec.IPFamilies) > 1 && string(slice.AddressType) != string(s.Spec.IPFamilies[0]) {
			continue // of two address families the first is discovered
		}
		seen := map[*corev1.Pod]bool{}
		for _, ep := range slice.Endpoints {
			if role == monitoringv1.EndpointsRole && ep.Conditions.Terminating != nil && *ep.Conditions.Terminating {
				continue // the older role does not know those that are leaving
			}
			base := candidate{namespace: s.Namespace, service: s}
			if ep.TargetRef != nil && ep.TargetRef.Kind == "Pod" {
				base.podName, base.pod = ep.TargetRef.Name, d.pods[s.Namespace+"/"+ep.TargetRef.Name]
			}
			for _, p := range slice.Ports {
				if p.Port == nil {
					continue
				}
				c := base
				c.port, c.fromEndpoint = *p.Port, true
				if p.Name != nil {
					c.portName = *p.Name
				}
				for _, declared := range containerPorts(c.pod, nil) {
					if declared.port == c.port {
						c.container, c.containerPort, c.declared = declared.container, declared.containerPort, true
					}
				}
				for _, c.address = range ep.Addresses {
					found = append(found, c)
				}
			}
			if base.pod != nil && base.pod.Status.PodIP != "" && !seen[base.pod] {
				seen[base.pod] = true
				for _, c := range containerPorts(base.pod, slice.Ports) {
					c.service = s
					found = append(found, c)
				}
			}
		}
	}
	return found
}

// containerPorts lists the ports that the containers of a pod declare, without
// those that are endpoints already.
func containerPorts(pod *corev1.Pod, but []discoveryv1.EndpointPort) []candidate {
	if pod == nil {
		return nil
	}
	var found []candidate
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		for _, p := range c.Ports {
			if slices.ContainsFunc(but, func(b discoveryv1.EndpointPort) bool { return b.Port != nil && *b.Port == p.ContainerPort }) {
				continue
			}
			found = append(found, candidate{
				address: pod.Status.PodIP, port: p.ContainerPort, container: c.Name, containerPort: p.Name, declared: true,
				pod: pod, podName: pod.Name, namespace: pod.Namespace,
			})
		}
	}
	return found
}

// wantsPort decides as the Operator's relabelings for a ServiceMonitor do: by the
// name of the endpoint's port, else by the port of the container, else any.
func wantsPort(c candidate, port *string, number *int32, target *intstr.IntOrString) bool {
	if port != nil && *port != "" {
		return c.fromEndpoint && c.portName == *port
	}
	if target == nil || target.StrVal == "" && target.IntVal == 0 {
		return true
	}
	return wantsContainerPort(c, nil, number, target)
}

// wantsContainerPort decides by the port that a container declares.
func wantsContainerPort(c candidate, name *string, number *int32, target *intstr.IntOrString) bool {
	switch {
	case !c.declared:
		return false
	case name != nil && *name != "":
		return c.containerPort == *name
	case number != nil && *number != 0:
		return c.port == *number
	case target != nil && target.StrVal != "":
		return c.containerPort == target.StrVal
	case target != nil && target.IntVal != 0:
		return c.port == target.IntVal
	}
	return true
}

func role(o Observation, m *monitoringv1.ServiceMonitor) monitoringv1.ServiceDiscoveryRole {
	for _, r := range []*monitoringv1.ServiceDiscoveryRole{m.Spec.ServiceDiscoveryRole, o.Prometheus.Spec.ServiceDiscoveryRole} {
		if r != nil {
			return *r
		}
	}
	return monitoringv1.EndpointsRole
}

func (d *derivation) looksIn(s monitoringv1.NamespaceSelector, own, namespace string) bool {
	switch {
	case d.o.Prometheus.Spec.IgnoreNamespaceSelectors:
		return namespace == own
	case s.Any:
		return true
	case len(s.MatchNames) == 0:
		return namespace == own
	}
	return slices.Contains(s.MatchNames, namespace)
}

// ExpectedPods are the pods behind the expected targets, by "namespace/name".
func ExpectedPods(o Observation) []string {
	pods := map[string]bool{}
	for _, e := range ExpectedTargets(o) {
		if e.Pod != "" {
			pods[e.Namespace+"/"+e.Pod] = true
		}
	}
	return slices.Sorted(maps.Keys(pods))
}
