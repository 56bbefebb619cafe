package diagnosis

import (
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// loadGood is the guide's set-up in order, as it was seen on the real stack.
func loadGood(testing.TB) observe.Observation {
	o := recorded.Load(recorded.Good)
	const beside = "mtls-scrape-unmeshed" // not the guide's
	o.ServiceMonitors = slices.DeleteFunc(o.ServiceMonitors, func(m monitoringv1.ServiceMonitor) bool { return m.Name == beside })
	for i := range o.Replicas {
		o.Replicas[i].Targets = slices.DeleteFunc(o.Replicas[i].Targets, func(t observe.Target) bool { return t.Labels["job"] == beside })
	}
	return o
}

// subject is an observation being spoilt.
type subject struct {
	*observe.Observation
}

// lastError lets every scrape fail with a text, as Prometheus puts it.
func (s subject) lastError(text string) {
	for i := range s.Replicas {
		for j := range s.Replicas[i].Targets {
			t := &s.Replicas[i].Targets[j]
			t.Health, t.LastError = "down", `Get "`+t.URL+`": `+text
			if strings.HasPrefix(text, "server returned") || strings.HasPrefix(text, "received") || strings.HasPrefix(text, "expected") || strings.HasPrefix(text, "sample") || strings.HasPrefix(text, "body") {
				t.LastError = text
			}
		}
	}
}

// noPool lets no replica have the job, as when a file cannot be read.
func (s subject) noPool(failed float64) {
	for i := range s.Replicas {
		s.Replicas[i].Targets, s.Replicas[i].ScrapePools, s.Replicas[i].Sockets = nil, nil, nil
		s.Replicas[i].Metrics.ScrapePoolsFailed = failed
	}
}

// noTargets leaves the job without targets.
func (s subject) noTargets() {
	for i := range s.Replicas {
		s.Replicas[i].Targets = nil
	}
}

// notConfigured leaves no trace of the monitor at Prometheus.
func (s subject) notConfigured() {
	s.noPool(0)
	for i := range s.Replicas {
		s.Replicas[i].Configuration = "scrape_configs: []\n"
		s.Replicas[i].Files, s.Replicas[i].Certificate = nil, nil
	}
}

// fileError lets a file be as the container's user cannot read it.
func (s subject) fileError(suffix, text string) {
	for i := range s.Replicas {
		for j := range s.Replicas[i].Files {
			if f := &s.Replicas[i].Files[j]; strings.HasSuffix(f.Path, suffix) {
				f.Error, f.Mode, f.Owner, f.Size = text, "", "", 0
				if strings.HasPrefix(text, "Permission") {
					f.Mode, f.Owner, f.Size = "0600", "1337:1337", 1675
				}
			}
		}
		s.Replicas[i].Certificate = nil
	}
	s.noPool(1)
}

// noPods is what is seen if the pods of Prometheus are refused.
func (s subject) noPods(message string) {
	s.Replicas = nil
	s.Pods = slices.DeleteFunc(s.Pods, func(p corev1.Pod) bool { return strings.HasPrefix(p.Name, "prometheus-default-") })
	if message != "" {
		s.Events = append(s.Events, observe.Event{Kind: "StatefulSet", Namespace: "default", Name: "prometheus-default", Type: "Warning", Reason: "FailedCreate", Message: message, Last: s.At})
	}
}

// pods calls with the pods whose name begins so.
func (s subject) pods(prefix string, change func(*corev1.Pod)) {
	for i := range s.Pods {
		if strings.HasPrefix(s.Pods[i].Name, prefix) {
			change(&s.Pods[i])
		}
	}
}

func (s subject) prometheusPods(change func(*corev1.Pod)) { s.pods("prometheus-default-", change) }

func (s subject) annotations() map[string]string { return s.Prometheus.Spec.PodMetadata.Annotations }

// outage lets istiod come back, and the renewal of certificates after that, so much later.
func (s subject) outage(undone, renewed time.Duration) {
	i := slices.IndexFunc(s.Episodes, func(e observe.Episode) bool { return e.Disruption == controlPlaneOutage })
	e := &s.Episodes[i]
	e.To = e.To.Add(undone + renewed)
	for j := range e.Marks {
		if e.Marks[j].Step == outageUndone {
			e.Marks[j].At = e.Marks[j].At.Add(undone)
		}
	}
	seen := map[string]bool{}
	for j := range e.Certs {
		if c := &e.Certs[j]; seen[c.Pod] { // the second one
			c.At = c.At.Add(undone + renewed)
			c.Certificate.NotBefore, c.Certificate.NotAfter = c.Certificate.NotBefore.Add(undone+renewed), c.Certificate.NotAfter.Add(undone+renewed)
		}
		seen[e.Certs[j].Pod] = true
	}
}

// proxy calls with the sidecars of the Prometheus pods.
func (s subject) proxy(change func(*corev1.Container)) {
	s.prometheusPods(func(p *corev1.Pod) {
		for i := range p.Spec.InitContainers {
			if p.Spec.InitContainers[i].Name == proxyName {
				change(&p.Spec.InitContainers[i])
			}
		}
	})
}

func (s subject) env(name, value string) {
	s.proxy(func(c *corev1.Container) {
		c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
		if value != "" {
			c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
		}
	})
}

// withoutProxy takes the sidecar out of a pod, as if it had not been injected.
func withoutProxy(p *corev1.Pod) {
	sidecar := func(c corev1.Container) bool { return c.Name == proxyName || c.Name == "istio-init" }
	p.Spec.InitContainers = slices.DeleteFunc(p.Spec.InitContainers, sidecar)
	p.Spec.Containers = slices.DeleteFunc(p.Spec.Containers, sidecar)
	delete(p.Labels, "security.istio.io/tlsMode")
	delete(p.Annotations, "sidecar.istio.io/status")
}

// notInjected takes the sidecar out of the Prometheus pods, with what follows.
func (s subject) notInjected(change func(*corev1.Pod)) {
	s.prometheusPods(func(p *corev1.Pod) {
		withoutProxy(p)
		change(p)
	})
	s.fileError("", "No such file or directory")
	for i := range s.Replicas {
		s.Replicas[i].ProxyCertificates = nil
	}
}

func (s subject) namespace(name string) *corev1.Namespace {
	for i := range s.Namespaces {
		if s.Namespaces[i].Name == name {
			return &s.Namespaces[i]
		}
	}
	return nil
}

func (s subject) service(name string) *corev1.Service {
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}

// logs puts a line about each scrape into the log of each target's proxy.
func (s subject) logs(r observe.Request) {
	for i := range s.Proxies {
		r.At, r.Agent, r.TLS = s.At, "Prometheus/3.16.0", "TLSv1.3"
		r.Peer = "spiffe://cluster.local/ns/default/sa/prometheus-full-access"
		s.Proxies[i].Requests = append(s.Proxies[i].Requests, r)
	}
}

func failedCheck(ids ...string) []reports.Check {
	var checks []reports.Check
	for _, id := range ids {
		checks = append(checks, reports.Check{ID: id, Verdict: reports.Fail, Reason: "for the test"})
	}
	return checks
}

func codes(causes []reports.Cause) []string {
	var all []string
	for _, c := range causes {
		all = append(all, c.Code)
	}
	return all
}

// allChecks are the checks of the catalogue that a diagnosis may be asked for.
var allChecks = []string{
	"prometheus-sidecar-injected", "certificates-mounted", "certificate-identity", "traffic-not-intercepted", "monitors-accepted",
	"targets-complete", "targets-up", "metrics-queryable", "mutual-tls-on-the-wire", "unmeshed-still-scraped",
	"plaintext-refused", "no-certificate-refused", "foreign-certificate-refused", "identity-authorized", "side-doors-known",
	"scraper-certificate-rotated", "target-certificate-rotated", "rotation-without-ca-file", "root-rotated",
	"control-plane-outage-survived", "prometheus-restart-survived", "secure-metrics-ports", "upgrade-in-place", "of-a-kind-to-come",
}
