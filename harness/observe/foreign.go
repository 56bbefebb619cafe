package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// ProbeApp is the app label of the client that asks from inside the cluster, from
// outside the mesh: manifests/probe.
const ProbeApp = "mtls-scrape-probe"

// askAsForeigner has the client in the cluster, if there is one, ask every target
// with a certificate that has Prometheus' own name but is no kin of the mesh.
func (p *pass) askAsForeigner(ctx context.Context, targets []Expected) {
	i := slices.IndexFunc(p.o.Pods, func(pod corev1.Pod) bool {
		return pod.Labels["app"] == ProbeApp && pod.Status.Phase == corev1.PodRunning
	})
	if i < 0 {
		return // the checks that want it say that nobody asked
	}
	pod := p.o.Pods[i]
	argv := []string{"/probe", "-kind", ForeignCertificate, "-attempts", strconv.Itoa(attempts), "-timeout", "1500ms", "-uri", p.identity()}
	for _, t := range targets {
		argv = append(argv, "-url", t.URL)
	}
	printed, err := p.exec(ctx, pod.Namespace, pod.Name, pod.Spec.Containers[0].Name, argv...)
	if err == nil {
		var answers []struct {
			Probe
			URL string `json:"url"`
		}
		if err = json.Unmarshal([]byte(printed), &answers); err == nil {
			for _, a := range answers {
				a.Via = "the client in " + pod.Namespace + "/" + pod.Name
				if t := slices.IndexFunc(targets, func(t Expected) bool { return t.URL == a.URL }); t >= 0 {
					a.Pod, a.Port, a.Path = targets[t].Namespace+"/"+targets[t].Pod, targets[t].Port, targets[t].Path
					p.addProbe(a.Probe)
				}
			}
		}
	}
	p.unread("targets by way of the client in the cluster", err)
}

// identity is the SPIFFE ID that Prometheus' certificate should have.
func (p *pass) identity() string {
	account := "default"
	if p.o.Prometheus != nil && p.o.Prometheus.Spec.ServiceAccountName != "" {
		account = p.o.Prometheus.Spec.ServiceAccountName
	}
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", p.o.Mesh.TrustDomain, p.namespace, account)
}
