package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// subject is an observation, and what is looked up in it often. Looking a target's
// pod up in a list of ten thousand would take longer than everything else.
type subject struct {
	observe.Observation
	worked   bool
	expected []observe.Expected
	open     []observe.Open
	pods     map[string]*corev1.Pod
	targets  map[string]targetIndex
	up       map[string]seriesIndex[observe.Series]
	proxies  map[string]observe.Proxy
	probes   map[probeKey]observe.Probe
	direct   map[string]observe.Direct
	inquired map[string]bool // pods that were asked themselves
}

type probeKey struct{ kind, pod, port, path string }

// first makes an index of a list by a key. Of several with one key the first
// counts.
func first[K comparable, V any](all []V, key func(V) K) map[K]V {
	index := make(map[K]V, len(all))
	for _, x := range all {
		if _, ok := index[key(x)]; !ok {
			index[key(x)] = x
		}
	}
	return index
}

// pod finds a pod, or nil.
func (o *subject) pod(namespace, name string) *corev1.Pod {
	if o.pods == nil {
		o.pods = map[string]*corev1.Pod{}
		for i := range o.Pods {
			o.pods[o.Pods[i].Namespace+"/"+o.Pods[i].Name] = &o.Pods[i]
		}
	}
	return o.pods[namespace+"/"+name]
}

// targetsOf finds what a replica has for a target.
func (o *subject) targetsOf(r observe.Replica) targetIndex {
	if o.targets[r.Pod] == nil {
		if o.targets == nil {
			o.targets = map[string]targetIndex{}
		}
		o.targets[r.Pod] = indexTargets(r)
	}
	return o.targets[r.Pod]
}

// upOf finds the samples of up that a replica stored around the probes.
func (o *subject) upOf(r observe.Replica) seriesIndex[observe.Series] {
	if o.up[r.Pod] == nil {
		if o.up == nil {
			o.up = map[string]seriesIndex[observe.Series]{}
		}
		o.up[r.Pod] = indexSeries(r.Up, seriesLabels)
	}
	return o.up[r.Pod]
}

// proxy finds what a target's proxy said.
func (o *subject) proxy(pod string) (observe.Proxy, bool) {
	if o.proxies == nil {
		o.proxies = first(o.Proxies, func(p observe.Proxy) string { return p.Pod })
	}
	p, ok := o.proxies[pod]
	return p, ok
}

// probe finds a probe. Without a path, any path will do.
func (o *subject) probe(kind, pod, port, path string) (observe.Probe, bool) {
	if o.probes == nil {
		o.probes = first(o.Probes, func(p observe.Probe) probeKey { return probeKey{p.Kind, p.Pod, p.Port, p.Path} })
		for _, p := range o.Probes {
			o.probes[probeKey{p.Kind, p.Pod, p.Port, ""}] = p
		}
	}
	p, ok := o.probes[probeKey{kind, pod, port, path}]
	return p, ok
}

// startTimes are what the application of a target said of itself.
func (o *subject) startTimes(pod string) []float64 {
	if o.direct == nil {
		o.direct = first(o.Direct, func(d observe.Direct) string { return d.Pod })
	}
	return o.direct[pod].StartTimes
}

func (o *subject) expect() ([]observe.Expected, []observe.Open) {
	if !o.worked {
		o.worked = true
		o.expected, o.open = observe.Expect(o.Observation)
	}
	return o.expected, o.open
}

// expect returns the targets to judge. What of them cannot be worked out keeps the
// check from passing, and so does the lack of any.
func expect(o *subject, f *finding) ([]observe.Expected, []observe.Open) {
	expected, open := o.expect()
	for _, u := range open {
		f.Unclear("not every target can be worked out: %s", u.Reason)
	}
	if len(expected) == 0 && len(open) == 0 {
		f.Unclear("no target is expected: no monitor that the Prometheus selects selects anything that runs")
	}
	return expected, open
}

// of returns those of the targets that a replica must have: of a Prometheus with
// shards, each has a part.
func (o *subject) of(r observe.Replica, targets []observe.Expected) []observe.Expected {
	return observe.ForReplica(o.Observation, targets, r.Pod)
}

// scrapers are the replicas that must have a target.
func (o *subject) scrapers(e observe.Expected) []observe.Replica {
	var all []observe.Replica
	for _, r := range o.Replicas {
		if len(o.of(r, []observe.Expected{e})) > 0 {
			all = append(all, r)
		}
	}
	return all
}

// wantReplicas fails for each replica that is asked for and does not run.
func wantReplicas(o *subject, f *finding) {
	wantPods(o, len(o.Replicas), f)
}

func wantPods(o *subject, have int, f *finding) {
	if o.Prometheus == nil {
		f.Unclear("the Prometheus under test was not seen")
		return
	}
	want := 1
	for _, n := range []*int32{o.Prometheus.Spec.Replicas, o.Prometheus.Spec.Shards} {
		if n != nil {
			want *= int(*n)
		}
	}
	switch {
	case have != want:
		f.Fail("%d replicas of Prometheus run, %d are asked for%s", have, want, setWarnings(o))
	case want == 0:
		f.Unclear("Prometheus %s/%s has spec.replicas 0: nothing is asked to run", o.Prometheus.Namespace, o.Prometheus.Name)
	}
}

// setWarnings are the warnings about the StatefulSets that are to make the
// replicas: what keeps a pod from being made is told nowhere else.
func setWarnings(o *subject) string {
	text := ""
	for _, e := range o.Events {
		if e.Kind == "StatefulSet" && e.Type == "Warning" && isSet(o, e) && !strings.Contains(text, e.Message) {
			text += fmt.Sprintf("; StatefulSet %s/%s: %s: %s", e.Namespace, e.Name, e.Reason, e.Message)
		}
	}
	return text
}

// unread reports whether something could not be read. Judge says so and why; a
// check must only not take what it does not see for what is not there.
func unread(o *subject, what string) bool {
	return slices.ContainsFunc(o.Unread, func(u observe.Unread) bool { return u.What == what })
}

// replicaPod is the pod of a replica, or nil.
func replicaPod(o *subject, r observe.Replica) *corev1.Pod {
	if o.Prometheus == nil {
		return nil
	}
	return o.pod(o.Prometheus.Namespace, r.Pod)
}

// targetPod is the pod of a target, or nil.
func targetPod(o *subject, e observe.Expected) *corev1.Pod {
	return o.pod(e.Namespace, e.Pod)
}

// podName names the pod of a target, or the target if it is no pod.
func podName(e observe.Expected) string {
	if e.Pod == "" {
		return e.Address
	}
	return e.Namespace + "/" + e.Pod
}

// meshed reports whether a target has a proxy.
func meshed(o *subject, e observe.Expected) bool {
	_, ok := observe.SidecarOf(targetPod(o, e))
	return ok
}

// tlsTargets are what a check judges that is about scrapes over TLS, with every
// replica there to scrape them. It is not ok if no target is expected at all; that
// none of those expected is scraped over TLS is unclear, for the reason given.
func tlsTargets(o *subject, f *finding, so string) (targets []observe.Expected, ok bool) {
	expected, _ := expect(o, f)
	if len(expected) == 0 {
		return nil, false
	}
	wantReplicas(o, f)
	if targets = overTLS(expected); len(targets) == 0 {
		f.Unclear("no target is expected to be scraped over TLS%s", so)
	}
	return targets, true
}

// overTLS are the targets that are to be scraped through a proxy with a
// certificate, each pod, port and path once.
func overTLS(expected []observe.Expected) []observe.Expected {
	type place struct{ namespace, pod, port, path string }
	seen := map[place]bool{}
	var found []observe.Expected
	for _, e := range expected {
		p := place{e.Namespace, e.Pod, e.Port, e.Path}
		if e.Scheme == "https" && e.Pod != "" && !seen[p] {
			seen[p] = true
			found = append(found, e)
		}
	}
	return found
}

// sightingsOf are the certificates that were seen of a pod, in order.
func sightingsOf(all []observe.Sighting, pod string) []observe.Sighting {
	var own []observe.Sighting
	for _, s := range all {
		if s.Pod == pod {
			own = append(own, s)
		}
	}
	return own
}

// modeOf says which mutual TLS holds for a target's port, and who decided it.
func modeOf(o *subject, e observe.Expected) string {
	m := mtlsOf(o, e)
	return fmt.Sprintf("the effective mTLS mode of its port %s is %s, from %s", e.Port, m.Mode, m.From)
}

func mtlsOf(o *subject, e observe.Expected) observe.MTLS {
	port, _ := strconv.ParseUint(e.Port, 10, 32)
	var labels map[string]string
	if pod := targetPod(o, e); pod != nil {
		labels = pod.Labels
	}
	return observe.EffectiveMTLS(o.Observation, e.Namespace, labels, uint32(port))
}

// serial compares by value: some write serial numbers with leading zeros, some in
// capitals.
func serial(s string) string { return strings.ToLower(strings.TrimLeft(s, "0")) }

func isSet(o *subject, e observe.Event) bool {
	for _, s := range o.StatefulSets {
		if s.Namespace == e.Namespace && s.Name == e.Name {
			return true
		}
	}
	return false
}
