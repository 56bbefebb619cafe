package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

var whileWatched = Watched("upgrade-watched", "no scrape was missed", "upgrade", "watched")

// samplesOf are samples every two seconds from one second to another of an episode, of
// which some failed.
func samplesOf(e observe.Episode, from, to int, failed ...int) []observe.Point {
	var points []observe.Point
	for s := from; s < to; s += 2 {
		p := observe.Point{At: e.From.Add(time.Duration(s) * time.Second), Value: 1}
		if slices.Contains(failed, s) {
			p.Value = 0
		}
		points = append(points, p)
	}
	return points
}

// watchedFor is two minutes in which nothing was changed, of the real stack's pods.
func watchedFor(t *testing.T) (observe.Observation, *observe.Episode) {
	t.Helper()
	o := good(t)
	e := observe.Episode{Disruption: "watched", Title: "the owner changes it", From: o.At, To: o.At.Add(2 * time.Minute), Recovered: true}
	e.Marks = []observe.Mark{{At: e.From, Step: disrupt.Begins}, {At: e.To, Step: disrupt.Undone}}
	for _, r := range o.Replicas {
		e.Pods = append(e.Pods, observe.EpisodePod{Name: "default/" + r.Pod, UID: r.Pod, Before: true, After: true})
		e.Up = append(e.Up, observe.ReplicaUp{Pod: r.Pod})
	}
	for _, name := range observe.ExpectedPods(o) {
		e.Pods = append(e.Pods, observe.EpisodePod{Name: name, UID: name, Before: true, After: true})
		for i := range e.Up {
			e.Up[i].Series = append(e.Up[i].Series, ofPod(name, samplesOf(e, 0, 120)))
		}
	}
	require.Len(t, e.Up, 2)
	o.Episodes = []observe.Episode{e}
	return o, &o.Episodes[0]
}

func ofPod(name string, points []observe.Point) observe.Series {
	namespace, pod := name[:len(name)-len(baseName(name))-1], baseName(name)
	return observe.Series{Labels: map[string]string{"namespace": namespace, "pod": pod}, Points: points}
}

func TestWhatIsMissedWhileTheOwnerUpgradesIsJudgedByItsBound(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(e *observe.Episode)
		verdict reports.Verdict
		says    string
	}{
		"nothing was missed": {func(*observe.Episode) {}, reports.Pass, ""},
		"a pod that stayed was missed": {func(e *observe.Episode) {
			e.Up[0].Series[0].Points = samplesOf(*e, 0, 120, 60)
		}, reports.Fail, "missed scrapes of"},
		"a pod that stayed was not asked for a time": {func(e *observe.Episode) {
			e.Up[0].Series[0].Points = append(samplesOf(*e, 0, 40), samplesOf(*e, 60, 120)...)
		}, reports.Fail, "none for 22s"},
		"an old pod was asked while it ended": {func(e *observe.Episode) {
			e.Pods[2].After = false
			for i := range e.Up {
				e.Up[i].Series[0].Points = samplesOf(*e, 0, 60, 54, 56, 58)
			}
		}, reports.Pass, ""},
		"an old pod was missed long before it ended": {func(e *observe.Episode) {
			e.Pods[2].After = false
			e.Up[1].Series[0].Points = samplesOf(*e, 0, 100, 20)
		}, reports.Fail, "missed scrapes of"},
		"a new pod was asked before it was ready": {func(e *observe.Episode) {
			e.Pods[2].Before, e.Pods[2].Ready = false, e.From.Add(50*time.Second)
			for i := range e.Up {
				e.Up[i].Series[0].Points = samplesOf(*e, 40, 120, 40, 42, 44)
			}
		}, reports.Pass, ""},
		"a new pod was missed once it was ready": {func(e *observe.Episode) {
			e.Pods[2].Before, e.Pods[2].Ready = false, e.From.Add(50*time.Second)
			e.Up[0].Series[0].Points = samplesOf(*e, 40, 120, 80)
		}, reports.Fail, "missed scrapes of"},
		"a replica was replaced, with its volume": {func(e *observe.Episode) {
			e.Pods[0].Before, e.Pods[0].Ready = false, e.From.Add(50*time.Second)
			for i := range e.Up[0].Series {
				e.Up[0].Series[i].Points = samplesOf(*e, 52, 120)
			}
		}, reports.Pass, ""},
		"a new replica missed something once it was ready": {func(e *observe.Episode) {
			e.Pods[0].Before, e.Pods[0].Ready = false, e.From.Add(50*time.Second)
			for i := range e.Up[0].Series {
				e.Up[0].Series[i].Points = samplesOf(*e, 52, 120, 80)
			}
		}, reports.Fail, "missed scrapes of"},
		"every replica was replaced, with its volume": {func(e *observe.Episode) {
			for r := range e.Up {
				e.Pods[r].Before, e.Pods[r].Ready = false, e.From.Add(50*time.Second)
				for i := range e.Up[r].Series {
					e.Up[r].Series[i].Points = samplesOf(*e, 52, 120)
				}
			}
		}, reports.Inconclusive, "no replica has stored what it scraped at the beginning"},
		"a pod came and went": {func(e *observe.Episode) {
			e.Up[0].Series = append(e.Up[0].Series, ofPod("default/passing", samplesOf(*e, 20, 80, 20, 22, 74, 76, 78)))
		}, reports.Pass, ""},
		"a pod came and went, and was missed in between": {func(e *observe.Episode) {
			e.Up[0].Series = append(e.Up[0].Series, ofPod("default/passing", samplesOf(*e, 20, 100, 40)))
		}, reports.Fail, "default/passing, which came and went"},
		"the scrapes did not come back": {func(e *observe.Episode) {
			e.Recovered, e.Settled = false, "one target is down"
		}, reports.Fail, "one target is down"},
		"nobody could look": {func(e *observe.Episode) { e.Error = "pods: forbidden" }, reports.Inconclusive, "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			o, e := watchedFor(t)
			c.spoil(e)
			got := whileWatched.Judge(o)
			assert.Equal(t, c.verdict, got.Verdict, got.Reason)
			assert.Contains(t, got.Reason, c.says)
			assert.Equal(t, reports.Extended, got.Level)
		})
	}
	assert.Equal(t, reports.Inconclusive, whileWatched.Judge(observe.Observation{}).Verdict, "nobody looked on")
}
