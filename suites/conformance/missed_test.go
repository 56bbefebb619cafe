package conformance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

func TestEveryScrapeThatTheRealStackMissedIsExcused(t *testing.T) {
	lost := map[string]int{}
	for _, track := range Tracks(whole(t)) {
		for _, p := range track.Points {
			if !p.OK {
				lost[p.ExcusedBy]++
			} else {
				assert.Empty(t, p.ExcusedBy, "nothing to excuse")
			}
		}
	}
	assert.Equal(t, map[string]int{"workload-rollout-survived": 5}, lost,
		"the last of them while already the next part was taken away")
}

func TestABoundCoversNoMoreThanItSays(t *testing.T) {
	o := whole(t)
	rollout, restart := resilience(&o)["workload-rollout-survived"], resilience(&o)["prometheus-restart-survived"]
	begins := markOf(*rollout, disrupt.Begins)
	of := func(replica, pod string, at time.Time) missed {
		return missed{replica, map[string]string{"namespace": "default", "pod": pod}, at}
	}
	const first, twin = "prometheus-default-0", "prometheus-default-1"
	var old, fresh observe.EpisodePod
	for _, p := range rollout.Pods {
		switch {
		case p.Before && !p.After:
			old = p
		case p.After && !p.Before:
			fresh = p
		}
	}
	require.NotEmpty(t, old.Name)
	require.NotEmpty(t, fresh.Name)
	for name, c := range map[string]struct {
		missed missed
		by     string
	}{
		"an old pod before its rollout":      {of(twin, baseName(old.Name), begins.Add(-time.Second)), ""},
		"an old pod after it began":          {of(twin, baseName(old.Name), begins.Add(time.Second)), "workload-rollout-survived"},
		"a new pod that is not ready":        {of(twin, baseName(fresh.Name), fresh.Ready), "workload-rollout-survived"},
		"a new pod that is":                  {of(twin, baseName(fresh.Name), fresh.Ready.Add(time.Second)), ""},
		"a pod that was there all the time":  {of(twin, "mtls-scrape-unmeshed-0", begins.Add(time.Second)), ""},
		"a replica that restarts":            {of(first, "any", markOf(*restart, disrupt.Begins)), "prometheus-restart-survived"},
		"a replica long after it restarted":  {of(first, "any", restart.To.Add(time.Minute)), ""},
		"the twin of a replica that did":     {of(twin, "any", markOf(*restart, disrupt.Begins)), ""},
		"a moment when nothing was going on": {of(first, "any", o.Watch.From), ""},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.by, excusedBy(Catalogue(), o, c.missed)) })
	}
}

// Without caFile the scrapes of some versions stop at a renewal, as is known of them.
func TestWhatIsKnownOfAVersionExcusesThatMonitorAlone(t *testing.T) {
	o := whole(t)
	const replica = "prometheus-default-0"
	renewed := renewals(o.Watch, replica, o.WithoutCA.Since)[0].At
	job := map[string]string{"job": o.WithoutCA.Job}
	assert.Empty(t, excusedBy(Catalogue(), o, missed{replica, job, renewed}), "this version goes on")
	for i := range o.Replicas {
		o.Replicas[i].Version = "3.12.0"
	}
	assert.Equal(t, "rotation-without-ca-file", excusedBy(Catalogue(), o, missed{replica, job, renewed}))
	assert.Empty(t, excusedBy(Catalogue(), o, missed{replica, job, renewed.Add(-time.Second)}), "before the renewal")
	assert.Empty(t, excusedBy(Catalogue(), o, missed{replica, map[string]string{"job": "productpage"}, renewed}), "another monitor")
}
