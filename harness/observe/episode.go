package observe

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// Episode looks on while something is disrupted. The work carries out the
// disruption, undoes it, and tells when each step has taken effect. Afterwards
// the scrapes are given time to settle, and every sample since the beginning is
// read. That the disruption failed is part of what was seen. An episode that follows
// another begins where that one ended, so that no scrape is between them.
func (o *Observer) Episode(ctx context.Context, after time.Time, name, title string, settle time.Duration, work func(ctx context.Context, mark func(step string)) error) (Episode, error) {
	e := Episode{Disruption: name, Title: title}
	p := &pass{Observer: o}
	p.readTargetObjects(ctx)
	o.web = webOf(p.o.Prometheus)
	e.addPods(p.o, func(x *EpisodePod) { x.Before = true })
	if e.From = after; after.IsZero() {
		e.From = time.Now().UTC()
	}
	seen := p.sightCertificates(ctx)
	if err := work(ctx, func(step string) { e.Marks = append(e.Marks, Mark{At: time.Now().UTC(), Step: step}) }); err != nil {
		e.Error = err.Error()
	}
	e.Recovered, e.Settled = o.Anew().Settle(ctx, settle)
	e.Certs = seen()

	p = &pass{Observer: o}
	p.readTargetObjects(ctx)
	e.addPods(p.o, func(x *EpisodePod) { x.After = true })
	e.To = time.Now().UTC()
	var replicas []string
	for _, r := range Replicas(p.o) {
		replicas = append(replicas, r.Name)
	}
	e.Up = p.upOver(ctx, replicas, name, e.From, e.To)
	if len(p.o.Unread) > 0 && e.Error == "" {
		e.Error = p.o.Unread[0].What + ": " + p.o.Unread[0].Reason
	}
	return e, ctx.Err()
}

// addPods notes the pods behind the targets and of the replicas.
func (e *Episode) addPods(o Observation, set func(*EpisodePod)) {
	names := ExpectedPods(o)
	for _, r := range Replicas(o) {
		names = append(names, r.Namespace+"/"+r.Name)
	}
	for _, pod := range o.Pods {
		if !slices.Contains(names, pod.Namespace+"/"+pod.Name) {
			continue
		}
		i := slices.IndexFunc(e.Pods, func(x EpisodePod) bool { return x.UID == string(pod.UID) })
		if i < 0 {
			i = len(e.Pods)
			e.Pods = append(e.Pods, EpisodePod{Name: pod.Namespace + "/" + pod.Name, UID: string(pod.UID)})
		}
		if at, ready := becameReady(&pod); ready {
			e.Pods[i].Ready = at.UTC()
		}
		set(&e.Pods[i])
	}
}

// sightCertificates looks at the replicas' certificates every second until the
// result is asked for. A replica that cannot be looked at, since it is being
// restarted, is left out for that time.
func (p *pass) sightCertificates(ctx context.Context) (seen func() []Sighting) {
	ctx, cancel := context.WithCancel(ctx)
	chain, roots := CertificateFiles(p.o)
	var sightings []Sighting
	seenLast := map[string]time.Time{}
	var looking sync.WaitGroup
	looking.Go(func() {
		_ = wait.For(ctx, "the end of the episode", func(ctx context.Context) (bool, string, error) {
			for _, r := range Replicas(p.o) {
				c, err := p.readCertificate(ctx, r.Name, chain, roots)
				if err != nil {
					continue
				}
				now := time.Now().UTC()
				if last, ok := lastOf(sightings, r.Name); !ok || last.Certificate.Serial != c.Serial {
					sightings = append(sightings, Sighting{At: now, Pod: r.Name, Certificate: *c, Former: seenLast[r.Name]})
				}
				seenLast[r.Name] = now
			}
			return false, "", nil
		}, wait.Timeout(episodeTimeout), wait.Interval(watchInterval))
	})
	return func() []Sighting {
		cancel()
		looking.Wait()
		return sightings
	}
}

// episodeTimeout bounds an episode: the longest, a restart of Prometheus, was
// measured at 25 s.
const episodeTimeout = 10 * time.Minute
