package diagnosis

import (
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// facts is an observation with what belongs together put together, once for all
// rules.
type facts struct {
	o          observe.Observation
	prometheus string // "Prometheus default/default"
	namespace  string // of the Prometheus
	spec       monitoringv1.PrometheusSpec
	pods       map[string]*corev1.Pod // by namespace/name
	namespaces map[string]map[string]string
	proxies    map[string]*observe.Proxy // by namespace/name of the pod
	replicas   []*replica
	monitors   []*monitor
	targets    []*target
	sets       []setup
	files      []namedFile
}

// replica is a pod of the Prometheus, with what was asked of it.
type replica struct {
	pod   *corev1.Pod
	seen  *observe.Replica // nil if it was not asked
	name  string
	pools map[string]bool
	files []observe.File // none if they could not be looked at
}

// The names by which findings say what they concern.
const aboutPrometheus = "the Prometheus"

func (r *replica) about() []string { return []string{"replica " + r.name, aboutPrometheus} }
func (m *monitor) about() []string { return []string{"monitor " + m.key} }
func (t *target) about() []string  { return []string{"target " + t.URL, "monitor " + t.monitor.key} }

// aboutScrape is everything that takes part in the scrapes of a target that failed.
func (t *target) aboutScrape() []string {
	about := t.about()
	for _, s := range t.scrapes {
		if s.state != up {
			about = append(about, "replica "+s.replica)
		}
	}
	return about
}

func newFacts(o observe.Observation) *facts {
	f := &facts{o: o, pods: map[string]*corev1.Pod{}, namespaces: map[string]map[string]string{}}
	if o.Prometheus != nil {
		f.prometheus = "Prometheus " + o.Prometheus.Namespace + "/" + o.Prometheus.Name
		f.namespace, f.spec = o.Prometheus.Namespace, o.Prometheus.Spec
	}
	for i := range o.Namespaces {
		f.namespaces[o.Namespaces[i].Name] = o.Namespaces[i].Labels
	}
	for i := range o.Pods {
		f.pods[o.Pods[i].Namespace+"/"+o.Pods[i].Name] = &o.Pods[i]
	}
	for _, p := range observe.Replicas(o) {
		r := &replica{pod: f.pods[p.Namespace+"/"+p.Name], name: p.Name}
		for i := range o.Replicas {
			if o.Replicas[i].Pod == p.Name {
				r.seen = &o.Replicas[i]
			}
		}
		if r.seen != nil {
			if _, unread := f.unread("the certificate files of " + r.name); !unread {
				r.files = r.seen.Files
			}
			r.pools = map[string]bool{}
			for _, p := range r.seen.ScrapePools {
				r.pools[p] = true
			}
		}
		f.replicas = append(f.replicas, r)
	}
	f.proxies = map[string]*observe.Proxy{}
	for i := range o.Proxies {
		f.proxies[o.Proxies[i].Pod] = &o.Proxies[i]
	}
	f.monitors = f.allMonitors()
	f.targets = f.allTargets()
	f.files = f.allFiles()
	f.sets = f.allSetups()
	return f
}

// unread returns why something was not read, by the beginning of its name.
func (f *facts) unread(what string) (string, bool) {
	for _, u := range f.o.Unread {
		if strings.HasPrefix(u.What, what) {
			return u.Reason, true
		}
	}
	return "", false
}

// wanted is how many pods of the Prometheus there must be.
func (f *facts) wanted() int {
	n := 1
	if f.spec.Replicas != nil {
		n = int(*f.spec.Replicas)
	}
	if f.spec.Shards != nil && *f.spec.Shards > 1 {
		n *= int(*f.spec.Shards)
	}
	return n
}

// owners are the Services of a pod's namespace that send to a port of it: those
// whose word on the protocol Istio hears.
func (f *facts) owners(t *target) []ownedPort {
	if t.owned || t.pod == nil {
		return t.owns
	}
	t.owned = true
	for i := range f.o.Services {
		s := &f.o.Services[i]
		if s.Namespace != t.pod.Namespace || len(s.Spec.Selector) == 0 || !subset(s.Spec.Selector, t.pod.Labels) {
			continue
		}
		for _, p := range s.Spec.Ports {
			if targetPort(p, t.pod) == t.Port {
				t.owns = append(t.owns, ownedPort{service: s, port: p})
			}
		}
	}
	return t.owns
}

// subset reports whether all labels of a are in b.
func subset(a, b map[string]string) bool {
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// identity is the SPIFFE ID that Prometheus presents.
func (f *facts) identity() string {
	for _, r := range f.replicas {
		if r.seen == nil {
			continue
		}
		if c := r.seen.Certificate; c != nil && len(c.URIs) > 0 {
			return c.URIs[0]
		}
		for _, c := range r.seen.ProxyCertificates {
			if c.URI != "" {
				return c.URI
			}
		}
	}
	return "spiffe://" + f.trustDomain() + "/ns/" + f.namespace + "/sa/" + f.serviceAccount()
}

func (f *facts) trustDomain() string {
	switch {
	case f.o.Mesh.TrustDomain != "":
		return f.o.Mesh.TrustDomain
	case f.o.TrustDomain != "":
		return f.o.TrustDomain
	}
	return "cluster.local"
}

func (f *facts) serviceAccount() string {
	if f.spec.ServiceAccountName != "" {
		return f.spec.ServiceAccountName
	}
	return "default"
}

// certain makes a finding that the observation proves.
func certain(about []string, seen, change string) finding {
	return finding{about: about, seen: seen, change: change, confidence: reports.Certain}
}
