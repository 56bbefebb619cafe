package conformance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// resilience lists the checks with their episodes.
func resilience(o *observe.Observation) map[string]*observe.Episode {
	episodes := map[string]*observe.Episode{}
	for i := range o.Episodes {
		episodes[o.Episodes[i].Disruption+"-survived"] = &o.Episodes[i]
	}
	return episodes
}

func checkNamed(t *testing.T, id string) Check {
	t.Helper()
	i := slices.IndexFunc(Catalogue(), func(c Check) bool { return c.ID == id })
	require.GreaterOrEqual(t, i, 0, id)
	return Catalogue()[i]
}

func TestEveryDisruptionOfTheRealStackWasSurvived(t *testing.T) {
	o := whole(t)
	episodes := resilience(&o)
	require.Len(t, episodes, len(Disruptions(nil, OwnParts("default"), time.Second)), "each disruption was recorded")
	for id := range episodes {
		result := checkNamed(t, id).Judge(o)
		assert.Equal(t, reports.Pass, result.Verdict, "%s: %s", id, result.Reason)
		assert.Contains(t, result.Evidence[0].Text, "Bound: ", id)
	}
}

// lasting is a series of a target that was there all the time, by the replica that
// was not restarted.
func lasting(e *observe.Episode) *observe.Series {
	for i := range e.Up {
		for j := range e.Up[i].Series {
			s := &e.Up[i].Series[j]
			there := func(p observe.EpisodePod) bool {
				return p.Before && p.After && strings.HasSuffix(p.Name, "/"+s.Labels["pod"])
			}
			if e.Up[i].Pod == "prometheus-default-1" && slices.ContainsFunc(e.Pods, there) {
				return s
			}
		}
	}
	return nil
}

func TestAScrapeMissedDuringADisruptionIsFound(t *testing.T) {
	recorded := whole(t)
	for id := range resilience(&recorded) {
		o := whole(t)
		e := resilience(&o)[id]
		s := lasting(e)
		if s == nil { // every target was replaced
			continue
		}
		s.Points[len(s.Points)/2].Value = 0
		result := checkNamed(t, id).Judge(o)
		assert.Equal(t, reports.Fail, result.Verdict, id)
		assert.Contains(t, result.Reason, "missed scrapes", id)
	}
}

func TestAScrapeThatWasNotMadeIsFound(t *testing.T) {
	o := whole(t)
	s := lasting(resilience(&o)["control-plane-outage-survived"])
	s.Points = slices.Delete(s.Points, 2, 4)
	result := controlPlaneOutageSurvived.Judge(o)
	assert.Equal(t, reports.Fail, result.Verdict)
	assert.Contains(t, result.Reason, "none for")
}

func TestAReadyPodMustBeScrapedDuringARollout(t *testing.T) {
	o := whole(t)
	e := resilience(&o)["workload-rollout-survived"]
	for i := range e.Pods {
		if e.Pods[i].After && !e.Pods[i].Before {
			e.Pods[i].Ready = e.From // it was ready all along, so what failed of it must not have
		}
	}
	result := workloadRolloutSurvived.Judge(o)
	assert.Equal(t, reports.Fail, result.Verdict)
}

func TestAReplicaThatNeverScrapesAgainIsFound(t *testing.T) {
	o := whole(t)
	e := resilience(&o)["prometheus-restart-survived"]
	for i := range e.Up {
		if e.Up[i].Pod == "prometheus-default-0" {
			e.Up[i].Series = nil
		}
	}
	e.To = e.To.Add(time.Minute)
	assert.NotEqual(t, reports.Pass, prometheusRestartSurvived.Judge(o).Verdict)
}

func TestADisruptionThatDidNotComeAboutProvesNothing(t *testing.T) {
	for name, spoil := range map[string]func(*observe.Observation, *observe.Episode){
		"it failed":        func(_ *observe.Observation, e *observe.Episode) { e.Error = "forbidden" },
		"it was not tried": func(o *observe.Observation, _ *observe.Episode) { o.Episodes = nil },
		"nothing was read": func(_ *observe.Observation, e *observe.Episode) { e.Up = nil },
		"no mark was made": func(_ *observe.Observation, e *observe.Episode) { e.Marks = nil },
	} {
		recorded := whole(t)
		for id := range resilience(&recorded) {
			o := whole(t)
			spoil(&o, resilience(&o)[id])
			assert.Equal(t, reports.Inconclusive, checkNamed(t, id).Judge(o).Verdict, "%s, %s", id, name)
		}
	}
}

func TestScrapesThatDoNotComeBackAreFound(t *testing.T) {
	o := whole(t)
	for id, e := range resilience(&o) {
		e.Recovered, e.Settled = false, "timed out"
		assert.Equal(t, reports.Fail, checkNamed(t, id).Judge(o).Verdict, id)
	}
}

func TestACertificateThatEndsDuringAnOutageFails(t *testing.T) {
	// What the recording of an outage lacks is filled in: two certificates of 20 s.
	sighted := func(o *observe.Observation, gap time.Duration) *observe.Episode {
		e := resilience(o)[controlPlaneOutageSurvived.ID]
		e.Certs = nil
		for _, r := range o.Replicas {
			first := observe.Certificate{Serial: "1", NotAfter: e.From.Add(2 * time.Second)}
			second := observe.Certificate{Serial: "2", NotAfter: e.To.Add(time.Second)}
			e.Certs = append(e.Certs, observe.Sighting{At: e.From, Pod: r.Pod, Certificate: first},
				observe.Sighting{At: first.NotAfter.Add(gap), Pod: r.Pod, Certificate: second})
		}
		return e
	}
	o := whole(t)
	sighted(&o, -time.Second)
	r := controlPlaneOutageSurvived.Judge(o)
	assert.Equal(t, reports.Pass, r.Verdict, r.Reason)

	sighted(&o, 5*time.Second)
	r = controlPlaneOutageSurvived.Judge(o)
	assert.Equal(t, reports.Fail, r.Verdict)
	assert.Contains(t, r.Reason, "for 5s every new connection would have been refused")
	causes := controlPlaneOutageSurvived.Verdict(o).Causes
	require.NotEmpty(t, causes)
	assert.Equal(t, "outage-outlasted-certificate", causes[0].Code)

	// Seen late, but the one before was not seen after its end: nobody knows that it was
	// there for longer.
	e := sighted(&o, 500*time.Millisecond)
	for i := range e.Certs {
		if i%2 == 1 {
			e.Certs[i].Former = e.Certs[i-1].Certificate.NotAfter.Add(-time.Second)
		}
	}
	r = controlPlaneOutageSurvived.Judge(o)
	assert.Equal(t, reports.Pass, r.Verdict, r.Reason)

	e = sighted(&o, -time.Second)
	e.Certs[1].Certificate.NotAfter = e.To.Add(-3 * time.Second)
	r = controlPlaneOutageSurvived.Judge(o)
	assert.Equal(t, reports.Fail, r.Verdict)
	assert.Contains(t, r.Reason, "was in its files to the end: for 3s")

	e.Certs = nil
	r = controlPlaneOutageSurvived.Judge(o)
	assert.Equal(t, reports.Inconclusive, r.Verdict)
	assert.Contains(t, r.Reason, "was not seen")
}

func TestWhatIsMissedByPodsMadeAnewIsNoUpgradesFault(t *testing.T) {
	for _, episode := range []string{WorkloadRollout, PrometheusRestart, ControlPlaneOutage} {
		t.Run(episode, func(t *testing.T) {
			o := whole(t)
			c := PodsReplaced("upgrade-scrapes", "upgrade", episode, false)
			result := c.Judge(o)
			require.Equal(t, reports.Pass, result.Verdict, result.Reason)
			e := resilience(&o)[episode+"-survived"]
			if s := lasting(e); s != nil {
				s.Points[len(s.Points)/2].Value = 0
				assert.Equal(t, reports.Fail, c.Judge(o).Verdict, "a pod that was there all the time")
			}
		})
	}
}

// Seen when the Operator became another version: the scrapes of each target moved from
// one moment of the interval to another.
func TestScrapesMayMoveWithinTheIntervalWhereTheConfigurationIsGeneratedAnew(t *testing.T) {
	for by, want := range map[time.Duration][2]reports.Verdict{
		1700 * time.Millisecond: {reports.Fail, reports.Pass},
		2100 * time.Millisecond: {reports.Fail, reports.Fail}, // one is missing
	} {
		for i, regenerated := range []bool{false, true} {
			o := whole(t)
			s := lasting(resilience(&o)[ControlPlaneOutage+"-survived"])
			require.NotNil(t, s)
			for j := len(s.Points) / 2; j < len(s.Points); j++ {
				s.Points[j].At = s.Points[j].At.Add(by)
			}
			result := PodsReplaced("upgrade-scrapes", "upgrade", ControlPlaneOutage, regenerated).Judge(o)
			assert.Equal(t, want[i], result.Verdict, "%s: %s", by, result.Reason)
		}
	}
}
