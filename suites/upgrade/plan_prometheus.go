package upgrade

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// prometheusName is that of the guide's Prometheus object.
const prometheusName = "default"

// prometheus is the two versions of Prometheus.
type prometheus struct{ from, to monitoring.Release }

// ofPrometheus has each replica replaced by itself, in a step of its own, and not by a
// roll of the StatefulSet: with a pod goes its volume, so after a roll nobody would have
// stored what was scraped while the other replica was away.
func (s subject) ofPrometheus() []move {
	way := func(stage Stage, was, becomes monitoring.Release) []move {
		title := fmt.Sprintf("the Prometheus object goes from %s to %s, its pods stay", was.Version, becomes.Version)
		object := s.move(stage, objectStep, title, func(ctx context.Context) error {
			return monitoring.Offer(ctx, s.client, s.object(), becomes)
		})
		return append([]move{object}, s.replicasAnew(stage, "of "+becomes.Version)...)
	}
	forward, back := way(Forward, s.prometheus.from, s.prometheus.to), way(Back, s.prometheus.to, s.prometheus.from)
	forward[0], back[0] = s.spoilt(forward[0]), s.mended(back[0])
	moves := append([]move{s.nothing()}, forward...)
	moves = append(moves, back...)
	return append(moves, s.move(Back, "own-strategy", "the StatefulSet replaces pods by itself again, and has none to replace", func(ctx context.Context) error {
		return monitoring.Roll(ctx, s.client, s.object(), s.prometheus.from)
	}))
}

// replicasAnew are the steps that make one replica after the other anew, and how; after
// the last of them rotations are watched.
func (s subject) replicasAnew(stage Stage, how string) []move {
	first := s.replica(stage, firstReplica, "the first replica is made anew, "+how, 0)
	second := s.replica(stage, "second-replica", "the second replica is made anew, "+how, 1)
	second.watch = true
	return []move{first, second}
}

func (s subject) object() types.NamespacedName {
	return types.NamespacedName{Namespace: s.namespace, Name: prometheusName}
}
