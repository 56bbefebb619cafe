package diagnosis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestGoodSubjectHasNoCauses(t *testing.T) {
	for id, causes := range Diagnose(loadGood(t), failedCheck(allChecks...)) {
		assert.Empty(t, causes, id)
	}
}

func TestPassedAndSkippedChecksAreNotExplained(t *testing.T) {
	o := loadGood(t)
	o.Prometheus.Spec.ArbitraryFSAccessThroughSMs.Deny = true
	checks := []reports.Check{{ID: "targets-up", Verdict: reports.Pass}, {ID: "monitors-accepted", Verdict: reports.Skip}}
	assert.Empty(t, Diagnose(o, checks))
	checks[1].Verdict = reports.Inconclusive
	assert.Equal(t, []string{"monitor-rejected-file-access"}, codes(Diagnose(o, checks)["monitors-accepted"]))
}

func TestDiagnoseIsDeterministic(t *testing.T) {
	for _, c := range cases {
		o := loadGood(t)
		c.spoil(subject{&o})
		first := Diagnose(o, failedCheck(allChecks...))
		for range 3 {
			require.Equal(t, first, Diagnose(o, failedCheck(allChecks...)), c.name)
		}
	}
}

// TestCauses spoils one thing at a time, as the field reports say that people do.
func TestCauses(t *testing.T) {
	found := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := loadGood(t)
			c.spoil(subject{&o})
			causes := Diagnose(o, failedCheck(c.check()))[c.check()]
			require.NotEmpty(t, causes)
			for _, x := range causes {
				t.Logf("%s (%s)\n\tseen: %s\n\tchange: %s", x.Code, x.Confidence, x.Seen, x.Change)
				assert.NotEmpty(t, x.Seen)
				assert.NotEmpty(t, x.Change)
				found[x.Code] = true
			}
			assert.Equal(t, c.code, causes[0].Code)
			want := c.confidence
			if want == "" {
				want = reports.Certain
			}
			assert.Equal(t, want, causes[0].Confidence)
			for _, text := range c.says {
				assert.Contains(t, causes[0].Seen+"\n"+causes[0].Change, text)
			}
			// One thing is wrong: no second thing may be called certain.
			certain := 0
			for _, x := range causes {
				if x.Confidence == reports.Certain {
					certain++
				}
			}
			assert.LessOrEqual(t, certain, 1, "certain of more than one cause: %v", codes(causes))
		})
	}
	if t.Failed() {
		return
	}
	for _, code := range Codes() {
		assert.True(t, found[code], "no case of this test leads to %s", code)
	}
}

// TestCombinedFaults spoils two things at once: both must be named.
func TestCombinedFaults(t *testing.T) {
	byName := map[string]testCase{}
	for _, c := range cases {
		byName[c.name] = c
	}
	for _, pair := range combined {
		t.Run(strings.Join(pair.names[:], " and "), func(t *testing.T) {
			o := loadGood(t)
			check := ""
			for _, name := range pair.names {
				c, ok := byName[name]
				require.True(t, ok, "no case %q", name)
				c.spoil(subject{&o})
				check = c.check()
			}
			if pair.check != "" {
				check = pair.check
			}
			causes := Diagnose(o, failedCheck(check))[check]
			for _, x := range causes {
				t.Logf("%s (%s)\n\tseen: %s\n\tchange: %s", x.Code, x.Confidence, x.Seen, x.Change)
			}
			for _, name := range pair.names {
				assert.Contains(t, codes(causes), byName[name].code)
			}
			require.NotEmpty(t, causes)
			assert.Contains(t, []string{byName[pair.names[0]].code, byName[pair.names[1]].code}, causes[0].Code)
		})
	}
}

func TestUncertainCausesSayWhatWouldTellThemApart(t *testing.T) {
	o := loadGood(t)
	s := subject{&o}
	s.lastError("context deadline exceeded")
	causes := Diagnose(o, failedCheck("targets-up"))["targets-up"]
	assert.ElementsMatch(t, []string{"application-slow", "network-blocked"}, codes(causes))
	for _, c := range causes {
		assert.Equal(t, reports.Possible, c.Confidence)
		assert.Contains(t, c.Seen, "To tell it from other causes")
	}
}

func TestManyTargetsWithOneRemedyAreOneCause(t *testing.T) {
	o := loadGood(t)
	s := subject{&o}
	s.lastError("read tcp 10.244.0.13:1->10.244.0.6:9080: read: connection reset by peer")
	o.PeerAuthentications = nil
	causes := Diagnose(o, failedCheck("targets-up"))["targets-up"]
	require.Len(t, causes, 1)
	assert.Equal(t, "mtls-permissive", causes[0].Code)
	assert.Contains(t, causes[0].Change, "make a PeerAuthentication named default in Namespace default")
}

func TestEmptyObservation(t *testing.T) {
	causes := Diagnose(observe.Observation{FormatVersion: observe.FormatVersion}, failedCheck("targets-up"))["targets-up"]
	assert.Equal(t, []string{"prometheus-not-found"}, codes(causes))
}
