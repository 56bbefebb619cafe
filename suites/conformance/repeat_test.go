package conformance

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestOfSeveralRoundsTheWorstCounts(t *testing.T) {
	round := func(a, b reports.Verdict, reason string) []reports.Check {
		return []reports.Check{{ID: "a", Verdict: a, Reason: reason, DurationSeconds: 1}, {ID: "b", Verdict: b, DurationSeconds: 2}}
	}
	all := aggregate([][]reports.Check{
		round(reports.Pass, reports.Pass, ""), round(reports.Inconclusive, reports.Skip, "nobody asked"),
		round(reports.Fail, reports.Pass, "it is down"), round(reports.Fail, reports.Pass, "it is down again"),
	})
	assert.Equal(t, reports.Fail, all[0].Verdict)
	assert.Equal(t, "in 2 of 4 rounds, first in round 3: it is down", all[0].Reason)
	assert.Equal(t, "1 pass, 2 fail, 1 inconclusive", all[0].Evidence[0].Text)
	assert.Equal(t, reports.Skip, all[1].Verdict)
	assert.InDelta(t, 8, all[1].DurationSeconds, 1e-9)
	assert.Empty(t, aggregate(nil))
}

func TestARoundThatIsNotAllGoodIsCountedOnce(t *testing.T) {
	good, bad, unclear := reports.Check{Verdict: reports.Pass}, reports.Check{Verdict: reports.Fail}, reports.Check{Verdict: reports.Inconclusive}
	r := repetitions([][]reports.Check{{good, good}, {bad, bad}, {bad, unclear}, {unclear, good}},
		[]reports.Phase{{Name: "observe", Seconds: 2}, {Name: "watch", Seconds: 20}, {Name: "observe", Seconds: 4}})
	assert.Equal(t, []int{4, 2, 1}, []int{r.Rounds, r.Failed, r.Inconclusive})
	assert.Equal(t, []reports.PhaseStatistic{{Name: "watch", MeanSeconds: 20}, {Name: "observe", MeanSeconds: 3, HalfWidthSeconds: 1.96}}, r.Phases)
}

// The values are those of the literature: 0 of 30, and 5 of 10.
func TestTheIntervalOfAShare(t *testing.T) {
	low, high := wilson(0, 30)
	assert.Zero(t, low)
	assert.InDelta(t, 0.1135, high, 0.0005)
	low, high = wilson(5, 10)
	assert.InDelta(t, 0.2366, low, 0.0005)
	assert.InDelta(t, 0.7634, high, 0.0005)
	low, high = wilson(0, 0)
	assert.Equal(t, []float64{0, 1}, []float64{low, high}, "nothing seen, nothing known")
}

func TestPhasesOfOneNameAreSummed(t *testing.T) {
	assert.Equal(t, []reports.Phase{{Name: "a", Seconds: 4}, {Name: "b", Seconds: 2}},
		summed([]reports.Phase{{Name: "a", Seconds: 1}, {Name: "b", Seconds: 2}, {Name: "a", Seconds: 3}}))
}
