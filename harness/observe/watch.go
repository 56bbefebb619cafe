package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const (
	// Rotations is how many renewals make a rotation proven: the first could have
	// been under way when the watch began, the second was not.
	Rotations = 2
	// watchInterval is the pause between two looks at the files. A certificate is
	// there for ten seconds or more, so that none is overlooked.
	watchInterval = time.Second
)

// Watch looks at the certificate files of every replica, and at what the targets
// show in a handshake, until each certificate has been renewed twice and the first
// one has ended, or until limit has passed, and then reads what was scraped in
// between. Targets whose certificates outlive the limit are not waited for. The
// observation is the one that was made just before; the result is the same with
// the watch added.
func (o *Observer) Watch(ctx context.Context, before Observation, limit time.Duration) (Observation, error) {
	p := &pass{Observer: o, o: before}
	w := &watching{pass: p, Watch: &Watch{From: time.Now().UTC()}, targets: p.probed()}
	w.chain, w.roots = CertificateFiles(before)
	deadline := w.From.Add(limit)
	err := wait.For(ctx, fmt.Sprintf("%d rotations at every replica and target", Rotations), func(ctx context.Context) (bool, string, error) {
		if err := w.look(ctx); err != nil {
			return false, "", err
		}
		replicas, targets := w.states()
		text := replicas.text
		if targets.text != "" {
			text += "; " + targets.text
		}
		if replicas.hopeless(deadline) {
			return false, text, wait.Stop(fmt.Errorf("within the %s that this run watches, no rotation can be seen", limit))
		}
		return replicas.done && (targets.done || targets.hopeless(deadline)), text, nil
	}, wait.Timeout(limit), wait.Interval(watchInterval))
	w.Ended = fmt.Sprintf("after %d rotations at every replica", Rotations)
	if err != nil {
		w.Ended = err.Error()
	}
	p.o.Watch = w.Watch
	p.readSpan(ctx, w.Watch)
	p.sort()
	return p.o, ctx.Err()
}

// watching is a watch being made.
type watching struct {
	*pass
	*Watch
	chain, roots string // paths of the files
	targets      []Expected
	blind        bool // nobody can make a handshake with the targets
}

// look notes every certificate that was not there at the last look.
func (w *watching) look(ctx context.Context) error {
	for _, r := range w.o.Replicas {
		c, err := w.readCertificate(ctx, r.Pod, w.chain, w.roots)
		if err != nil {
			return err
		}
		if last, ok := lastOf(w.Certs, r.Pod); ok && last.Certificate.Serial == c.Serial {
			continue
		}
		s := Sighting{At: time.Now().UTC(), Pod: r.Pod, Certificate: *c}
		if s.Written, err = w.written(ctx, r.Pod); err != nil {
			return err
		}
		if proxied(w.o, r.Pod) {
			used, err := w.proxyCertificates(ctx, w.namespace, r.Pod)
			if err != nil {
				return err
			}
			if len(used) == 1 {
				s.Proxy = used[0].Serial
			}
		}
		w.Certs = append(w.Certs, s)
	}
	return w.lookAtTargets(ctx)
}

// lookAtTargets makes a handshake with every target, which takes no certificate:
// the target shows its own before it asks for the client's.
func (w *watching) lookAtTargets(ctx context.Context) error {
	stranger := w.clientPod(StrangerApp)
	if stranger == nil || len(w.targets) == 0 || w.blind {
		return nil // the check that wants it says that nobody looked
	}
	probes, err := w.askFrom(ctx, stranger, NoCertificate, w.targets, 1, "-kind", NoCertificate)
	if err != nil {
		w.blind = true
		w.unread("the certificates of the targets by way of the client in the cluster", err)
		return ctx.Err()
	}
	for _, x := range probes {
		for _, a := range x.Attempts {
			last, ok := lastOf(w.Shown, x.Pod)
			if a.PeerSerial == "" || ok && last.Certificate.Serial == a.PeerSerial {
				continue
			}
			w.Shown = append(w.Shown, Sighting{At: x.Started, Pod: x.Pod, Certificate: Certificate{
				Serial: a.PeerSerial, URIs: []string{a.PeerURI}, NotBefore: a.PeerStarts, NotAfter: a.PeerEnds,
			}})
		}
	}
	return nil
}

// states are how far the replicas and the targets have come.
func (w *watching) states() (replicas, targets rotationState) {
	replicas = rotation(w.Certs, namesOf(w.o.Replicas), time.Now())
	var names []string
	for _, s := range w.Shown {
		if !slices.Contains(names, s.Pod) {
			names = append(names, s.Pod)
		}
	}
	targets = rotation(w.Shown, names, time.Now())
	targets.done = targets.done || len(names) == 0 // none of them shows one
	return replicas, targets
}

// lastOf is the newest sighting of a pod's certificate.
func lastOf(all []Sighting, pod string) (Sighting, bool) {
	for _, s := range slices.Backward(all) {
		if s.Pod == pod {
			return s, true
		}
	}
	return Sighting{}, false
}

// rotationState is how far a rotation has come.
type rotationState struct {
	done bool
	text string
	next time.Time // when the youngest certificate that has not been renewed ends
}

// hopeless reports whether waiting until the deadline cannot bring a rotation:
// a certificate that has not been renewed once would hold beyond it.
func (s rotationState) hopeless(deadline time.Time) bool {
	return !s.next.IsZero() && s.next.After(deadline)
}

// rotation says how far pods have come.
func rotation(sightings []Sighting, pods []string, now time.Time) rotationState {
	s := rotationState{done: len(pods) > 0}
	var texts []string
	for _, pod := range pods {
		var own []Certificate
		for _, sighting := range sightings {
			if sighting.Pod == pod {
				own = append(own, sighting.Certificate)
			}
		}
		if len(own) == 0 {
			s.done = false
			texts = append(texts, pod+" has no certificate")
			continue
		}
		first, last := own[0], own[len(own)-1]
		texts = append(texts, fmt.Sprintf("%s was renewed %d times, has serial %s, which ends at %s", pod, len(own)-1, last.Serial, last.NotAfter.Format(time.DateTime)))
		if len(own)-1 < Rotations || !now.After(first.NotAfter) {
			s.done = false
		}
		if len(own) == 1 && last.NotAfter.After(s.next) {
			s.next = last.NotAfter
		}
	}
	s.text = strings.Join(texts, "; ")
	return s
}

// readSpan reads what the replicas stored and what the targets' proxies logged
// over the span, once every replica has scraped once more.
func (p *pass) readSpan(ctx context.Context, watch *Watch) {
	targets := p.probed()
	p.awaitTwin(ctx, targets, time.Now())
	watch.To = time.Now().UTC()
	watch.Up = p.upOver(ctx, namesOf(p.o.Replicas), "the watch", watch.From, watch.To)
	var reads []func(context.Context)
	for _, t := range targets {
		name := t.Namespace + "/" + t.Pod
		reads = append(reads, func(ctx context.Context) {
			requests, err := p.accessLog(ctx, t.Namespace, t.Pod, watch.From)
			p.unread("the access log of the proxy of "+name+" over the watch", err)
			p.mu.Lock()
			defer p.mu.Unlock()
			watch.Seen = append(watch.Seen, ProxyTraffic{Pod: name, Requests: requests})
		})
	}
	each(ctx, reads...)
	slices.SortFunc(watch.Seen, func(a, b ProxyTraffic) int { return strings.Compare(a.Pod, b.Pod) })
}
