package upgrade

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// ofVersions is a run with two versions of Istio.
func ofVersions(from, to string) *run.Run {
	return &run.Run{Config: run.Config{Mode: run.E2E, Istio: from, Next: to}, Report: &reports.Report{}}
}

func TestAnUpgradeIsAskedForInWordsThatMeanOne(t *testing.T) {
	selecting := ofVersions(older, newer)
	selecting.Select = regexp.MustCompile("canary")
	explaining := ofVersions(older, "")
	explaining.Mode = run.Explain
	for name, c := range map[string]struct {
		run     *run.Run
		paths   string
		planned []string
		says    string
	}{
		"in place":               {ofVersions(older, newer), "in-place", []string{"upgrade-in-place"}, ""},
		"by a second revision":   {ofVersions(older, newer), "canary", []string{"upgrade-canary"}, ""},
		"both":                   {ofVersions(older, newer), "both", []string{"upgrade-in-place", "upgrade-canary"}, ""},
		"backward":               {ofVersions(newer, older), "in-place", []string{"upgrade-in-place"}, ""},
		"no such way":            {ofVersions(older, newer), "sideways", nil, `no way "sideways"`},
		"to nowhere":             {ofVersions(older, ""), "in-place", nil, "TO="},
		"to where it is":         {ofVersions(older, older), "in-place", nil, "from one version of Istio to another"},
		"of some checks":         {selecting, "both", nil, "UPGRADE="},
		"to be judged once more": {explaining, "both", []string{"upgrade-in-place", "upgrade-canary"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSession(c.run, Options{Ways: c.paths})
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			var planned []string
			for _, p := range s.planned {
				planned = append(planned, p.ID)
			}
			assert.Equal(t, c.planned, planned)
		})
	}
}

func TestADryRunNamesEveryStep(t *testing.T) {
	s, err := NewSession(ofVersions(older, newer), Options{Ways: "both"})
	require.NoError(t, err)
	text := s.DryRun()
	for _, c := range s.planned {
		for _, m := range planned.plan(c.ID) {
			assert.Contains(t, text, m.String())
		}
	}
	assert.Equal(t, 2, strings.Count(text, "the control plane goes"))
}

func TestAMistakeIsMadeOnTheWayForwardOnly(t *testing.T) {
	for name, title := range map[string]string{"permissive": "the mesh is made PERMISSIVE", "no-injection": "no webhook injects sidecars", "trust-domain": ""} {
		s, err := NewSession(ofVersions(older, newer), Options{Ways: "both", Mistake: name})
		require.NoError(t, err)
		for _, c := range s.planned {
			subject := planned
			s.mistake(&subject, c.ID)
			spoilt := 0
			for _, m := range subject.plan(c.ID) {
				if title != "" && strings.Contains(m.change.Title, title) {
					assert.Equal(t, Forward, m.Stage)
					spoilt++
				}
			}
			if title == "" {
				assert.NotEmpty(t, subject.to.TrustDomain)
				assert.Equal(t, subject.to.TrustDomain, subject.canary().TrustDomain)
				assert.Empty(t, subject.from.TrustDomain, "the way back is to what was")
				continue
			}
			assert.Equal(t, 1, spoilt, name+" "+c.ID)
		}
	}
	_, err := NewSession(ofVersions(older, newer), Options{Ways: "both", Mistake: "forgetting"})
	assert.ErrorContains(t, err, "use no-injection, permissive, trust-domain")
}

// On a cluster that goes, nothing is left half way.
func TestAnUpgradeLeftHalfWayIsReported(t *testing.T) {
	s := Session{run: ofVersions(older, newer)}
	assert.Empty(t, s.halfWay(upgradeInPlace.ID))
	s.run.Keep, s.run.Cluster = true, "mtls-scrape-dev"
	require.Len(t, s.halfWay(upgradeInPlace.ID), 1)
	assert.Contains(t, s.halfWay(upgradeInPlace.ID)[0], "MODE=check CLUSTER=mtls-scrape-dev")
}

func TestTheSecondRevisionHasTheNameOfItsMinor(t *testing.T) {
	assert.Equal(t, "1-31", planned.canary().Revision)
	assert.Equal(t, newer, planned.canary().Version)
}

// Each step has a name of its own within its stage, by which it is found.
func TestNamesOfStepsAreTheirOwn(t *testing.T) {
	for _, c := range Catalogue() {
		seen := map[Name]bool{}
		for _, m := range planned.plan(c.ID) {
			assert.False(t, seen[m.Name], m.String())
			seen[m.Name] = true
			assert.Equal(t, m.Step, m.change.Name, "by it, the scrapes of the step are found")
		}
	}
}
