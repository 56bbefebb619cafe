package conformance

import (
	"net"
	"regexp"
	"slices"
	"strings"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// trafficNotIntercepted asks the kernel whose connections lead to the targets. The
// two annotations only say what somebody wished: with some installations an empty
// one is dropped on its way to the pod, and a scrape that passes Prometheus' own
// proxy may be answered by that proxy.
var trafficNotIntercepted = Check{
	ID:      "traffic-not-intercepted",
	Title:   "Prometheus scrapes and is reached without its own proxy in between",
	Profile: ProfileSetup,
	Level:   reports.Core,
	Reads:   reads("the certificate files of ", "the targets of "),
	Assess: func(o *subject, f *finding) {
		expected, _ := expect(o, f)
		if len(expected) == 0 {
			return
		}
		wantReplicas(o, f)
		if !o.May(cluster.Exec) {
			f.withheld(cluster.Exec, "the connections of Prometheus' pods were not looked at")
			return
		}
		for _, r := range o.Replicas {
			pod := replicaPod(o, r)
			proxy, ok := observe.SidecarOf(pod)
			switch {
			case pod == nil:
				f.Unclear("the pod of %s was not seen", r.Pod)
				continue
			case !ok:
				f.Unclear("%s has no proxy, so there is nothing that could intercept", r.Pod)
				continue
			}
			assessInbound(o, r, pod, f)
			if !unread(o, "the certificate files of "+r.Pod) {
				assessOutbound(r, pod, proxy, o.of(r, expected), f)
			}
		}
	},
}

// assessOutbound: there are connections to targets that Prometheus itself opened,
// none that the proxy did, and none reached the port to which traffic is
// redirected. Not every target has one at every moment: some servers close theirs
// after each answer, and a proxy does for a while when its policy was changed.
func assessOutbound(r observe.Replica, pod *corev1.Pod, proxy observe.Sidecar, expected []observe.Expected, f *finding) {
	byRemote := map[string][]observe.Socket{}
	for _, s := range r.Sockets {
		byRemote[s.Remote] = append(byRemote[s.Remote], s)
		if _, port, _ := net.SplitHostPort(s.Local); port == "15001" {
			f.Fail("%s: the connection from %s arrived at port 15001: its outbound traffic is redirected to its proxy%s", r.Pod, s.Remote, wish(pod, annotation.SidecarTrafficIncludeOutboundIPRanges.Name))
			return
		}
	}
	addresses, direct := addressesOf(pod, expected), 0
	for address := range addresses {
		for _, s := range byRemote[address] {
			if int64(s.UID) == proxy.UID {
				f.Fail("%s: the connection to the target %s belongs to its proxy (user %d), not to Prometheus%s", r.Pod, address, s.UID, wish(pod, annotation.SidecarTrafficIncludeOutboundIPRanges.Name))
				return
			}
		}
		if len(byRemote[address]) > 0 {
			direct++
		}
	}
	if direct == 0 {
		f.Unclear("%s has no open connection to any of its %d targets, so it is open who makes them", r.Pod, len(addresses))
		return
	}
	f.Saw(sourceSockets, r.Pod, "open connections to %d of %d targets, none of them the proxy's (user %d), none at port 15001%s", direct, len(addresses), proxy.UID, wish(pod, annotation.SidecarTrafficIncludeOutboundIPRanges.Name))
}

// addressesOf are those of the targets, without the replica's own: its agent
// connects there too, to ask for its health.
func addressesOf(pod *corev1.Pod, expected []observe.Expected) map[string]bool {
	addresses := map[string]bool{}
	for _, e := range expected {
		if host, _, _ := net.SplitHostPort(e.Address); host != pod.Status.PodIP {
			addresses[e.Address] = true
		}
	}
	return addresses
}

// assessInbound: whoever reaches Prometheus reaches it, and not its proxy first.
// In a STRICT mesh a plain answer proves it, since a proxy would have refused.
func assessInbound(o *subject, r observe.Replica, pod *corev1.Pod, f *finding) {
	mode := observe.EffectiveMTLS(o.Observation, pod.Namespace, pod.Labels, webPort)
	for _, u := range o.Unread {
		if u.What == "the targets of "+r.Pod && mode.Mode == observe.Strict && refusedPlain.MatchString(u.Reason) {
			f.Fail("%s does not answer plain HTTP (%s): its inbound traffic is redirected to its proxy, which is STRICT from %s%s", r.Pod, u.Reason, mode.From, wish(pod, annotation.SidecarTrafficIncludeInboundPorts.Name))
			return
		}
	}
	for _, s := range r.Sockets {
		// A connection from 127.0.0.6 proves nothing: so the proxy hands on what it took
		// in, and so its agent asks for Prometheus' health in the kubelet's place.
		if _, port, _ := net.SplitHostPort(s.Local); port == "15006" {
			f.Fail("%s: the connection from %s arrived at port 15006: its inbound traffic is redirected to its proxy%s", r.Pod, s.Remote, wish(pod, annotation.SidecarTrafficIncludeInboundPorts.Name))
			return
		}
	}
	direct := slices.ContainsFunc(r.Sockets, func(s observe.Socket) bool {
		host, _, _ := net.SplitHostPort(s.Remote)
		_, port, _ := net.SplitHostPort(s.Local)
		return port == "9090" && host != pod.Status.PodIP && !net.ParseIP(host).IsLoopback()
	})
	answered := len(r.Targets) > 0 || r.Version != ""
	switch {
	case answered && mode.Mode == observe.Strict:
		f.Saw(sourceTargets, r.Pod, "it answered plain HTTP at port 9090, where its proxy would be STRICT from %s%s", mode.From, wish(pod, annotation.SidecarTrafficIncludeInboundPorts.Name))
	case direct:
		f.Saw(sourceSockets, r.Pod, "port 9090 has connections from outside the pod that did not pass the proxy%s", wish(pod, annotation.SidecarTrafficIncludeInboundPorts.Name))
	default:
		f.Unclear("whether %s is reached directly was not seen: the effective mTLS mode of port 9090 is %s, from %s, so that its proxy would let plain HTTP through as well%s", r.Pod, mode.Mode, mode.From, wish(pod, annotation.SidecarTrafficIncludeInboundPorts.Name))
	}
}

const (
	webPort = 9090
)

// refusedPlain is how a STRICT proxy ends a connection in plain text.
var refusedPlain = regexp.MustCompile(`connection reset by peer|EOF|broken pipe`)

// wish tells what the running pod's annotation asks for.
func wish(pod *corev1.Pod, annotation string) string {
	value, ok := pod.Annotations[annotation]
	name := annotation[strings.LastIndex(annotation, "/")+1:]
	if !ok {
		return "; the pod has no annotation " + name
	}
	return "; the pod's annotation " + name + " is \"" + value + "\""
}
