package diagnosis

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// clientRules are about how a monitor tells Prometheus to ask.
var clientRules = []Rule{
	{
		Code: "scheme-http-on-strict", Layer: LayerClient,
		Title:   "A target that demands mTLS is asked in plain text",
		Explain: schemeHTTPOnStrict,
	},
	{
		Code: "client-certificate-not-configured", Layer: LayerClient,
		Title:   "Prometheus is not told to present a certificate",
		Explain: clientCertificateNotConfigured,
	},
	{
		Code: "insecure-skip-verify-missing", Layer: LayerClient,
		Title:   "Prometheus verifies the target's certificate, which names no address",
		Explain: func(f *facts) []finding { return verified(f, false) },
	},
	{
		Code: "server-name-cannot-match", Layer: LayerClient,
		Title:   "Prometheus wants a server name that no workload's certificate has",
		Explain: func(f *facts) []finding { return verified(f, true) },
	},
}

func schemeHTTPOnStrict(f *facts) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.Scheme != "http" || t.pod == nil || proxyOf(t.pod) == nil || !f.captured(t) {
			continue
		}
		m := f.mtls(t)
		if m.Mode != observe.Strict {
			continue
		}
		if c, ok := t.confidence(ConnectionReset, ClosedEarly, WrongFraming); ok {
			found = append(found, t.finding(c, fmt.Sprintf("%s asks with scheme http, and the mode of port %s of pod %s is STRICT (%s); %s", t.monitor, t.Port, t.name, m.From, t.says()),
				t.at("scheme")+" to https, with tlsConfig naming the certificate files"))
		}
	}
	return found
}

// captured reports whether a target's proxy takes what comes in on its port.
func (f *facts) captured(t *target) bool {
	c := captureOf(t.pod)
	return c.mode != "NONE" && listed(c.inbound, t.Port) && !listed(c.notInbound, t.Port)
}

func clientCertificateNotConfigured(f *facts) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.Scheme != "https" || t.tls.cert != "" || t.tls.certObject {
			continue
		}
		c, ok := t.confidence(CertificateRequired, HandshakeFailure, ClosedAfterHandshake, ConnectionReset, ClosedEarly)
		if !ok {
			continue
		}
		change := t.at("tlsConfig.certFile") + " and keyFile to the files that the proxy writes"
		if dir, known := f.publishedDir(); known {
			change = fmt.Sprintf("%s to %s and .keyFile to %s", t.at("tlsConfig.certFile"), path.Join(dir, fileOf[observe.RoleCert]), path.Join(dir, fileOf[observe.RoleKey]))
		}
		if t.monitor.Kind != "ServiceMonitor" {
			change = fmt.Sprintf("%s: define a class with the files in spec.scrapeClasses, and name it in spec.scrapeClass of %s: a %s itself cannot name files", f.prometheus, t.monitor, t.monitor.Kind)
		}
		found = append(found, t.finding(c, fmt.Sprintf("%s, %s, asks with https and names no client certificate; %s", t.monitor, t.field, t.says()), change))
	}
	return found
}

// publishedDir is where Prometheus sees what its proxy writes.
func (f *facts) publishedDir() (string, bool) {
	for _, s := range f.sets {
		if dir, ok := s.published(); ok {
			return dir, true
		}
	}
	return "", false
}

func verified(f *facts, named bool) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.Scheme != "https" || t.tls.skip || (t.tls.serverName != "") != named {
			continue
		}
		c, ok := t.confidence(verifyClasses...)
		if !ok {
			continue
		}
		seen, change := fmt.Sprintf("%s, %s, does not have insecureSkipVerify true; %s", t.monitor, t.field, t.says()), t.at("tlsConfig.insecureSkipVerify")+" to true: a workload's certificate names a SPIFFE ID, no host; the client is authenticated all the same"
		if named {
			seen = fmt.Sprintf("%s, %s, has serverName %q; %s", t.monitor, t.field, t.tls.serverName, t.says())
			change = fmt.Sprintf("%s: remove %s.tlsConfig.serverName and set insecureSkipVerify to true", t.monitor, t.field)
		}
		found = append(found, t.finding(c, seen, change))
	}
	return found
}

// versionRules are about versions of Prometheus that cannot do what is asked.
var versionRules = []Rule{
	{
		Code: "prometheus-too-old", Layer: LayerClient,
		Title:   "Prometheus before 2.31 does not get along with Envoy's mTLS",
		Explain: prometheusTooOld,
	},
	{
		Code: "ca-file-omitted", Layer: LayerClient,
		Title:   "Without caFile this version of Prometheus does not survive a renewed certificate",
		Proof:   "whether the scrapes ended with the first renewal, and what the log of Prometheus says then",
		Hides:   []string{"pool-not-made"},
		Explain: caFileOmitted,
	},
	{
		Code: "prometheus-keeps-old-certificate", Layer: LayerClient,
		Title:   "Prometheus goes on with a certificate that has ended, though the file has a new one",
		Proof:   "the serial that the target's proxy logs against that in the file",
		Explain: prometheusKeepsOld,
	},
}

// version of a replica, as it says itself or as its object asks for.
func (f *facts) version(r *replica) (major, minor int, text string, ok bool) {
	if r.seen != nil {
		text = r.seen.Version
	}
	text = firstOf(text, f.spec.Version)
	n, _ := fmt.Sscanf(trimV(text), "%d.%d", &major, &minor)
	return major, minor, text, n == 2
}

func trimV(s string) string {
	if len(s) > 0 && s[0] == 'v' {
		return s[1:]
	}
	return s
}

func older(major, minor, thanMajor, thanMinor int) bool {
	return major < thanMajor || major == thanMajor && minor < thanMinor
}

func prometheusTooOld(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		major, minor, text, ok := f.version(r)
		if !ok || !older(major, minor, 2, 31) {
			continue
		}
		for _, t := range f.targets {
			if t.Scheme != "https" {
				continue
			}
			if c, ok := t.confidence(append([]Class{HandshakeFailure, OtherAlert, ProtocolVersion, TimedOut}, brokenClasses...)...); ok {
				x := t.finding(c, fmt.Sprintf("%s runs Prometheus %s; %s", r.name, text, t.says()), f.prometheus+": set spec.version and spec.image to 2.31 or later (prometheus/prometheus#9068)")
				found = append(found, x)
			}
		}
	}
	return found
}

func caFileOmitted(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		major, minor, text, ok := f.version(r)
		if !ok || major != 3 || minor > 12 {
			continue // 3.13 has the fix, and 2.x was never seen to need it
		}
		does := "fails all scrapes for good (prometheus/common#908)"
		if minor < 8 {
			does = "crashes (prometheus/prometheus#16622)"
		}
		for _, m := range f.monitors {
			for i, e := range m.endpoints {
				t := f.clientTLS(m, e)
				if !m.Selected || t.cert == "" || t.ca != "" || t.caObject {
					continue
				}
				x := finding{about: append(m.about(), "replica "+r.name), confidence: reports.Likely,
					seen:   fmt.Sprintf("%s, %s, names a certFile and no caFile; Prometheus %s in %s %s at the first renewal of the certificate", m, m.jobField(i), text, r.name, does),
					change: fmt.Sprintf("%s: set %s.tlsConfig.caFile to the root-cert.pem beside the certificate, also with insecureSkipVerify; or upgrade Prometheus to 3.13", m, m.jobField(i))}
				if f.failsWith(m, CANotConfigured) || minor < 8 && r.pod != nil && crashed(r.pod) {
					x.confidence = reports.Certain
				}
				found = append(found, x)
			}
		}
	}
	return found
}

// crashed reports whether the Prometheus container ended as a Go program does that
// panicked.
func crashed(pod *corev1.Pod) bool {
	for _, s := range pod.Status.ContainerStatuses {
		if t := s.LastTerminationState.Terminated; s.Name == prometheusName && t != nil && t.ExitCode == 2 && strings.Contains(t.Message, "nil pointer") {
			return true
		}
	}
	return false
}

func (f *facts) failsWith(m *monitor, c Class) bool {
	for _, t := range f.targets {
		if t.monitor == m && t.class == c {
			return true
		}
	}
	return false
}

func prometheusKeepsOld(f *facts) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.class != ExpiredCertificate {
			continue
		}
		f.eachCertificate(func(r *replica, c *observe.Certificate) {
			if f.expired(c) {
				return
			}
			major, minor, text, ok := f.version(r)
			x := finding{about: t.aboutScrape(), confidence: reports.Possible,
				seen:   fmt.Sprintf("the certificate in the files of pod %s/%s is good until %s; Prometheus %s; %s", f.namespace, r.name, clock(c.NotAfter), firstOf(text, "of unknown version"), t.says()),
				change: f.prometheus + ": set spec.version and spec.image to 2.40 or later, which watches the files; until then restart its pods after each renewal"}
			if ok && older(major, minor, 2, 40) {
				x.confidence = reports.Certain
			}
			found = append(found, x)
		})
	}
	return found
}
