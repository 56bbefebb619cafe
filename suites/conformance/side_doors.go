package conformance

import (
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// door is a port that may serve metrics without mTLS, beside the one that is
// scraped.
type door struct{ pod, port, what string }

// doors lists those of the targets' pods and of the replicas.
func doors(o *subject, expected []observe.Expected) []door {
	var all []door
	seen := map[string]bool{}
	for _, e := range expected {
		if e.Pod == "" || !meshed(o, e) || seen[podName(e)] {
			continue
		}
		seen[podName(e)] = true
		all = append(all,
			door{podName(e), "15020", "the agent's, which may have the application's metrics merged into its own"},
			door{podName(e), "15090", "the proxy's own"})
	}
	for _, r := range o.Replicas {
		if o.Prometheus != nil {
			all = append(all, door{o.Prometheus.Namespace + "/" + r.Pod, "9090", "Prometheus' own, and with it everything that it has stored"})
		}
	}
	return all
}

// assessDoors tries each door: open says what to do with one that stands open.
func assessDoors(o *subject, f *finding, open func(d door, probe observe.Probe, a observe.Attempt)) {
	expected, _ := expect(o, f)
	if len(expected) == 0 {
		return
	}
	wantReplicas(o, f)
	for _, e := range expected {
		if e.Pod != "" && targetPod(o, e) == nil {
			f.Unclear("the pod %s was not seen, so it is open which ports it has", podName(e))
		}
	}
	for _, d := range doors(o, expected) {
		probe, ok := o.probe(observe.SideDoor, d.pod, d.port, "")
		if !ok || len(probe.Attempts) == 0 {
			f.Unclear("nobody tried port %s of %s", d.port, d.pod)
			continue
		}
		for _, a := range probe.Attempts {
			switch {
			case a.NotSent:
				f.Unclear("%s could not try port %s of %s: %s", probe.Via, d.port, d.pod, a.Error)
			case a.Answered && a.Code/100 == 2:
				open(d, probe, a)
			case a.Answered:
				f.Saw(probe.Via, d.pod, "port %s (%s) answers plain HTTP with %d", d.port, d.what, a.Code)
			default:
				f.Saw(probe.Via, d.pod, "port %s (%s) is closed: %s", d.port, d.what, strings.TrimSpace(addresses.ReplaceAllString(a.Error, "")))
			}
		}
	}
}
