package diagnosis

import (
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"istio.io/api/annotation"
	securityv1beta1 "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

var fileCases = []testCase{
	{name: "OUTPUT_CERTS not set", on: "certificates-mounted", code: "output-certs-not-set", says: []string{"to /etc/istio-output-certs"}, spoil: func(s subject) {
		s.annotations()[annotation.ProxyConfig.Name] = "proxyMetadata:\n  SECRET_TTL: 20s\n"
		s.env("OUTPUT_CERTS", "")
		s.fileError("", "No such file or directory")
	}},
	{name: "userVolumeMount missing", on: "certificates-mounted", code: "user-volume-mount-missing", spoil: func(s subject) {
		delete(s.annotations(), annotation.SidecarUserVolumeMount.Name)
		s.proxy(func(c *corev1.Container) {
			c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "istio-certs" })
		})
		s.fileError("", "No such file or directory")
	}},
	{name: "OUTPUT_CERTS elsewhere", on: "certificates-mounted", code: "output-certs-elsewhere", says: []string{"to /etc/istio-output-certs"}, spoil: func(s subject) {
		s.annotations()[annotation.ProxyConfig.Name] = "proxyMetadata:\n  OUTPUT_CERTS: /etc/istio-certs\n"
		s.env("OUTPUT_CERTS", "/etc/istio-certs")
		s.fileError("", "No such file or directory")
	}},
	{name: "volumeMounts missing", on: "certificates-mounted", code: "prometheus-volume-mount-missing", says: []string{"{name: istio-certs, mountPath: /etc/prom-certs}"}, spoil: func(s subject) {
		s.Prometheus.Spec.VolumeMounts = nil
		s.prometheusMounts(func(m []corev1.VolumeMount) []corev1.VolumeMount {
			return slices.DeleteFunc(m, func(m corev1.VolumeMount) bool { return m.Name == "istio-certs" })
		})
		s.fileError("", "No such file or directory")
	}},
	{name: "two volumes", on: "certificates-mounted", code: "volumes-differ", spoil: func(s subject) {
		s.Prometheus.Spec.Volumes = append(s.Prometheus.Spec.Volumes, corev1.Volume{Name: "prom-certs"})
		s.Prometheus.Spec.VolumeMounts[0].Name = "prom-certs"
		s.prometheusPods(func(p *corev1.Pod) { p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "prom-certs"}) })
		s.prometheusMounts(func(m []corev1.VolumeMount) []corev1.VolumeMount {
			for i := range m {
				if m[i].Name == "istio-certs" {
					m[i].Name = "prom-certs"
				}
			}
			return m
		})
		s.fileError("", "No such file or directory")
	}},
	{name: "monitor names a file that the proxy does not write", code: "certificate-path-elsewhere", says: []string{
		"ServiceMonitor default/productpage: set spec.endpoints[0].tlsConfig.caFile to /etc/prom-certs/root-cert.pem",
	}, spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig.CAFile = "/etc/prom-cert/root-cert.pem"
		for i := range s.Replicas {
			s.Replicas[i].Files[0].Path = "/etc/prom-cert/root-cert.pem"
		}
		s.fileError("root-cert.pem", "No such file or directory")
	}},
	{name: "certificate and key swapped", on: "certificates-mounted", code: "certificate-files-swapped", spoil: func(s subject) {
		t := s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig
		t.CertFile, t.KeyFile = t.KeyFile, t.CertFile
		for i := range s.Replicas {
			f := s.Replicas[i].Files
			f[1].Path, f[2].Path = f[2].Path, f[1].Path
			f[1].ParseError = "holds a RSA PRIVATE KEY where a certificate is expected"
			s.Replicas[i].Certificate = nil
		}
		s.noPool(1)
	}},
	{name: "files unreadable", code: "certificate-file-unreadable", says: []string{"/etc/prom-certs/key.pem", "mode 0600", "1.9.4"}, spoil: func(s subject) { s.fileError("key.pem", "Permission denied") }},
	{name: "files not written", on: "certificates-mounted", code: "certificate-file-missing", spoil: func(s subject) { s.fileError("", "No such file or directory") }},
	{name: "file gone, only the error tells", code: "certificate-file-missing", spoil: func(s subject) {
		s.lastError("unable to read CA cert: unable to read file /etc/prom-certs/root-cert.pem: open /etc/prom-certs/root-cert.pem: no such file or directory")
		for i := range s.Replicas {
			s.Unread = append(s.Unread, observe.Unread{What: "the certificate files of " + s.Replicas[i].Pod, Reason: "no shell"})
		}
	}},
	{name: "file empty", on: "targets-complete", code: "certificate-file-invalid", says: []string{"holds no certificate (0 bytes)"}, spoil: func(s subject) {
		for i := range s.Replicas {
			s.Replicas[i].Files[0].Size, s.Replicas[i].Files[0].ParseError = 0, "holds no certificate"
			s.Replicas[i].Certificate = nil
		}
		s.noPool(1)
	}},
	{name: "key empty", on: "targets-complete", code: "certificate-file-invalid", says: []string{"/etc/prom-certs/key.pem", "is empty (0 bytes)"}, spoil: func(s subject) {
		for i := range s.Replicas {
			s.Replicas[i].Files[2].Size = 0
		}
		s.noPool(1)
	}},
	{name: "key from another directory", on: "targets-up", code: "certificate-key-mismatch", spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig.KeyFile = "/etc/other/key.pem"
		for i := range s.Replicas {
			s.Replicas[i].Files[2].Path = "/etc/other/key.pem"
		}
		s.noPool(1)
	}},
	{name: "rotated and not written", on: "scraper-certificate-rotated", code: "rotated-not-written", says: []string{"the files still hold"}, spoil: func(s subject) {
		for i := range s.Replicas {
			c := s.Replicas[i].Certificate
			c.NotAfter, c.NotBefore = s.At.Add(-time.Minute), s.At.Add(-4*time.Minute)
			s.Replicas[i].ProxyCertificates[0].Serial, s.Replicas[i].ProxyCertificates[0].NotAfter = "abc", s.At.Add(time.Minute)
		}
		s.lastError("remote error: tls: expired certificate")
	}},
	{name: "certificate expired", code: "certificate-expired", spoil: func(s subject) {
		for i := range s.Replicas {
			s.Replicas[i].Certificate.NotAfter = s.At.Add(-time.Minute)
		}
		s.lastError("remote error: tls: expired certificate")
	}},
	{name: "clock behind", code: "certificate-not-yet-valid", spoil: func(s subject) {
		for i := range s.Replicas {
			s.Replicas[i].Certificate.NotBefore = s.At.Add(time.Hour)
			s.Replicas[i].Certificate.NotAfter = s.At.Add(2 * time.Hour)
		}
		s.lastError("remote error: tls: expired certificate")
	}},
	{name: "certificate of somebody else", on: "certificate-identity", code: "certificate-not-own", spoil: func(s subject) {
		for i := range s.Replicas {
			s.Replicas[i].Certificate.URIs = []string{"spiffe://cluster.local/ns/default/sa/bookinfo-ratings"}
		}
	}},
	{name: "other trust domain", code: "trust-domain-mismatch", spoil: func(s subject) {
		for i := range s.Replicas {
			s.Replicas[i].Certificate.URIs = []string{"spiffe://old.example/ns/default/sa/prometheus-full-access"}
		}
		s.lastError("remote error: tls: unknown certificate")
	}},
	{name: "chain does not lead to the root", on: "certificate-identity", code: "chain-incomplete", spoil: func(s subject) {
		for i := range s.Replicas {
			s.Replicas[i].Certificate.ChainsTo = false
		}
	}},
	{name: "target has another root", code: "roots-differ", spoil: func(s subject) {
		for i := range s.Proxies {
			s.Proxies[i].Certificates[0].Roots = []string{"1234"}
		}
		s.lastError("remote error: tls: unknown certificate authority")
		s.Replicas[1].Targets[0].LastError = `Get "https://10.244.0.11:9080/metrics": write tcp 10.244.0.14:1->10.244.0.11:9080: write: broken pipe`
	}},
}

// prometheusMounts changes the mounts of the Prometheus container.
func (s subject) prometheusMounts(change func([]corev1.VolumeMount) []corev1.VolumeMount) {
	s.prometheusPods(func(p *corev1.Pod) {
		for i := range p.Spec.Containers {
			if c := &p.Spec.Containers[i]; c.Name == prometheusName {
				c.VolumeMounts = change(c.VolumeMounts)
			}
		}
	})
}

// setVersion changes the version of Prometheus.
func (s subject) setVersion(v string) {
	s.Prometheus.Spec.Version = "v" + v
	for i := range s.Replicas {
		s.Replicas[i].Version = v
	}
}

var clientCases = []testCase{
	{name: "scheme http", code: "scheme-http-on-strict", spoil: func(s subject) {
		http := monitoringv1.SchemeHTTP
		s.ServiceMonitors[0].Spec.Endpoints[0].Scheme = &http
		for i := range s.Replicas {
			for j := range s.Replicas[i].Targets {
				s.Replicas[i].Targets[j].URL = "http" + s.Replicas[i].Targets[j].URL[len("https"):]
			}
		}
		s.lastError("read tcp 10.244.0.13:1->10.244.0.6:9080: read: connection reset by peer")
	}},
	{name: "monitor without client certificate", code: "client-certificate-not-configured", says: []string{"tlsConfig.certFile to /etc/prom-certs/cert-chain.pem"}, spoil: func(s subject) {
		t := s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig
		t.CertFile, t.KeyFile = "", ""
		s.lastError("write tcp 10.244.0.13:1->10.244.0.6:9080: write: broken pipe")
		if len(s.Replicas[0].Targets) > 0 {
			s.Replicas[0].Targets[0].LastError = `Get "https://10.244.0.11:9080/metrics": remote error: tls: certificate required`
			s.Replicas[1].Targets[1].LastError = `Get "https://10.244.0.6:9080/metrics": remote error: tls: certificate required`
		}
	}},
	{name: "no insecureSkipVerify", code: "insecure-skip-verify-missing", spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig.InsecureSkipVerify = nil
		s.lastError("tls: failed to verify certificate: x509: cannot validate certificate for 10.244.0.6 because it doesn't contain any IP SANs")
	}},
	{name: "serverName", code: "server-name-cannot-match", spoil: func(s subject) {
		name := "productpage.default.svc"
		t := s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig
		t.InsecureSkipVerify, t.ServerName = nil, &name
		s.lastError("tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match productpage.default.svc")
	}},
	{name: "Prometheus 2.26", code: "prometheus-too-old", says: []string{"runs Prometheus 2.26.0"}, spoil: func(s subject) {
		s.setVersion("2.26.0")
		s.lastError("read tcp 10.244.0.13:1->10.244.0.6:9080: read: connection reset by peer")
	}},
	{name: "caFile omitted before 3.13", on: "scraper-certificate-rotated", code: "ca-file-omitted", says: []string{"prometheus/common#908", "set spec.endpoints[0].tlsConfig.caFile"}, spoil: func(s subject) {
		s.setVersion("3.12.0")
		s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig.CAFile = ""
		s.lastError("unable to use specified CA cert: none configured")
	}},
	{name: "caFile omitted before 3.8", on: "rotation-without-ca-file", code: "ca-file-omitted", confidence: reports.Likely, says: []string{"crashes"}, spoil: func(s subject) {
		s.setVersion("3.5.0")
		s.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig.CAFile = ""
	}},
	{name: "Prometheus 2.28 keeps the old certificate", code: "prometheus-keeps-old-certificate", spoil: func(s subject) {
		s.setVersion("2.39.0")
		s.lastError("remote error: tls: expired certificate")
	}},
}

// peerAuthentication adds a policy.
func (s subject) peerAuthentication(namespace, name string, p *securityv1.PeerAuthentication) {
	p.Namespace, p.Name = namespace, name
	s.PeerAuthentications = append(s.PeerAuthentications, p)
}

// authorizationPolicy adds a policy of the targets' namespace.
func (s subject) authorizationPolicy(action securityv1beta1.AuthorizationPolicy_Action, rules ...*securityv1beta1.Rule) {
	p := &securityv1.AuthorizationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "metrics"}}
	p.Spec.Action, p.Spec.Rules = action, rules
	s.AuthorizationPolicies = append(s.AuthorizationPolicies, p)
}

func from(principal string) *securityv1beta1.Rule {
	return &securityv1beta1.Rule{From: []*securityv1beta1.Rule_From{{Source: &securityv1beta1.Source{Principals: []string{principal}}}}}
}

const reset = "read tcp 10.244.0.13:1->10.244.0.6:9080: read: connection reset by peer"

// portCalled names the targets' port otherwise, in Service and monitor.
func (s subject) portCalled(name string) {
	s.service("productpage").Spec.Ports[0].Name = name
	s.ServiceMonitors[0].Spec.Endpoints[0].Port = name
	for i := range s.EndpointSlices {
		for j := range s.EndpointSlices[i].Ports {
			if p := &s.EndpointSlices[i].Ports[j]; p.Name != nil && *p.Name == "http-9080" {
				p.Name = &name
			}
		}
	}
}

var policyCases = []testCase{
	{name: "mesh PERMISSIVE, http port", code: "mtls-permissive", says: []string{"PeerAuthentication istio-system/default: set spec.mtls.mode to STRICT"}, spoil: func(s subject) {
		s.PeerAuthentications[0].Spec.Mtls.Mode = securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE
		s.lastError(reset)
	}},
	{name: "port PERMISSIVE", code: "mtls-permissive", says: []string{`PeerAuthentication default/productpage: set spec.portLevelMtls["9080"].mode to STRICT`}, spoil: func(s subject) {
		p := &securityv1.PeerAuthentication{}
		p.Spec.Selector = &typev1beta1.WorkloadSelector{MatchLabels: map[string]string{"app": "productpage"}}
		p.Spec.PortLevelMtls = map[uint32]*securityv1beta1.PeerAuthentication_MutualTLS{9080: {Mode: securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE}}
		s.peerAuthentication("default", "productpage", p)
		s.lastError("EOF")
	}},
	{name: "mesh PERMISSIVE, plain text is served", on: "plaintext-refused", code: "mtls-permissive", says: []string{"served in plain text"}, spoil: func(s subject) {
		s.PeerAuthentications[0].Spec.Mtls.Mode = securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE
		for i := range s.Probes {
			if s.Probes[i].Kind == observe.PlainText {
				s.Probes[i].Attempts = []observe.Attempt{{Answered: true, Code: 200}}
			}
		}
	}},
	{name: "mesh DISABLE", code: "mtls-disabled", spoil: func(s subject) {
		s.PeerAuthentications[0].Spec.Mtls.Mode = securityv1beta1.PeerAuthentication_MutualTLS_DISABLE
		s.lastError("http: server gave HTTP response to HTTPS client")
	}},
	{name: "policy admits another principal", code: "authorization-denies-prometheus", says: []string{
		"Prometheus is cluster.local/ns/default/sa/prometheus-full-access", "AuthorizationPolicy default/metrics: add to spec.rules",
	}, spoil: func(s subject) {
		s.authorizationPolicy(securityv1beta1.AuthorizationPolicy_ALLOW, from("cluster.local/ns/monitoring/sa/prometheus"))
		s.lastError("server returned HTTP status 403 Forbidden")
	}},
	{name: "policy denies all", code: "authorization-denies-prometheus", says: []string{"has no rule, which admits nobody"}, spoil: func(s subject) {
		s.authorizationPolicy(securityv1beta1.AuthorizationPolicy_ALLOW)
		s.lastError("server returned HTTP status 403 Forbidden")
	}},
	{name: "policy denies Prometheus", code: "authorization-denies-prometheus", says: []string{"notPrincipals"}, spoil: func(s subject) {
		s.authorizationPolicy(securityv1beta1.AuthorizationPolicy_DENY, from("*/sa/prometheus-full-access"))
		s.lastError("server returned HTTP status 403 Forbidden")
	}},
	{name: "policy not worked out, the log tells", code: "authorization-denies-prometheus", spoil: func(s subject) {
		s.authorizationPolicy(securityv1beta1.AuthorizationPolicy_ALLOW, &securityv1beta1.Rule{When: []*securityv1beta1.Condition{{Key: "destination.ip", Values: []string{"1.2.3.4"}}}})
		s.logs(observe.Request{Path: "/metrics", Code: 403, Details: "rbac_access_denied_matched_policy[none]"})
		s.lastError("server returned HTTP status 403 Forbidden")
	}},
	{name: "policy with paths on a TCP port", code: "authorization-http-rule-on-tcp-port", spoil: func(s subject) {
		s.portCalled("tcp-9080")
		enable := false
		s.ServiceMonitors[0].Spec.Endpoints[0].EnableHTTP2 = &enable
		rule := from("cluster.local/ns/default/sa/prometheus-full-access")
		rule.To = []*securityv1beta1.Rule_To{{Operation: &securityv1beta1.Operation{Paths: []string{"/metrics"}}}}
		s.authorizationPolicy(securityv1beta1.AuthorizationPolicy_ALLOW, rule)
		s.lastError(reset)
	}},
	{name: "Service port called metrics", code: "port-not-http", says: []string{"opaque TCP", "appProtocol", "enableHttp2"}, spoil: func(s subject) {
		s.portCalled("metrics")
		s.lastError("http2: failed reading the frame payload: http2: frame too large, note that the frame header looked like an HTTP/1.1 header")
	}},
	{name: "appProtocol tcp", code: "port-not-http", spoil: func(s subject) {
		tcp := "tcp"
		s.service("productpage").Spec.Ports[0].AppProtocol = &tcp
		s.lastError("unexpected EOF")
	}},
	{name: "two Services, one of them TCP", code: "services-disagree-on-protocol", says: []string{"productpage-raw"}, spoil: func(s subject) {
		raw := *s.service("productpage").DeepCopy()
		raw.Name, raw.Spec.Ports[0].Name = "productpage-raw", "tcp-raw"
		raw.Labels = nil
		s.Services = append(s.Services, raw)
		s.lastError("http2: frame too large")
	}},
}

var applicationCases = []testCase{
	{name: "application on localhost", code: "application-loopback-only", says: []string{"UF"}, spoil: func(s subject) {
		s.logs(observe.Request{Path: "/metrics", Code: 503, Flags: "UF", Details: "upstream_reset_before_response_started{connection_failure|delayed_connect_error:_111}"})
		s.lastError("server returned HTTP status 503 Service Unavailable")
	}},
	{name: "application does not listen", code: "application-not-listening", spoil: func(s subject) {
		s.logs(observe.Request{Path: "/metrics", Code: 503, Flags: "UF", Details: "upstream_reset_before_response_started{connection_failure}"})
		for i := range s.Direct {
			s.Unread = append(s.Unread, observe.Unread{What: "the application in " + s.Direct[i].Pod + " behind its proxy", Reason: "connection refused"})
			s.Direct[i].StartTimes = nil
		}
		s.lastError("server returned HTTP status 503 Service Unavailable")
	}},
	{name: "wrong path", code: "metrics-path-wrong", says: []string{"asks for /metricz", "to /metrics, which the pod's own annotation"}, spoil: func(s subject) {
		s.ServiceMonitors[0].Spec.Endpoints[0].Path = "/metricz"
		for i := range s.Replicas {
			for j := range s.Replicas[i].Targets {
				s.Replicas[i].Targets[j].URL = strings.TrimSuffix(s.Replicas[i].Targets[j].URL, "s") + "z"
			}
		}
		s.lastError("server returned HTTP status 404 Not Found")
	}},
	{name: "application wants credentials", code: "application-denies", spoil: func(s subject) {
		s.logs(observe.Request{Path: "/metrics", Code: 401, Details: "via_upstream"})
		s.lastError("server returned HTTP status 401 Unauthorized")
	}},
	{name: "application fails", code: "application-error", spoil: func(s subject) {
		s.logs(observe.Request{Path: "/metrics", Code: 500, Details: "via_upstream"})
		s.lastError("server returned HTTP status 500 Internal Server Error")
	}},
	{name: "content type", code: "content-type-refused", says: []string{"spec.fallbackScrapeProtocol"}, spoil: func(s subject) {
		s.lastError(`received unsupported Content-Type "text/html; charset=utf-8" and no fallback_scrape_protocol specified for target`)
	}},
	{name: "not metrics", code: "not-metrics", spoil: func(s subject) { s.lastError(`expected value after metric, got "<" ("INVALID") while parsing: "<!"`) }},
	{name: "sample limit", code: "scrape-limit-exceeded", says: []string{"spec.sampleLimit"}, spoil: func(s subject) { s.lastError("sample limit exceeded") }},
	{name: "application slow", code: "application-slow", spoil: func(s subject) {
		s.logs(observe.Request{Path: "/metrics", Code: 0, Flags: "DC", Details: "downstream_remote_disconnect"})
		s.lastError("context deadline exceeded")
	}},
	{name: "no route", code: "network-blocked", confidence: reports.Likely, spoil: func(s subject) {
		s.lastError("dial tcp 10.244.0.6:9080: connect: no route to host")
	}},
	{name: "application ends again and again", code: "application-restarting", confidence: reports.Likely, says: []string{"OOMKilled"}, spoil: func(s subject) {
		s.pods("productpage-", func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].RestartCount = 4
			p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", FinishedAt: metav1.NewTime(s.At.Add(-time.Minute))}
		})
		s.lastError(reset)
	}},
	{name: "an error that nothing explains", code: "unexplained-error", confidence: reports.Possible, says: []string{"look first at"}, spoil: func(s subject) {
		s.lastError("remote error: tls: unknown certificate authority")
	}},
	{name: "side door", on: "strict-side-doors", code: "side-door-open", says: []string{"METRICS_LOCALHOST_ACCESS_ONLY"}, spoil: func(s subject) {
		s.Probes = slices.DeleteFunc(s.Probes, func(p observe.Probe) bool { return p.Kind == observe.SideDoor && p.Port != "15020" })
	}},
}

var rotationCases = []testCase{
	{name: "istiod away for longer than a certificate lives", on: "control-plane-outage-survived", code: "outage-outlasted-certificate", says: []string{
		"istiod was away for 3m11s", "lives for 20s, of which 10s are left when it is to be renewed (SECRET_GRACE_PERIOD_RATIO 0.5)", "it was without a valid one for 2m55s",
		"SECRET_TTL to 13m or more", "Deployment istio-system/istiod",
	}, spoil: func(s subject) { s.outage(3*time.Minute, 0) }},
	{name: "istiod back, and the renewal too late", on: "control-plane-outage-survived", code: "outage-outlasted-certificate", confidence: reports.Likely, says: []string{
		"istiod was away for 11s", "the log of istio-proxy",
	}, spoil: func(s subject) { s.outage(0, 3*time.Minute) }},
	{name: "SECRET_TTL in days", on: "scraper-certificate-rotated", code: "secret-ttl-invalid", says: []string{`"3d"`, "24h"}, spoil: func(s subject) {
		s.annotations()[annotation.ProxyConfig.Name] = "proxyMetadata:\n  OUTPUT_CERTS: /etc/istio-output-certs\n  SECRET_TTL: 3d\n"
		s.env("SECRET_TTL", "3d")
	}},
	{name: "SECRET_TTL longer than istiod signs", on: "scraper-certificate-rotated", code: "secret-ttl-too-long", spoil: func(s subject) {
		s.Mesh.ControlPlanes[0].Variables = map[string]string{"MAX_WORKLOAD_CERT_TTL": "1h"}
		s.env("SECRET_TTL", "2h")
	}},
	{name: "SECRET_TTL longer than istiod signs, so that the pod never starts", on: "prometheus-sidecar-injected", code: "secret-ttl-too-long", says: []string{"2161h0m0s"}, spoil: func(s subject) {
		s.env("SECRET_TTL", "2161h")
		s.prometheusPods(func(p *corev1.Pod) { p.Status.Conditions = nil })
		s.unreachable("connect: connection refused")
	}},
	{name: "interception mode NONE, and the certificate has ended", on: "certificates-mounted", code: "rotation-without-subscriber", spoil: func(s subject) {
		s.env("ISTIO_META_INTERCEPTION_MODE", "NONE")
		for i := range s.Replicas {
			s.Replicas[i].Certificate.NotAfter, s.Replicas[i].ProxyCertificates = s.At.Add(-time.Minute), nil
		}
	}},
	{name: "target watched too shortly", on: "target-certificate-rotated", code: "watch-shorter-than-rotation", says: []string{"the workload of ReplicaSet default/productpage", "every 12h0m0s"}, spoil: func(s subject) {
		s.Watch.Shown = nil
		for _, e := range observe.ExpectedTargets(*s.Observation) {
			s.Watch.Shown = append(s.Watch.Shown, observe.Sighting{At: s.At, Pod: e.Namespace + "/" + e.Pod, Certificate: observe.Certificate{
				Serial: "1", NotBefore: s.At.Add(-skew), NotAfter: s.At.Add(24 * time.Hour),
			}})
		}
	}},
	{name: "ratio 1", on: "scraper-certificate-rotated", code: "grace-ratio-out-of-range", spoil: func(s subject) { s.env("SECRET_GRACE_PERIOD_RATIO", "1") }},
	{name: "interception mode NONE", on: "scraper-certificate-rotated", code: "rotation-without-subscriber", confidence: reports.Likely, spoil: func(s subject) {
		s.env("ISTIO_META_INTERCEPTION_MODE", "NONE")
	}},
	{name: "output is input", on: "scraper-certificate-rotated", code: "output-is-input", confidence: reports.Likely, spoil: func(s subject) { s.env("PROV_CERT", "/etc/istio-output-certs/") }},
	{name: "watched too shortly", on: "scraper-certificate-rotated", code: "watch-shorter-than-rotation", says: []string{"every 12h0m0s"}, spoil: func(s subject) {
		for i := range s.Replicas {
			c := s.Replicas[i].Certificate
			c.NotBefore, c.NotAfter = s.At.Add(-time.Hour), s.At.Add(23*time.Hour+skew)
		}
		s.Watch.Certs = nil
	}},
}
