package diagnosis

import (
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// target is an expected target with what each replica has of it.
type target struct {
	observe.Expected
	name    string // namespace/name of its pod
	pod     *corev1.Pod
	monitor *monitor
	field   string // "spec.endpoints[0]"
	endpoint
	tls     clientTLS // its own, and what the scrape class adds
	scrapes []scrape
	class   Class       // of all errors together
	owns    []ownedPort // by owners, which asks once
	owned   bool
	mode    observe.MTLS // by mtls, which asks once
}

// ownedPort is a Service's port that leads to a target.
type ownedPort struct {
	service *corev1.Service
	port    corev1.ServicePort
}

func (p ownedPort) String() string {
	return "Service " + p.service.Namespace + "/" + p.service.Name + " port " + strconv.Quote(p.port.Name)
}

// The states of a target at a replica.
const (
	up      = "up"
	down    = "down"
	missing = "missing"
)

// scrape is what a replica says of a target.
type scrape struct {
	replica string
	state   string
	err     string
}

// clientTLS is what a scrape is configured with, after the scrape class.
type clientTLS struct {
	set                  bool
	ca, cert, key        string // files
	caObject, certObject bool   // they come from a Secret or a ConfigMap
	skip                 bool   // insecureSkipVerify
	serverName           string
}

func (f *facts) allTargets() []*target {
	var targets []*target
	scraped := map[string]map[string]*observe.Target{} // replica, then pool and URL
	for _, r := range f.replicas {
		if _, unread := f.unread("the targets of " + r.name); unread || r.seen == nil {
			continue
		}
		byURL := map[string]*observe.Target{}
		for i := range r.seen.Targets {
			t := &r.seen.Targets[i]
			byURL[t.Pool+" "+t.URL] = t
		}
		scraped[r.name] = byURL
	}
	byPool := map[string]*monitor{}
	for _, m := range f.monitors {
		for _, j := range m.Jobs {
			byPool[j.Name] = m
		}
	}
	for _, e := range observe.ExpectedTargets(f.o) {
		m := byPool[e.Pool]
		i := -1
		if m != nil {
			i = slices.IndexFunc(m.Jobs, func(j observe.Job) bool { return j.Name == e.Pool })
		}
		if i < 0 || i >= len(m.endpoints) {
			continue // of a kind that these rules do not know
		}
		t := &target{Expected: e, name: e.Namespace + "/" + e.Pod, monitor: m, field: m.jobField(i), endpoint: m.endpoints[i]}
		t.pod = f.pods[t.name]
		t.tls = f.clientTLS(m, t.endpoint)
		for _, r := range f.replicas {
			if byURL, ok := scraped[r.name]; ok {
				t.scrapes = append(t.scrapes, newScrape(r.name, byURL[e.Pool+" "+e.URL]))
			}
		}
		t.class = Classify(t.errors()...)
		targets = append(targets, t)
	}
	return targets
}

func newScrape(replica string, t *observe.Target) scrape {
	switch {
	case t == nil:
		return scrape{replica: replica, state: missing}
	case t.LastError == "" && t.Health != down:
		return scrape{replica: replica, state: up}
	}
	return scrape{replica: replica, state: down, err: t.LastError}
}

func (t *target) errors() []string {
	var texts []string
	for _, s := range t.scrapes {
		if s.state == down {
			texts = append(texts, s.err)
		}
	}
	return texts
}

// says is the error of a target in the words of Prometheus, for a finding's text.
func (t *target) says() string {
	for _, s := range t.scrapes {
		if s.state == down && (classify(s.err) == t.class || t.class == NoError) {
			return s.replica + " says of " + t.URL + ": " + strconv.Quote(request.ReplaceAllString(s.err, ""))
		}
	}
	for _, s := range t.scrapes {
		if s.state == missing {
			return s.replica + " has no target " + t.URL
		}
	}
	if t.healthy() {
		return "Prometheus scrapes " + t.URL + " all the same"
	}
	return t.URL + " was not seen at any replica"
}

// troubled reports whether any replica fails to scrape the target, or none was
// seen to.
func (t *target) troubled() bool {
	return len(t.scrapes) == 0 || slices.ContainsFunc(t.scrapes, func(s scrape) bool { return s.state != up })
}

// healthy reports whether some replica scrapes it well.
func (t *target) healthy() bool {
	return slices.ContainsFunc(t.scrapes, func(s scrape) bool { return s.state == up })
}

func (t *target) missing() bool {
	return slices.ContainsFunc(t.scrapes, func(s scrape) bool { return s.state == missing })
}

// confidence says how well a wrong setting explains the state of a target: for
// certain if the error is one that it causes, likely if nothing is known of the
// error or another fault is met first, and not at all if the target is well.
func (t *target) confidence(fits ...Class) (reports.Confidence, bool) {
	switch {
	case !t.troubled():
		return "", false
	case t.healthy():
		return reports.Possible, true // what breaks one replica only is elsewhere
	case slices.Contains(fits, t.class):
		return reports.Certain, true
	}
	return reports.Likely, true
}

func (t *target) finding(c reports.Confidence, seen, change string) finding {
	return finding{about: t.about(), seen: seen, change: change, confidence: c}
}

// at is a field of the target's endpoint in its monitor.
func (t *target) at(field string) string {
	return t.monitor.String() + ": set " + t.field + "." + field
}

// clientTLS is the effective configuration of an endpoint: what the monitor lacks
// comes from its scrape class.
func (f *facts) clientTLS(m *monitor, e endpoint) clientTLS {
	t := e.tls
	class := f.scrapeClass(m)
	if class == nil || class.TLSConfig == nil {
		return t
	}
	if !t.set {
		return newClientTLS(class.TLSConfig.SafeTLSConfig, class.TLSConfig.TLSFilesConfig)
	}
	if !t.caObject && t.ca == "" {
		t.ca = class.TLSConfig.CAFile
	}
	if !t.certObject && t.cert == "" {
		t.cert, t.key = class.TLSConfig.CertFile, class.TLSConfig.KeyFile
	}
	return t
}

func newClientTLS(s monitoringv1.SafeTLSConfig, files monitoringv1.TLSFilesConfig) clientTLS {
	t := clientTLS{set: true, ca: files.CAFile, cert: files.CertFile, key: files.KeyFile}
	t.skip = s.InsecureSkipVerify != nil && *s.InsecureSkipVerify
	if s.ServerName != nil {
		t.serverName = *s.ServerName
	}
	t.caObject = s.CA.Secret != nil || s.CA.ConfigMap != nil
	t.certObject = s.Cert.Secret != nil || s.Cert.ConfigMap != nil
	return t
}

// targetPort is the number of the container port that a Service's port leads to.
func targetPort(p corev1.ServicePort, pod *corev1.Pod) string {
	if p.TargetPort.Type == intstr.Int {
		if p.TargetPort.IntVal != 0 {
			return strconv.Itoa(int(p.TargetPort.IntVal))
		}
		return strconv.Itoa(int(p.Port))
	}
	for _, c := range allContainers(pod) {
		for _, cp := range c.Ports {
			if cp.Name == p.TargetPort.StrVal {
				return strconv.Itoa(int(cp.ContainerPort))
			}
		}
	}
	return ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
