package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// protocolRules are about what Istio takes the target's port for. Where that is
// not HTTP, the proxy ends TLS and passes on bytes; Prometheus then speaks HTTP/2,
// which the proxy offered, to an application that does not.
var protocolRules = []Rule{
	{
		Code: "services-disagree-on-protocol", Layer: LayerProtocol,
		Title:   "Several Services lead to the port and call it by different protocols",
		Hides:   []string{"port-not-http"},
		Explain: servicesDisagree,
	},
	{
		Code: "port-not-http", Layer: LayerProtocol,
		Title:   "Istio takes the port for something else than HTTP, and Prometheus speaks HTTP/2 through it",
		Explain: portNotHTTP,
	},
}

// framingClasses are what HTTP/2 leaves behind where nobody speaks it.
var framingClasses = []Class{WrongFraming, ClosedAfterHandshake, ClosedEarly, ConnectionReset, VersionStatus, BadRequestStatus}

// protocolOf is what Istio makes of a Service's port: by appProtocol, else by the
// name up to the first hyphen; "" if it has to look at the bytes.
func protocolOf(p corev1.ServicePort) string {
	name := p.Name
	if p.AppProtocol != nil {
		switch name = *p.AppProtocol; name {
		case "kubernetes.io/h2c":
			return "http2"
		case "kubernetes.io/ws":
			return "http"
		case "kubernetes.io/wss":
			return "https"
		}
	}
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "grpc-web") {
		return "grpc-web"
	}
	name, _, _ = strings.Cut(name, "-")
	if slices.Contains([]string{"tcp", "udp", "grpc", "http", "http_proxy", "http2", "https", "tls", "mongo", "redis", "mysql"}, name) {
		return name
	}
	return ""
}

// speaksHTTP reports whether the proxy itself speaks HTTP on such a port.
func speaksHTTP(protocol string) bool {
	return slices.Contains([]string{"http", "http_proxy", "http2", "grpc", "grpc-web"}, protocol)
}

// isHTTP reports whether Istio takes a target's port for HTTP: if all Services
// say so, and one does.
func (f *facts) isHTTP(t *target) bool {
	owners := f.owners(t)
	return len(owners) > 0 && !slices.ContainsFunc(owners, func(p ownedPort) bool { return !speaksHTTP(protocolOf(p.port)) })
}

// portNames lists what Services call a target's port.
func (f *facts) portNames(t *target) string {
	var parts []string
	owners := f.owners(t)
	// Those that are not HTTP are what matters, so they are named first.
	slices.SortStableFunc(owners, func(a, b ownedPort) int { return cmp.Compare(rankOf(a), rankOf(b)) })
	for i, o := range owners {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(owners)-i))
			break
		}
		text := o.String()
		if o.port.AppProtocol != nil {
			text += fmt.Sprintf(" with appProtocol %q", *o.port.AppProtocol)
		}
		parts = append(parts, text)
	}
	return firstOf(strings.Join(parts, ", "), "no Service has a port that leads there")
}

func rankOf(p ownedPort) int {
	if speaksHTTP(protocolOf(p.port)) {
		return 1
	}
	return 0
}

// makeHTTP is the change that lets Istio take a port for HTTP.
func (f *facts) makeHTTP(t *target) string {
	for _, o := range f.owners(t) {
		if !speaksHTTP(protocolOf(o.port)) {
			return fmt.Sprintf("Service %s/%s: set appProtocol of port %q to http (or begin its name with http-, and use that in the monitor)", o.service.Namespace, o.service.Name, o.port.Name)
		}
	}
	return fmt.Sprintf("add to a Service of Namespace %s a port named http-metrics that leads to port %s of these pods", t.pod.Namespace, t.Port)
}

func (f *facts) noHTTP2(t *target) string {
	return fmt.Sprintf("%s; or %s.enableHttp2 to false", f.makeHTTP(t), t.monitor.String()+": set "+t.field)
}

// framingConfidence is certain only where the proxy ends TLS and passes the bytes
// on, which it does under STRICT.
func (f *facts) framingConfidence(t *target) reports.Confidence {
	c, _ := t.confidence(framingClasses...)
	if c == reports.Certain && f.mtls(t).Mode != observe.Strict {
		c = reports.Likely
	}
	return c
}

func servicesDisagree(f *facts) []finding {
	var found []finding
	for _, t := range f.meshedTroubled() {
		owners := f.owners(t)
		http := slices.ContainsFunc(owners, func(p ownedPort) bool { return speaksHTTP(protocolOf(p.port)) })
		if t.Scheme != "https" || !t.http2 || !http || f.isHTTP(t) {
			continue
		}
		c := f.framingConfidence(t)
		found = append(found, t.finding(c, fmt.Sprintf("port %s of pod %s is HTTP for one Service and not for another: %s; %s", t.Port, t.name, f.portNames(t), t.says()), f.noHTTP2(t)))
	}
	return found
}

func portNotHTTP(f *facts) []finding {
	var found []finding
	for _, t := range f.meshedTroubled() {
		if t.Scheme != "https" || !t.http2 || f.isHTTP(t) || len(f.o.Services) == 0 {
			continue
		}
		c := f.framingConfidence(t)
		found = append(found, t.finding(c, fmt.Sprintf("Istio takes port %s of pod %s for opaque TCP (%s), and Prometheus negotiates HTTP/2 through it; %s", t.Port, t.name, f.portNames(t), t.says()), f.noHTTP2(t)))
	}
	return found
}
