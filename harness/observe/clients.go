package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The app labels of the clients that ask from inside the cluster: manifests/probe.
const (
	StrangerApp = "mtls-scrape-probe"  // outside the mesh
	MemberApp   = "mtls-scrape-member" // a workload of the mesh with a name of its own
)

// Where the member has certificates: those that its sidecar writes now, and those
// that it kept. Both are told it by its manifest.
const (
	memberCertificates = "/etc/istio-output-certs"
	keptCertificates   = "/kept"
)

// clientTimeout bounds one request of a client: a target answers or refuses within
// milliseconds, and one that does neither must not hold up the pass.
const clientTimeout = 1500 * time.Millisecond

// clientPod finds the running pod of a client, or nil: not every subject has one. That
// beside the Prometheus comes first: another subject in the cluster may have one too.
func (p *pass) clientPod(app string) *corev1.Pod {
	var found *corev1.Pod
	for i := range p.o.Pods {
		pod := &p.o.Pods[i]
		if pod.Labels["app"] != app || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		if pod.Namespace == p.namespace {
			return pod
		}
		if found == nil {
			found = pod
		}
	}
	return found
}

// askFrom has a client ask every target, in the way that the flags say, and calls
// what it did by one of the kinds of probes.
func (p *pass) askFrom(ctx context.Context, client *corev1.Pod, kind string, targets []Expected, times int, flags ...string) ([]Probe, error) {
	argv := append([]string{"/probe", "-attempts", strconv.Itoa(times), "-timeout", clientTimeout.String()}, flags...)
	for _, t := range targets {
		argv = append(argv, "-url", t.URL)
	}
	printed, err := p.exec(ctx, client.Namespace, client.Name, client.Spec.Containers[0].Name, argv...)
	if err != nil {
		return nil, err
	}
	var answers []struct {
		Probe
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(printed), &answers); err != nil {
		return nil, fmt.Errorf("reading what the client in %s/%s printed: %w", client.Namespace, client.Name, err)
	}
	var probes []Probe
	for _, a := range answers {
		t := slices.IndexFunc(targets, func(t Expected) bool { return t.URL == a.URL })
		if t < 0 {
			continue
		}
		a.Kind, a.Via = kind, "the client in "+client.Namespace+"/"+client.Name
		a.Pod, a.Port, a.Path = targets[t].Namespace+"/"+targets[t].Pod, targets[t].Port, targets[t].Path
		probes = append(probes, a.Probe)
	}
	return probes, nil
}

// askAsForeigner has the client outside the mesh, if there is one, ask every
// target with a certificate that has Prometheus' own name but is no kin of the
// mesh.
func (p *pass) askAsForeigner(ctx context.Context, targets []Expected) {
	client := p.clientPod(StrangerApp)
	if client == nil {
		return // the checks that want it say that nobody asked
	}
	identity := ""
	seen := p.seen()
	for _, r := range Replicas(seen) {
		identity = IdentityOf(seen, &r)
	}
	if identity == "" {
		return
	}
	probes, err := p.askFrom(ctx, client, ForeignCertificate, targets, attempts, "-kind", ForeignCertificate, "-uri", identity)
	p.addProbe(probes...)
	p.unread("targets by way of the client in the cluster", err)
}

// askAsMember has the client of the mesh ask every target with its own
// certificate, or with the one that it kept.
func (p *pass) askAsMember(ctx context.Context, kind string, targets []Expected, times int, folder string) ([]Probe, error) {
	client := p.clientPod(MemberApp)
	if client == nil {
		return nil, fmt.Errorf("there is no running pod with the label app=%s that could ask", MemberApp)
	}
	return p.askFrom(ctx, client, kind, targets, times, "-kind", "mesh-certificate", "-cert", folder+"/cert-chain.pem", "-key", folder+"/key.pem")
}
