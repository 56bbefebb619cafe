package observe

import "strconv"

// shardLabel is the label by which the Operator tells a replica its shard, and
// shardVariable where the config reloader of the replica fills it in.
const (
	shardLabel    = "operator.prometheus.io/shard"
	shardVariable = "$(SHARD)"
)

// shardsLimit is how many shards are worked out at most.
const shardsLimit = 1000

// shards is how many shards the Prometheus has: pkg/prometheus/common.go of the
// Operator, shardsNumber.
func shards(o Observation) int {
	if o.Prometheus == nil {
		return 1
	}
	return max(1, int(deref(o.Prometheus.Spec.Shards)))
}

// ForReplica returns those of the expected targets that one replica must have, by
// the name of its pod. Where targets are not divided among shards, these are all.
// A replica of a shard that is no longer asked for, or of no shard that is known,
// must have none.
func ForReplica(o Observation, expected []Expected, replica string) []Expected {
	n := shards(o)
	if n == 1 {
		return expected
	}
	shard := ""
	for i := range o.Pods {
		if p := &o.Pods[i]; p.Name == replica && p.Namespace == o.Prometheus.Namespace {
			shard = p.Labels[shardLabel]
		}
	}
	if i, err := strconv.Atoi(shard); err != nil || i < 0 || i >= n {
		return nil
	}
	var own []Expected
	for _, e := range expected {
		if e.Shard == "" || e.Shard == shard {
			own = append(own, e)
		}
	}
	return own
}
