package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// applicationRules are about what is behind the target's proxy.
var applicationRules = []Rule{
	{
		Code: "application-loopback-only", Layer: LayerApplication,
		Title:   "The application listens on localhost, and its proxy asks it at the pod's address",
		Hides:   []string{"application-not-listening", "application-error"},
		Explain: loopbackOnly,
	},
	{
		Code: "application-not-listening", Layer: LayerApplication,
		Title:   "Nothing listens on the port that is scraped",
		Proof:   "whether the application answers when it is asked from inside its pod",
		Hides:   []string{"application-error"},
		Explain: notListening,
	},
	{
		Code: "metrics-path-wrong", Layer: LayerApplication,
		Title:   "The application has no metrics at that path",
		Explain: metricsPathWrong,
	},
	{
		Code: "application-denies", Layer: LayerApplication,
		Title:   "The application itself asks for credentials",
		Proof:   "the body and the headers of the answer: a policy of the mesh says \"RBAC: access denied\"",
		Explain: applicationDenies,
	},
	{
		Code: "application-error", Layer: LayerApplication,
		Title:   "The application, or the proxy before it, answers with an error",
		Proof:   "the flags and details in the access log of the target's proxy: via_upstream is the application's own answer",
		Explain: applicationError,
	},
	{
		Code: "application-slow", Layer: LayerApplication,
		Title:   "The application takes longer than the scrape may",
		Proof:   "whether the request is in the access log of the target's proxy: then it arrived",
		Hides:   []string{"network-blocked"},
		Explain: applicationSlow,
	},
	{
		Code: "network-blocked", Layer: LayerApplication,
		Title:   "Packets do not get from Prometheus to the target",
		Proof:   "whether the request is in the access log of the target's proxy: then it did arrive",
		Explain: networkBlocked,
	},
	{
		Code: "application-restarting", Layer: LayerApplication,
		Title:   "The application keeps ending",
		Proof:   "whether failed scrapes and restarts coincide",
		Explain: applicationRestarting,
	},
}

// failing calls with the targets whose errors are of one of the classes.
func (f *facts) failing(call func(*target), classes ...Class) {
	for _, t := range f.targets {
		if slices.Contains(classes, t.class) {
			call(t)
		}
	}
}

// application names what is behind the proxy of a target, by what made its pod.
func (t *target) application() string {
	if t.pod == nil {
		return "the application at " + t.Address
	}
	return "the application of " + ownerOf(t.pod)
}

// unconnected is the log line of a proxy that could not connect to its own
// application.
func (f *facts) unconnected(t *target) *observe.Request {
	return f.logged(t, func(r observe.Request) bool {
		return slices.Contains(strings.Split(r.Flags, ","), "UF") || strings.Contains(r.Details, "connection_failure") || strings.Contains(r.Details, "delayed_connect_error")
	})
}

// answersInside reports whether the application answered from inside its pod,
// where it is asked at localhost.
func (f *facts) answersInside(t *target) bool {
	return slices.ContainsFunc(f.o.Direct, func(d observe.Direct) bool { return d.Pod == t.name && len(d.StartTimes) > 0 })
}

func loopbackOnly(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		if !f.answersInside(t) {
			return
		}
		x := t.finding(reports.Likely, fmt.Sprintf("the application in pod %s answers on port %s from inside its pod only; %s", t.name, t.Port, t.says()),
			t.application()+": listen on 0.0.0.0 (or the pod's address) instead of 127.0.0.1")
		if r := f.unconnected(t); r != nil {
			x.seen += fmt.Sprintf("; its proxy logs %d %s %s", r.Code, r.Flags, r.Details)
			x.confidence = reports.Certain
		}
		if t.class == ConnectionRefused {
			x.confidence = reports.Certain
		}
		found = append(found, x)
	}, UnavailableStatus, ConnectionRefused)
	return found
}

func notListening(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		if f.answersInside(t) {
			return
		}
		r := f.unconnected(t)
		if t.class == UnavailableStatus && r == nil {
			return
		}
		x := t.finding(reports.Likely, t.says(), fmt.Sprintf("%s: listen on port %s, or let the port of the Service lead to the one that it listens on (%s)", t.application(), t.Port, declaredPorts(t.pod)))
		if r != nil {
			x.seen += fmt.Sprintf("; its proxy could not connect to it: %d %s %s", r.Code, r.Flags, r.Details)
			if reason, unread := f.unread("the application in " + t.name); unread {
				x.seen += "; nor did it answer from inside its pod: " + reason
				x.confidence = reports.Certain
			}
		}
		found = append(found, x)
	}, UnavailableStatus, ConnectionRefused)
	return found
}

func declaredPorts(pod *corev1.Pod) string {
	var ports []string
	for _, c := range allContainers(pod) {
		for _, p := range c.Ports {
			if c.Name != proxyName {
				ports = append(ports, fmt.Sprintf("%s declares %d", c.Name, p.ContainerPort))
			}
		}
	}
	return firstOf(strings.Join(ports, ", "), "it declares none")
}

func metricsPathWrong(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		change := t.at("path") + " to the path at which the application serves metrics"
		if t.pod != nil {
			if p := t.pod.Annotations["prometheus.io/path"]; p != "" && p != t.Path && p != "/stats/prometheus" {
				change = t.at("path") + " to " + p + ", which the pod's own annotation prometheus.io/path names"
			}
		}
		found = append(found, t.finding(reports.Certain, fmt.Sprintf("%s asks for %s; %s", t.monitor, t.Path, t.says()), change))
	}, NotFoundStatus)
	return found
}

func applicationDenies(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		x := t.finding(reports.Possible, t.says(), t.at("authorization")+", basicAuth or oauth2 to credentials that the application accepts")
		if r := f.logged(t, func(r observe.Request) bool { return r.Code == 401 || r.Code == 403 }); r != nil && strings.Contains(r.Details, "via_upstream") {
			x.seen += fmt.Sprintf("; the target's proxy logs %d via_upstream: the application's own answer", r.Code)
			x.confidence = reports.Certain
		}
		found = append(found, x)
	}, DeniedStatus)
	return found
}

func applicationError(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		x := t.finding(reports.Likely, t.says(), "see the log of "+t.application())
		if r := f.logged(t, func(r observe.Request) bool { return r.Code >= 400 }); r != nil {
			x.seen += fmt.Sprintf("; the target's proxy logs %d %s %s", r.Code, r.Flags, r.Details)
			if strings.Contains(r.Details, "via_upstream") {
				x.confidence = reports.Certain
			}
		}
		found = append(found, x)
	}, UnavailableStatus, OtherStatus, BadRequestStatus)
	return found
}

func applicationSlow(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		x := t.finding(reports.Possible, t.says(), t.at("scrapeTimeout")+" (and interval) to more than the application needs, or let it answer sooner")
		if r := f.logged(t, func(r observe.Request) bool { return r.Code == 0 || strings.Contains(r.Flags, "DC") }); r != nil && r.Peer != "" {
			x.seen += fmt.Sprintf("; the request arrived: the target's proxy logs %d %s %s", r.Code, r.Flags, r.Details)
			x.confidence = reports.Certain
		}
		found = append(found, x)
	}, TimedOut)
	return found
}

func networkBlocked(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		c := reports.Possible
		if t.class == Unreachable {
			c = reports.Likely
		}
		found = append(found, t.finding(c, t.says(), fmt.Sprintf("let a NetworkPolicy of Namespace %s admit port %s from the pods of %s, and look at the nodes' network", t.Namespace, t.Port, f.prometheus)))
	}, TimedOut, Unreachable)
	return found
}

func applicationRestarting(f *facts) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.pod == nil || !t.troubled() || !slices.Contains([]Class{ConnectionRefused, UnavailableStatus, ConnectionReset, ClosedEarly, TimedOut}, t.class) {
			continue
		}
		for _, s := range t.pod.Status.ContainerStatuses {
			if s.Name == proxyName || s.RestartCount == 0 {
				continue
			}
			if last := s.LastTerminationState.Terminated; last != nil && f.o.At.Sub(last.FinishedAt.Time).Minutes() < 10 {
				found = append(found, t.finding(reports.Likely, fmt.Sprintf("container %s of pod %s has restarted %d times, the last time %s after code %d %s; %s", s.Name, t.name, s.RestartCount, clock(last.FinishedAt.Time), last.ExitCode, last.Reason, t.says()),
					"repair what ends the container: see its previous log; for OOMKilled raise its memory limit"))
			}
		}
	}
	return found
}
