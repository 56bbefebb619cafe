package observe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// Expected is a target that must be scraped, worked out from what the owners
// wrote and from the endpoints that Kubernetes found: never from Prometheus,
// whose word on its own targets is what is under test.
type Expected struct {
	Pool      string // as the Operator names it: serviceMonitor/<namespace>/<name>/<endpoint>
	URL       string
	Namespace string // of the pod or the Service; empty if it is neither
	Service   string // by which it was found, if by any
	Pod       string // empty if it is no pod
	Container string // that declares the port, if any does
	Address   string // host:port, or the host alone
	Port      string // of the address, or that of the scheme
	Path      string
	Scheme    string
	Shard     string // the one that must scrape it, as in "0"; empty if each must
}

// Open is a set of targets that cannot be worked out from what was observed. What
// Prometheus says of it can be neither confirmed nor denied.
type Open struct {
	Pool   string // empty for all, otherPools for those that no monitor makes
	Reason string // names the object and the field
}

// otherPools are the pools that come from somewhere else than a monitor.
const otherPools = "*"

// Covers reports whether a scrape pool is among those left open.
func (u Open) Covers(pool string) bool {
	if u.Pool == otherPools {
		kind, _, _ := strings.Cut(pool, "/")
		return !slices.Contains([]string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig"}, kind)
	}
	return u.Pool == "" || u.Pool == pool
}

// ExpectedTargets derives the exact set that the replicas must have, sorted by
// pool and URL, as far as it can be derived. See Expect.
func ExpectedTargets(o Observation) []Expected {
	expected, _ := Expect(o)
	return expected
}

// Expect derives the exact set that the replicas must have, sorted by pool and
// URL, and says what of it cannot be derived. Of a Prometheus with shards, each
// replica must have a part of it: see ForReplica.
func Expect(o Observation) ([]Expected, []Open) {
	if o.Prometheus == nil {
		return nil, nil
	}
	p := o.Prometheus
	name := "Prometheus " + p.Namespace + "/" + p.Name
	switch n := shards(o); {
	case n > shardsLimit:
		return nil, []Open{{Reason: fmt.Sprintf("%s has spec.shards %d: no more than %d are worked out", name, n, shardsLimit)}}
	case p.Spec.ShardingStrategy != nil && deref(p.Spec.ShardingStrategy.Mode) == monitoringv1.TopologyShardingStrategyMode:
		return nil, []Open{{Reason: name + " has spec.shardingStrategy.mode Topology: it depends on the zones of nodes, which are not observed"}}
	}
	d := newDiscovery(o)
	var expected []Expected
	var open []Open
	for _, m := range Monitors(o) {
		if !m.Selected {
			continue
		}
		for _, j := range scrapeJobs(o, m) {
			targets, err := d.targets(j)
			if err != nil {
				open = append(open, Open{Pool: j.pool, Reason: fmt.Sprintf("%s: %v", j.object, err)})
			}
			expected = append(expected, targets...)
		}
	}
	if p.Spec.AdditionalScrapeConfigs != nil {
		open = append(open, Open{Pool: otherPools, Reason: name + " has spec.additionalScrapeConfigs: its targets are in a Secret, which is not read"})
	}
	slices.SortFunc(expected, func(a, b Expected) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.URL, b.URL), cmp.Compare(a.Service, b.Service),
			cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container), cmp.Compare(a.Shard, b.Shard))
	})
	return expected, open
}

// ExpectedPods are the pods behind the expected targets, by "namespace/name".
func ExpectedPods(o Observation) []string {
	pods := map[string]bool{}
	for _, e := range ExpectedTargets(o) {
		if e.Pod != "" {
			pods[e.Namespace+"/"+e.Pod] = true
		}
	}
	return slices.Sorted(maps.Keys(pods))
}
