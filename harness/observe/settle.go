package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// How old what is known of the objects may be while somebody waits for scrapes:
// Prometheus is asked more often, since that costs one request, and not one for each
// collection. What is not well may be so for a change of the objects; that all is well
// is believed only of what they are now.
const (
	objectsAge     = 4 * time.Second
	objectsAgeWell = time.Second
)

// Settle waits until every replica has scraped every expected target with success
// since the observer was made, and has no others: one whose monitor was just removed
// stays for as long as the Operator and the kubelet take. It reports whether they
// have, and what it last saw. That it did not come to pass in time is no error here:
// what keeps a subject from settling is what the checks are for.
func (o *Observer) Settle(ctx context.Context, limit time.Duration) (settled bool, note string) {
	p := &pass{Observer: o}
	var expected []Expected
	var replicas []corev1.Pod
	read := func(ctx context.Context) {
		p.o = Observation{At: time.Now()}
		p.readTargetObjects(ctx)
		expected, replicas = ExpectedTargets(p.o), Replicas(p.o)
	}
	look := func(ctx context.Context) (bool, string, error) {
		up := 0
		var waiting []string
		for _, pod := range replicas {
			targets, err := p.targetsOf(ctx, pod.Name)
			if err != nil {
				return false, "", err
			}
			own := ForReplica(p.o, expected, pod.Name)
			for _, t := range targets {
				if !slices.ContainsFunc(own, t.meets) {
					waiting = append(waiting, fmt.Sprintf("%s has %s of %s, which nothing asks for", pod.Name, t.URL, t.Pool))
				}
			}
			for _, e := range own {
				i := slices.IndexFunc(targets, func(t Target) bool { return t.meets(e) })
				switch {
				case i < 0:
					waiting = append(waiting, fmt.Sprintf("%s does not have %s", pod.Name, e.URL))
				case !targets[i].LastScrape.After(o.since):
					waiting = append(waiting, fmt.Sprintf("%s has not scraped %s since", pod.Name, e.URL))
				case targets[i].Health != "up":
					waiting = append(waiting, fmt.Sprintf("%s: %s is %s %s", pod.Name, e.URL, targets[i].Health, targets[i].LastError))
				default:
					up++
				}
			}
		}
		note = fmt.Sprintf("%d targets up at %d replicas", up, len(replicas))
		return up > 0 && len(waiting) == 0, strings.Join(append(waiting, note), "; "), nil
	}
	err := wait.For(ctx, "every expected target to be up at every replica", func(ctx context.Context) (bool, string, error) {
		if time.Since(p.o.At) > objectsAge {
			read(ctx)
		}
		well, text, err := look(ctx)
		if !well || err != nil || time.Since(p.o.At) < objectsAgeWell {
			return well, text, err
		}
		read(ctx)
		return look(ctx)
	}, wait.Timeout(limit), wait.Interval(500*time.Millisecond))
	if err != nil {
		return false, err.Error()
	}
	return true, note
}

// Rescraped waits until every replica has scraped each target that it has, with
// success or without, since the observer was made: what it says of them is then of
// now.
func (o *Observer) Rescraped(ctx context.Context, limit time.Duration) (note string) {
	p := &pass{Observer: o}
	p.readTargetObjects(ctx)
	replicas := Replicas(p.o)
	err := wait.For(ctx, "every target to be scraped once more", func(ctx context.Context) (bool, string, error) {
		scraped := 0
		var waiting []string
		for _, pod := range replicas {
			targets, err := p.targetsOf(ctx, pod.Name)
			if err != nil {
				return false, "", err
			}
			for _, t := range targets {
				if t.LastScrape.After(o.since) {
					scraped++
				} else {
					waiting = append(waiting, fmt.Sprintf("%s has not scraped %s since", pod.Name, t.URL))
				}
			}
		}
		note = fmt.Sprintf("%d targets scraped by %d replicas", scraped, len(replicas))
		return len(waiting) == 0, strings.Join(append(waiting, note), "; "), nil
	}, wait.Timeout(limit), wait.Interval(500*time.Millisecond))
	if err != nil {
		return err.Error()
	}
	return note
}
