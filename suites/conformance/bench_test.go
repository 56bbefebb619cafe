package conformance

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// BenchmarkJudge judges a Prometheus with ten thousand targets by every check.
func BenchmarkJudge(b *testing.B) {
	o := good(b)
	grow(&o, 10_000)
	for b.Loop() {
		for _, c := range Catalogue() {
			c.Judge(o)
		}
	}
}

// grow adds as many pods to the first target's Service, each scraped and up.
func grow(o *observe.Observation, pods int) {
	e := firstTarget(o)
	model := *podOf(o, e.Pod)
	for i := range o.EndpointSlices {
		s := &o.EndpointSlices[i]
		if s.Labels[discoveryv1.LabelServiceName] != e.Service {
			continue
		}
		for n := range pods {
			ip := fmt.Sprintf("10.1.%d.%d", n/250, n%250)
			p := model
			p.Name, p.Status.PodIP = fmt.Sprintf("pod-%d", n), ip
			o.Pods = append(o.Pods, p)
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{ip}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: p.Name}})
			for j := range o.Replicas {
				growReplica(o, &o.Replicas[j], e, p.Name, ip+":"+e.Port)
			}
		}
		return
	}
}

func growReplica(o *observe.Observation, r *observe.Replica, e observe.Expected, pod, address string) {
	labels := map[string]string{"namespace": e.Namespace, "pod": pod, "instance": address}
	r.Targets = append(r.Targets, observe.Target{
		Pool: e.Pool, URL: "https://" + address + e.Path, Labels: labels, Health: "up", LastScrape: o.At, Interval: observe.Duration(2 * time.Second),
	})
	r.Guide = append(r.Guide, observe.Sample{Labels: labels, At: o.At})
	r.StartTimes = append(r.StartTimes, observe.Sample{Labels: labels, At: o.At})
	r.Up = append(r.Up, observe.Series{Labels: labels, Points: []observe.Point{{At: o.At, Value: 1}}})
}

func TestTenThousandTargetsAreJudgedAsTwoAre(t *testing.T) {
	o := good(t)
	grow(&o, 10_000)
	r := targetsUp.Judge(o)
	if r.Verdict != "pass" || len(r.Evidence) != reports.ShownEvidence+1 {
		t.Fatalf("%s with %d pieces of evidence: %s", r.Verdict, len(r.Evidence), r.Reason)
	}
	for i := range o.Replicas[0].Targets {
		o.Replicas[0].Targets[i].Health = "down"
	}
	r = targetsUp.Judge(o)
	if r.Verdict != "fail" || len(r.Reason) > 20_000 {
		t.Fatalf("%s with %d characters", r.Verdict, len(r.Reason))
	}
}
