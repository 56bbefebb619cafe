package conformance

import (
	"slices"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// whole is everything that was seen of the real stack in order.
func whole(testing.TB) observe.Observation { return recorded.Load(recorded.Good) }

// good is of that the guide's set-up alone, as one looks at it and watches it: a
// copy for each test to spoil.
func good(t testing.TB) observe.Observation {
	o := whole(t)
	const beside = "mtls-scrape-unmeshed"
	o.Admission, o.WithoutCA, o.RootRotation, o.Episodes = nil, nil, nil, nil
	o.ServiceMonitors = slices.DeleteFunc(o.ServiceMonitors, func(m monitoringv1.ServiceMonitor) bool { return m.Name == beside })
	others := func(labels map[string]string) bool { return labels["job"] != "productpage" }
	for i := range o.Replicas {
		r := &o.Replicas[i]
		r.Targets = slices.DeleteFunc(r.Targets, func(t observe.Target) bool { return others(t.Labels) })
		r.Up = slices.DeleteFunc(r.Up, func(s observe.Series) bool { return others(s.Labels) })
		r.Guide = slices.DeleteFunc(r.Guide, func(s observe.Sample) bool { return others(s.Labels) })
		r.StartTimes = slices.DeleteFunc(r.StartTimes, func(s observe.Sample) bool { return others(s.Labels) })
	}
	for i := range o.Watch.Up {
		o.Watch.Up[i].Series = slices.DeleteFunc(o.Watch.Up[i].Series, func(s observe.Series) bool { return others(s.Labels) })
	}
	return o
}

func repeat(n int, a observe.Attempt) []observe.Attempt {
	var all []observe.Attempt
	for range n {
		all = append(all, a)
	}
	return all
}

// spoilt is one change to the good observation and what a check must say of it.
type spoilt struct {
	name    string
	change  func(o *observe.Observation)
	verdict reports.Verdict
	says    string // part of the reason
}

// examine shows that a check passes the good observation with evidence, and says
// of each spoilt one what it must.
func examine(t *testing.T, c Check, cases []spoilt) {
	t.Helper()
	examineFrom(t, c, good, cases)
}

// examineFrom is examine with another observation to begin with.
func examineFrom(t *testing.T, c Check, from func(testing.TB) observe.Observation, cases []spoilt) {
	t.Helper()
	r := c.Judge(from(t))
	require.Equal(t, reports.Pass, r.Verdict, "of the good observation: %s", r.Reason)
	require.NotEmpty(t, r.Evidence)
	require.Empty(t, r.Reason)
	examineCases(t, c, from, cases)
}

func examineCases(t *testing.T, c Check, from func(testing.TB) observe.Observation, cases []spoilt) {
	t.Helper()
	seen := map[reports.Verdict]bool{}
	for _, s := range cases {
		t.Run(s.name, func(t *testing.T) {
			o := from(t)
			s.change(&o)
			r := c.Judge(o)
			require.Equal(t, s.verdict, r.Verdict, r.Reason)
			require.Contains(t, r.Reason, s.says)
			if s.verdict == reports.Pass {
				require.NotEmpty(t, r.Evidence)
			}
			require.Equal(t, []string{c.ID, c.Title, c.Profile, string(c.Level)}, []string{r.ID, r.Title, r.Profile, string(r.Level)})
		})
		seen[s.verdict] = true
	}
	require.True(t, seen[reports.Fail] && seen[reports.Inconclusive], "a check needs a case in which it fails and one in which it cannot tell")
}

// Shorthands for what the tests spoil most.

func replica(o *observe.Observation) *observe.Replica { return &o.Replicas[0] }

func podOf(o *observe.Observation, name string) *corev1.Pod {
	return observe.FindPod(*o, "default", name)
}

func firstReplicaPod(o *observe.Observation) *corev1.Pod { return podOf(o, o.Replicas[0].Pod) }

func firstTarget(o *observe.Observation) observe.Expected {
	return overTLS(observe.ExpectedTargets(*o))[0]
}

func proxyFor(o *observe.Observation, e observe.Expected) *observe.Proxy {
	for i := range o.Proxies {
		if o.Proxies[i].Pod == podName(e) {
			return &o.Proxies[i]
		}
	}
	return nil
}

func probeFor(o *observe.Observation, kind string) *observe.Probe {
	for i := range o.Probes {
		if o.Probes[i].Kind == kind {
			return &o.Probes[i]
		}
	}
	return nil
}

func couldNotRead(what string) func(*observe.Observation) {
	return func(o *observe.Observation) {
		o.Unread = append(o.Unread, observe.Unread{What: what, Reason: "pods is forbidden"})
	}
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }
