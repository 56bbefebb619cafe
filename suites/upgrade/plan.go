package upgrade

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
)

// tag is the revision tag that the namespace follows during a canary upgrade.
const tag = "mtls-scrape-upgrade"

// move is a step that can be made.
type move struct {
	Name
	change disrupt.Disruption
	watch  bool // for rotations, after it
}

// subject is what to upgrade, and who scrapes whom in it.
type subject struct {
	client     klient.Client
	kubeconfig string
	namespace  string       // of the targets and of Prometheus
	from, to   mesh.Release // of the control plane
	prometheus prometheus
	operator   operators
	mistake    *disrupt.Disruption // made on the way forward, if any
}

// versions are those that the upgrade which a check judges goes from and to; empty if
// nobody named any.
func (s subject) versions(check string) (from, to string) {
	switch check {
	case upgradePrometheus.ID:
		return s.prometheus.from.Version, s.prometheus.to.Version
	case upgradeOperator.ID:
		return s.operator.from.Version, s.operator.to.Version
	}
	return s.from.Version, s.to.Version
}

// canary is the newer control plane under a revision of its own, as in "1-31".
func (s subject) canary() mesh.Release {
	r := s.to
	r.Revision = strings.ReplaceAll(r.Version[:strings.LastIndex(r.Version, ".")], ".", "-")
	return r
}

// plan gives the moves of the upgrade that a check judges.
func (s subject) plan(check string) []move {
	switch check {
	case upgradeInPlace.ID:
		return s.inPlace()
	case upgradePrometheus.ID:
		return s.ofPrometheus()
	case upgradeOperator.ID:
		return s.ofOperator()
	}
	return s.byCanary()
}

func (s subject) inPlace() []move {
	plane := func(stage Stage, was, becomes mesh.Release) move {
		title := fmt.Sprintf("the control plane goes from Istio %s to %s", was.Version, becomes.Version) + rooted(becomes)
		return s.move(stage, "control-plane", title, func(ctx context.Context) error {
			return mesh.Upgrade(ctx, s.client, s.options(becomes))
		})
	}
	moves := []move{s.nothing(), s.spoilt(plane(Forward, s.from, s.to))}
	moves = append(moves, s.restarts(Forward, s.to)...)
	moves = append(moves, s.reunited(s.mended(plane(Back, s.to, s.from))))
	return append(moves, s.restarts(Back, s.from)...)
}

func (s subject) byCanary() []move {
	canary := s.canary()
	follow := func(stage Stage, r mesh.Release) move {
		return s.move(stage, "tag", "the tag that the namespace follows names Istio "+r.Version, func(ctx context.Context) error {
			if err := mesh.Tag(ctx, s.client, s.options(r), tag); err != nil {
				return err
			}
			return mesh.Inject(ctx, s.client, s.namespace, tag)
		})
	}
	moves := []move{
		s.nothing(), follow(Before, s.from),
		s.move(Forward, "second-control-plane", "a control plane of Istio "+canary.Version+" stands beside that of "+s.from.Version+rooted(canary), func(ctx context.Context) error {
			return mesh.Install(ctx, s.client, s.options(canary))
		}),
		s.spoilt(follow(Forward, canary)),
	}
	moves = append(moves, s.restarts(Forward, canary)...)
	moves = append(moves, s.mended(follow(Back, s.from)))
	moves = append(moves, s.restarts(Back, s.from)...)
	moves = append(moves, follow(Final, canary), s.move(Final, "pods", "every pod is made anew", func(ctx context.Context) error {
		// How each of them does alone was seen on the way forward.
		for _, m := range s.restarts(Final, canary) {
			if err := m.change.Apply(ctx); err != nil {
				return err
			}
		}
		return nil
	}))
	removal := s.move(Final, "old-control-plane", "the control plane of Istio "+s.from.Version+" is removed", func(ctx context.Context) error {
		return mesh.Remove(ctx, s.client, s.kubeconfig, s.from.Revision)
	})
	removal.watch = true
	return append(moves, removal)
}

// firstReplica is the step after which the two replicas have different proxies.
const firstReplica = "first-replica"

// restarts have the pods made anew, which then get the proxy of a release. The order
// brings about every pair of proxies: one target is new while all of Prometheus is
// old; then one replica is new while there is a target of each.
func (s subject) restarts(stage Stage, release mesh.Release) []move {
	rest := s.move(stage, "rest", "what has another proxy is made anew", func(ctx context.Context) error { return s.renew(ctx, release.Version) })
	rest.watch = true
	return []move{
		{Name: Name{stage, "first-target"}, change: disrupt.ReplicaRestart(s.client, "first-target", "a first pod of productpage is made anew", s.namespace, "productpage-v1")},
		s.replica(stage, firstReplica, "the first replica of Prometheus is made anew", 0),
		s.replica(stage, "second-replica", "the second replica of Prometheus is made anew", 1),
		rest,
	}
}

// replica is the step that makes one replica of Prometheus anew, by its ordinal.
func (s subject) replica(stage Stage, name, title string, ordinal int) move {
	pod := fmt.Sprintf("prometheus-%s-%d", prometheusName, ordinal)
	return move{Name: Name{stage, name}, change: disrupt.PodRestart(s.client, name, title, s.namespace, pod)}
}

// nothing is the step that an upgrade begins with: how things were.
func (s subject) nothing() move {
	return s.move(Before, string(Before), "nothing is changed yet", func(context.Context) error { return nil })
}

// move is a step that is not undone by itself: the way back is a stage of its own.
func (s subject) move(stage Stage, name, title string, apply func(context.Context) error) move {
	return move{Name: Name{stage, name}, change: disrupt.Disruption{
		Name: name, Title: title, Apply: apply, Undo: func(context.Context) error { return nil },
	}}
}

func (s subject) options(r mesh.Release) mesh.Options {
	return mesh.Options{Kubeconfig: s.kubeconfig, Release: r}
}

// newSubject is the set-up of the main job on a cluster that stands.
func newSubject(st *stack.Stack) subject {
	return subject{
		client: st.Client, kubeconfig: st.Cluster.Kubeconfig, namespace: stack.Namespace, from: st.Istio, to: st.Next,
		prometheus: prometheus{st.Prometheus, st.NextPrometheus}, operator: operators{st.Operator, st.NextOperator},
	}
}
