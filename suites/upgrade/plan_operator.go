package upgrade

import (
	"context"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// operators is the two versions of the Operator.
type operators struct{ from, to monitoring.OperatorRelease }

// ofOperator goes forward by the definitions first and the Operator after them, and back
// the other way round: at no moment does an Operator work with definitions older than it
// knows. A new one puts a new reloader beside Prometheus, for which it would roll the
// StatefulSet; here each replica is replaced in a step of its own, as [subject.ofPrometheus]
// says why.
func (s subject) ofOperator() []move {
	define := func(stage Stage, r monitoring.OperatorRelease) move {
		return s.move(stage, "definitions", "the definitions of the Operator's objects become those of "+r.Version, func(ctx context.Context) error {
			return monitoring.Define(ctx, s.client, r)
		})
	}
	operate := func(stage Stage, r monitoring.OperatorRelease) move {
		return s.move(stage, operatorStep, "the Operator becomes "+r.Version+", the pods of Prometheus stay", func(ctx context.Context) error {
			return monitoring.Operate(ctx, s.client, s.object(), r)
		})
	}
	replicas := func(stage Stage, r monitoring.OperatorRelease) []move {
		return s.replicasAnew(stage, "as "+r.Version+" wants it")
	}
	from, to := s.operator.from, s.operator.to
	moves := []move{
		s.nothing(),
		s.move(Forward, "strategy", "the StatefulSet replaces no pod by itself any more", func(ctx context.Context) error {
			return monitoring.Hold(ctx, s.client, s.object())
		}),
		define(Forward, to), s.spoilt(operate(Forward, to)),
	}
	moves = append(moves, replicas(Forward, to)...)
	moves = append(moves, s.mended(operate(Back, from)), define(Back, from))
	moves = append(moves, replicas(Back, from)...)
	return append(moves, s.move(Back, "own-strategy", "the StatefulSet replaces pods by itself again, and has none to replace", func(ctx context.Context) error {
		return monitoring.LetGo(ctx, s.client, s.object())
	}))
}

// operatorBack brings the Operator to where an upgrade of it began, from wherever it is.
func (s subject) operatorBack(ctx context.Context) error {
	if err := monitoring.Operate(ctx, s.client, s.object(), s.operator.from); err != nil {
		return err
	}
	if err := monitoring.Define(ctx, s.client, s.operator.from); err != nil {
		return err
	}
	return monitoring.LetGo(ctx, s.client, s.object())
}
