package diagnosis

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// capture is which traffic of a pod passes its proxy.
type capture struct {
	inbound, notInbound, outbound string // lists, "*" for all
	mode                          string // REDIRECT, TPROXY or NONE
	effective                     bool   // read from what istio-init was run with, not from annotations
}

func (c capture) String() string {
	return fmt.Sprintf("inbound ports %q without %q, mode %s", c.inbound, c.notInbound, firstOf(c.mode, "REDIRECT"))
}

// captureOf reads what istio-init did; where istio-cni did it, only the
// annotations are known.
func captureOf(pod *corev1.Pod) capture {
	c := capture{inbound: "*", outbound: "*", notInbound: pod.Annotations[annotation.SidecarTrafficExcludeInboundPorts.Name], mode: pod.Annotations[annotation.SidecarInterceptionMode.Name]}
	if v, ok := pod.Annotations[annotation.SidecarTrafficIncludeInboundPorts.Name]; ok {
		c.inbound = v
	}
	if v, ok := pod.Annotations[annotation.SidecarTrafficIncludeOutboundIPRanges.Name]; ok {
		c.outbound = v
	}
	for _, x := range pod.Spec.InitContainers {
		if x.Name != "istio-init" {
			continue
		}
		args := slices.Concat(x.Command, x.Args)
		c.effective = slices.Contains(args, "-b")
		for i := 0; i+1 < len(args); i++ {
			switch args[i] {
			case "-b":
				c.inbound = args[i+1]
			case "-d":
				c.notInbound = args[i+1]
			case "-i":
				c.outbound = args[i+1]
			}
		}
	}
	return c
}

// listed reports whether a list of ports, with commas between, has one.
func listed(list, port string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(s string) bool {
		s = strings.TrimSpace(s)
		return s == "*" || s == port
	})
}

// captureRules are about traffic of Prometheus that passes its own proxy.
var captureRules = []Rule{
	{
		Code: "prometheus-outbound-captured", Layer: LayerCapture,
		Title:   "Scrapes pass Prometheus' own proxy, which may answer them itself",
		Proof:   "whose user the connections from the Prometheus pod to its targets belong to: 1337 is the proxy",
		Explain: outboundCaptured,
	},
	{
		Code: "prometheus-inbound-captured", Layer: LayerCapture,
		Title:   "Requests to Prometheus pass its own proxy, which under STRICT refuses those without a certificate",
		Proof:   "whether plain http to port 9090 is answered from a pod outside the mesh",
		Hides:   []string{"prometheus-not-reachable"},
		Explain: inboundCaptured,
	},
	{
		Code: "prometheus-not-reachable", Layer: LayerOperator,
		Title:   "A replica of Prometheus did not answer when it was asked for its targets",
		Proof:   "the log of the replica, and whether port 9090 answers from inside its pod",
		Explain: notReachable,
	},
}

func outboundCaptured(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		if r.pod == nil || proxyOf(r.pod) == nil {
			continue
		}
		c := captureOf(r.pod)
		value, annotated := r.pod.Annotations[annotation.SidecarTrafficIncludeOutboundIPRanges.Name]
		remote := f.proxiedTo(r)
		change := fmt.Sprintf("%s: set spec.podMetadata.annotations.%s to \"\"", f.prometheus, annotation.SidecarTrafficIncludeOutboundIPRanges.Name)
		switch {
		case c.outbound == "" && remote == "" || c.mode == "NONE":
			continue
		case annotated && value == "":
			found = append(found, certain(r.about(), fmt.Sprintf("pod %s/%s has the annotation %s \"\", but %s", f.namespace, r.name, annotation.SidecarTrafficIncludeOutboundIPRanges.Name, firstOf(remote, "istio-init was run with -i "+c.outbound)),
				"upgrade Istio to 1.25 or later, or have istio-init do what istio-cni does: the empty annotation has no effect here"))
		default:
			x := certain(r.about(), fmt.Sprintf("pod %s/%s sends what it asks of %s through its own proxy: annotation %s %s%s", f.namespace, r.name, c.outbound, annotation.SidecarTrafficIncludeOutboundIPRanges.Name, annotationText(value, annotated), andText(remote)), change)
			// A scrape that passes the proxy works in most cases; that it is why a
			// target fails takes more.
			if !c.effective && remote == "" {
				x.confidence = reports.Likely
			}
			found = append(found, x)
		}
	}
	return found
}

// proxiedTo names a target that the proxy of a replica, rather than Prometheus,
// is connected to.
func (f *facts) proxiedTo(r *replica) string {
	if r.seen == nil || len(r.seen.Sockets) == 0 {
		return ""
	}
	targets := map[string]bool{}
	for _, t := range f.targets {
		// The replica's own address is that at which its agent asks for its health.
		if host, _, _ := net.SplitHostPort(t.Address); host != r.pod.Status.PodIP {
			targets[t.Address] = true
		}
	}
	proxy, _ := observe.SidecarOf(r.pod)
	for _, s := range r.seen.Sockets {
		if _, port, _ := net.SplitHostPort(s.Local); port == "15001" {
			return "the connection from " + s.Remote + " arrived at port 15001"
		}
		if int64(s.UID) == proxy.UID && targets[s.Remote] {
			return fmt.Sprintf("its proxy (user %d) is connected to the target %s", s.UID, s.Remote)
		}
	}
	return ""
}

// proxiedFrom names a connection into a replica that came to its proxy. One from
// 127.0.0.6 may as well be its agent's, which asks for Prometheus' health.
func proxiedFrom(r *replica) string {
	if r.seen == nil {
		return ""
	}
	for _, s := range r.seen.Sockets {
		if _, port, _ := net.SplitHostPort(s.Local); port == "15006" {
			return "the connection from " + s.Remote + " arrived at port 15006"
		}
	}
	return ""
}

// silence is why a replica did not answer.
func (f *facts) silence(r *replica) string {
	for _, what := range []string{"the API of ", "the targets of "} {
		if reason, unread := f.unread(what + r.name); unread {
			return reason
		}
	}
	return ""
}

func inboundCaptured(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		if r.pod == nil || proxyOf(r.pod) == nil {
			continue
		}
		c := captureOf(r.pod)
		value, annotated := r.pod.Annotations[annotation.SidecarTrafficIncludeInboundPorts.Name]
		source, silence := proxiedFrom(r), f.silence(r)
		asked := listed(c.inbound, "9090") && !listed(c.notInbound, "9090") && c.mode != "NONE"
		if !asked && source == "" {
			continue
		}
		x := certain(r.about(), fmt.Sprintf("the proxy of pod %s/%s takes what comes in on port 9090: annotation %s %s%s%s", f.namespace, r.name, annotation.SidecarTrafficIncludeInboundPorts.Name, annotationText(value, annotated), andText(source), andText(silence)),
			fmt.Sprintf("%s: set spec.podMetadata.annotations.%s to \"\"", f.prometheus, annotation.SidecarTrafficIncludeInboundPorts.Name))
		if annotated && value == "" {
			x.change = "upgrade Istio to 1.25 or later: the empty annotation has no effect here"
		}
		if !c.effective && source == "" {
			x.confidence = reports.Likely
		}
		if silence != "" {
			x.layer = LayerOperator // nothing that this replica knows could be seen
		}
		found = append(found, x)
	}
	return found
}

func notReachable(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		silence := f.silence(r)
		if silence == "" || r.pod == nil || !ready(r.pod) {
			continue
		}
		x := certain(r.about(), fmt.Sprintf("pod %s/%s is ready and could not be asked: %s", f.namespace, r.name, silence),
			"let the suite's account get pods/proxy, and Prometheus answer plain HTTP at port 9090")
		x.confidence = reports.Likely
		found = append(found, x)
	}
	return found
}

func annotationText(value string, there bool) string {
	if !there {
		return "is not there"
	}
	return fmt.Sprintf("is %q", value)
}

func andText(s string) string {
	if s == "" {
		return ""
	}
	return ", and " + s
}
