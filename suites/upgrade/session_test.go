package upgrade

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// ofVersions is a run with two versions of Istio.
func ofVersions(from, to string) *run.Run {
	return &run.Run{Config: run.Config{Mode: run.E2E, Istio: from, Next: to}, Report: &reports.Report{}}
}

// prometheusOf is a run with two versions of Prometheus.
func prometheusOf(from, to string) *run.Run {
	return &run.Run{Config: run.Config{Mode: run.E2E, Istio: newer, Prometheus: from, NextPrometheus: to}, Report: &reports.Report{}}
}

// operatorOf is a run with two versions of the Operator.
func operatorOf(from, to string) *run.Run {
	return &run.Run{Config: run.Config{Mode: run.E2E, Istio: newer, Operator: from, NextOperator: to}, Report: &reports.Report{}}
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
		"of Prometheus":          {prometheusOf("v3.12.0", "v3.16.0"), "prometheus", []string{"upgrade-prometheus"}, ""},
		"of Prometheus alone":    {ofVersions(older, newer), "prometheus", nil, "from one version of Prometheus to another: give the first with -prometheus"},
		"of the Operator":        {operatorOf("v0.91.0", "v0.92.0"), "operator", []string{"upgrade-operator"}, ""},
		"of the Operator alone":  {ofVersions(older, newer), "operator", nil, "from one version of the Operator to another: give the first with -operator"},
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
	for name, title := range map[string]string{"permissive": "the mesh is made PERMISSIVE", "no-injection": "no webhook injects sidecars", "webhook-down": "the webhooks that inject sidecars cannot be reached", "other-root": ", which signs with another root", "trust-domain": ""} {
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
	require.ErrorContains(t, err, "use no-injection, other-root, permissive, trust-domain, webhook-down")
	_, err = NewSession(prometheusOf("v3.12.0", "v3.16.0"), Options{Ways: "prometheus", Mistake: "trust-domain"})
	require.ErrorContains(t, err, "is one of upgrades of the mesh")
	_, err = NewSession(prometheusOf("v3.12.0", "v3.16.0"), Options{Ways: "prometheus", Mistake: "permissive"})
	assert.NoError(t, err)
}

// Whoever reads a report must know what was upgraded, and whether it went wrong on
// purpose.
func TestTheReportSaysWhatWasUpgradedAndHow(t *testing.T) {
	r := ofVersions(older, newer)
	r.Report.Configuration = map[string]string{"istio": older}
	_, err := NewSession(r, Options{Ways: "canary", Mistake: "permissive"})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"istio": older, "upgrade": "canary", "mistake": "permissive"}, r.Report.Configuration)
}

// What a run does not know the versions of, it cannot roll back.
func TestAnotherUpgradeThatIsHalfWayIsLeftToItsOwnRun(t *testing.T) {
	ofPrometheus := planned
	ofPrometheus.from, ofPrometheus.to = mesh.Release{}, mesh.Release{}
	require.ErrorContains(t, ofPrometheus.goBack(t.Context(), upgradeCanary.ID), "with the UPGRADE, FROM and TO of that run")
	ofMesh := planned
	ofMesh.prometheus, ofMesh.operator = prometheus{}, operators{}
	require.ErrorContains(t, ofMesh.goBack(t.Context(), upgradeOperator.ID), "with the UPGRADE, FROM and TO of that run")
	assert.ErrorContains(t, ofMesh.goBack(t.Context(), upgradePrometheus.ID), "with the UPGRADE, FROM and TO of that run")
}

// On a cluster that goes, nothing is left half way.
func TestAnUpgradeLeftHalfWayIsReported(t *testing.T) {
	s := Session{run: ofVersions(older, newer)}
	assert.Empty(t, s.halfWay(upgradeInPlace.ID))
	s.run.Keep, s.run.Cluster = true, "mtls-scrape-dev"
	require.Len(t, s.halfWay(upgradeInPlace.ID), 1)
	assert.Contains(t, s.halfWay(upgradeInPlace.ID)[0], "MODE=check CLUSTER=mtls-scrape-dev")
	assert.Contains(t, s.halfWay(upgradePrometheus.ID)[0], "CLUSTER=mtls-scrape-dev UPGRADE=prometheus")
	assert.Contains(t, s.halfWay(upgradeOperator.ID)[0], "UPGRADE=operator")
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
