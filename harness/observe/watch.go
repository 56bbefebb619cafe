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

// Watch looks at the certificate files of every replica until each has been
// renewed twice and the first certificate has ended, or until limit has passed,
// and then reads what was scraped in between. The observation is the one that was
// made just before; the result is the same with the watch added.
func (o *Observer) Watch(ctx context.Context, before Observation, limit time.Duration) (Observation, error) {
	p := &pass{Observer: o, o: before}
	watch := &Watch{From: time.Now().UTC()}
	chain, roots := CertificateFiles(before)
	seen := map[string]string{} // serial last seen, by pod
	err := wait.For(ctx, fmt.Sprintf("%d rotations at every replica", Rotations), func(ctx context.Context) (bool, string, error) {
		for _, r := range before.Replicas {
			c, err := o.readCertificate(ctx, r.Pod, chain, roots)
			if err != nil {
				return false, "", err
			}
			if c.Serial != seen[r.Pod] {
				seen[r.Pod] = c.Serial
				watch.Certs = append(watch.Certs, Sighting{At: time.Now().UTC(), Pod: r.Pod, Certificate: *c})
			}
		}
		state := rotation(watch.Certs, before.Replicas, time.Now())
		if state.hopeless(watch.From.Add(limit)) {
			return false, state.text, wait.Stop(fmt.Errorf("within the %s that this run watches, no rotation can be seen", limit))
		}
		return state.done, state.text, nil
	}, wait.Timeout(limit), wait.Interval(watchInterval))
	watch.Ended = fmt.Sprintf("after %d rotations at every replica", Rotations)
	if err != nil {
		watch.Ended = err.Error()
	}
	p.o.Watch = watch
	p.readSpan(ctx, watch)
	p.sort()
	return p.o, ctx.Err()
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

// rotation says how far the replicas have come.
func rotation(sightings []Sighting, replicas []Replica, now time.Time) rotationState {
	s := rotationState{done: len(replicas) > 0}
	var texts []string
	for _, r := range replicas {
		var own []Certificate
		for _, sighting := range sightings {
			if sighting.Pod == r.Pod {
				own = append(own, sighting.Certificate)
			}
		}
		if len(own) == 0 {
			s.done = false
			texts = append(texts, r.Pod+" has no certificate")
			continue
		}
		first, last := own[0], own[len(own)-1]
		texts = append(texts, fmt.Sprintf("%s was renewed %d times, has serial %s, which ends at %s", r.Pod, len(own)-1, last.Serial, last.NotAfter.Format(time.DateTime)))
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
	var reads []func(context.Context)
	for _, r := range p.o.Replicas {
		reads = append(reads, func(ctx context.Context) {
			api, err := p.replica(r.Pod)
			var series []Series
			if err == nil {
				series, err = rawUp(ctx, api, watch.From, watch.To)
			}
			p.unread("the up samples of "+r.Pod+" over the watch", err)
			p.mu.Lock()
			defer p.mu.Unlock()
			watch.Up = append(watch.Up, ReplicaUp{Pod: r.Pod, Series: series})
		})
	}
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
	slices.SortFunc(watch.Up, func(a, b ReplicaUp) int { return strings.Compare(a.Pod, b.Pod) })
	slices.SortFunc(watch.Seen, func(a, b ProxyTraffic) int { return strings.Compare(a.Pod, b.Pod) })
}
