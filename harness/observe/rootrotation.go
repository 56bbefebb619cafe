package observe

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// RootRotation is what was seen while the mesh changed its root of trust.
type RootRotation struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	OldRoots []string  `json:"oldRoots"` // SHA-256 of each, as in the files before
	NewRoot  string    `json:"newRoot"`  // SHA-256
	Marks    []Mark    `json:"marks"`
	// Error is why a step was not made, or did not reach everybody.
	Error string `json:"error,omitempty"`
	// Certs are what the replicas' files held, from step to step.
	Certs []Sighting `json:"certificates"`
	// Before and After are requests with the certificate that was kept from the old
	// root, before the rotation and after it. Twin are requests with the certificate
	// that the same workload has after it.
	Before []Probe `json:"before"`
	After  []Probe `json:"after"`
	Twin   []Probe `json:"twin"`
	// Proxies are the targets' counters before and after the probes After.
	Proxies []Proxy     `json:"proxies"`
	Up      []ReplicaUp `json:"up"`
}

// RootStep is a step of a rotation, and what it is to bring about.
type RootStep struct {
	Name   string
	Apply  func(ctx context.Context) error
	Roots  []*x509.Certificate // which every replica and every target then trusts
	Signer *x509.Certificate   // below which the replicas' certificates then are; nil for any
}

// stepTimeout bounds the way of a step to every sidecar. The longest of them is
// that to the next certificate, for which short lifetimes are asked.
const stepTimeout = time.Minute

// keepCertificate has the workload of the mesh keep the certificate that it has,
// so that it can be shown again after a rotation.
func (p *pass) keepCertificate(ctx context.Context) error {
	member := p.clientPod(MemberApp)
	if member == nil {
		return fmt.Errorf("there is no running pod with the label app=%s that could keep a certificate", MemberApp)
	}
	_, err := p.exec(ctx, member.Namespace, member.Name, member.Spec.Containers[0].Name, "/probe", "keep", memberCertificates, keptCertificates)
	return err
}

// RootRotation makes the steps, each when the one before has reached every replica
// and every target, and looks on. That a step never gets there is part of what was
// seen; the steps after it are not made.
func (o *Observer) RootRotation(ctx context.Context, before Observation, steps []RootStep, mark func(step string)) (*RootRotation, error) {
	p := &pass{Observer: o, o: before}
	p.o.Unread = nil
	targets := p.probed()
	r := &RootRotation{From: time.Now().UTC()}
	if len(steps) > 0 {
		r.NewRoot = fingerprints(steps[len(steps)-1].Roots)[0]
	}
	for _, x := range before.Replicas {
		if x.Certificate != nil {
			r.OldRoots = x.Certificate.Roots
		}
	}
	err := p.keepCertificate(ctx)
	if err == nil {
		r.Before, err = p.askAsMember(ctx, OldRoot, targets, attempts, keptCertificates)
	}
	for _, s := range steps {
		if err != nil {
			break
		}
		if err = s.Apply(ctx); err == nil {
			mark(s.Name)
			err = p.awaitStep(ctx, s, targets, r)
		}
	}
	if err != nil {
		r.Error = err.Error()
	} else {
		p.askWithOldRoot(ctx, targets, r)
	}
	p.awaitTwin(ctx, targets, time.Now().UTC())
	r.To = time.Now().UTC()
	r.Up = p.upOver(ctx, namesOf(before.Replicas), "the rotation of the root", r.From, r.To)
	if r.Error == "" && len(p.o.Unread) > 0 {
		r.Error = p.o.Unread[0].What + " could not be read: " + p.o.Unread[0].Reason
	}
	return r, ctx.Err()
}

// awaitStep waits until every replica's files and every target's proxy are as a
// step wants them.
func (p *pass) awaitStep(ctx context.Context, s RootStep, targets []Expected, r *RootRotation) error {
	chain, roots := CertificateFiles(p.o)
	wanted := slices.Sorted(slices.Values(fingerprints(s.Roots)))
	return wait.For(ctx, "every replica and target to be as the step "+s.Name+" wants it", func(ctx context.Context) (bool, string, error) {
		var waiting []string
		for _, x := range p.o.Replicas {
			c, err := p.readCertificate(ctx, x.Pod, chain, roots)
			if err != nil {
				return false, "", err
			}
			if last, ok := lastOf(r.Certs, x.Pod); !ok || last.Certificate.Serial != c.Serial || !slices.Equal(last.Certificate.Roots, c.Roots) {
				r.Certs = append(r.Certs, Sighting{At: time.Now().UTC(), Pod: x.Pod, Certificate: *c})
			}
			if !slices.Equal(wanted, slices.Sorted(slices.Values(c.Roots))) {
				waiting = append(waiting, fmt.Sprintf("%s has %d roots in %s, %d are wanted", x.Pod, len(c.Roots), roots, len(wanted)))
			}
			if s.Signer != nil && c.Issuer != s.Signer.Subject.String() {
				waiting = append(waiting, fmt.Sprintf("the certificate of %s is signed by %s", x.Pod, c.Issuer))
			}
		}
		for _, t := range targets {
			trusted, err := p.proxyRoots(ctx, t.Namespace, t.Pod)
			if err != nil {
				return false, "", err
			}
			if !slices.Equal(wanted, slices.Sorted(slices.Values(trusted))) {
				waiting = append(waiting, fmt.Sprintf("the proxy of %s/%s trusts %d roots, or others than the %d that are wanted", t.Namespace, t.Pod, len(trusted), len(wanted)))
			}
		}
		return len(waiting) == 0, strings.Join(waiting, "; "), nil
	}, wait.Timeout(stepTimeout), wait.Interval(500*time.Millisecond))
}

// askWithOldRoot shows the targets the certificate that was kept, and beside it
// the one that the same workload has now.
func (p *pass) askWithOldRoot(ctx context.Context, targets []Expected, r *RootRotation) {
	proxies := p.proxiesBefore(ctx, targets)
	var err error
	r.After, err = p.askAsMember(ctx, OldRoot, targets, attempts, keptCertificates)
	p.unread("targets with a certificate of the old root", err)
	r.Twin, err = p.askUntilServed(ctx, targets)
	p.unread("targets with a certificate of the new root", err)
	for name, proxy := range proxies {
		namespace, pod, _ := strings.Cut(name, "/")
		proxy.After, err = p.counters(ctx, namespace, pod)
		p.unread("the TLS counters of the proxy of "+name+" after the probes", err)
		r.Proxies = append(r.Proxies, *proxy)
	}
	slices.SortFunc(r.Proxies, func(a, b Proxy) int { return strings.Compare(a.Pod, b.Pod) })
}

// twinTimeout is how long the workload's own certificate may take to be renewed after
// those of the replicas and the targets were: the pods learn of new roots each at their
// own pace, which is that of the kubelet.
const twinTimeout = 15 * time.Second

// askUntilServed shows the targets the certificate that the workload has now, until all
// of them serve it or its time is up. What they said last counts.
func (p *pass) askUntilServed(ctx context.Context, targets []Expected) (probes []Probe, err error) {
	_ = wait.For(ctx, "every target to serve a workload of the mesh with its new certificate", func(ctx context.Context) (bool, string, error) {
		if probes, err = p.askAsMember(ctx, OtherIdentity, targets, attempts, memberCertificates); err != nil {
			return false, "", err
		}
		var waiting []string
		for _, t := range targets {
			if !slices.ContainsFunc(probes, func(x Probe) bool { return x.served(t) }) {
				waiting = append(waiting, t.Namespace+"/"+t.Pod)
			}
		}
		return len(waiting) == 0, "not served by " + strings.Join(waiting, ", "), nil
	}, wait.Timeout(twinTimeout), wait.Interval(time.Second))
	return probes, err
}

// served reports whether a target answered at least one request of the probe.
func (x Probe) served(t Expected) bool {
	return x.Pod == t.Namespace+"/"+t.Pod && x.Port == t.Port && x.Path == t.Path &&
		slices.ContainsFunc(x.Attempts, func(a Attempt) bool { return a.Answered && a.Code == http.StatusOK })
}
