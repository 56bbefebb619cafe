package conformance

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// ids are those of the checks that run.
func ids(planned []Planned) []string {
	var run []string
	for _, p := range planned {
		if p.Reason == "" {
			run = append(run, p.ID)
		}
	}
	return run
}

func TestEverythingShortThatDisruptsNothingRunsByDefault(t *testing.T) {
	planned, err := Selection{}.Plan(Catalogue())
	require.NoError(t, err)
	assert.Len(t, planned, len(Catalogue()), "every check is planned, run or not")
	for _, p := range planned {
		assert.Equal(t, p.Profile == ProfileResilience || p.Optional || p.Long != "" || p.Stood, p.Reason != "", p.ID)
	}
}

func TestInAClusterThatIsNotOursNothingRunsButWhatReads(t *testing.T) {
	planned, err := Selection{Attached: true}.Plan(Catalogue())
	require.NoError(t, err)
	var run []string
	for _, p := range planned {
		if p.Reason == "" {
			run = append(run, p.ID)
			assert.Empty(t, p.Disrupts, p.ID)
		}
	}
	assert.Equal(t, []string{
		"prometheus-sidecar-injected", "certificates-mounted", "certificate-identity", "traffic-not-intercepted", "monitors-accepted",
		"targets-complete", "targets-up", "metrics-queryable", "mutual-tls-on-the-wire", "unmeshed-still-scraped", "past-rotations-survived",
	}, run)
	_, err = Selection{Attached: true, Profiles: []string{ProfileResilience}}.Plan(Catalogue())
	assert.ErrorContains(t, err, "no check is selected")
}

// What others use as well is disrupted only if their owner named it; the report says
// that it was not. What is only of our namespace is disrupted as ever.
func TestInASandboxNothingSharedIsDisruptedUnlessItIsNamed(t *testing.T) {
	disrupted := Selection{Sandbox: true, Profiles: []string{ProfileRotation, ProfileResilience}}
	for allowed, want := range map[string][]string{
		"":                                  {"control-plane-outage-survived", "operator-restart-survived", "root-rotated"},
		"control-plane-outage,root-rotated": {"operator-restart-survived"},
		"control-plane-outage,root-rotated,operator-restart": nil,
	} {
		s := disrupted
		if allowed != "" {
			s.Allowed = strings.Split(allowed, ",")
		}
		planned, err := s.Plan(Catalogue())
		require.NoError(t, err)
		var skipped []string
		for _, p := range planned {
			if p.Skipped {
				skipped = append(skipped, p.ID)
				assert.Contains(t, p.Reason, "-allow-disruption="+p.Shared)
			}
		}
		assert.ElementsMatch(t, want, skipped, allowed)
		assert.Subset(t, ids(planned), []string{"scraper-certificate-rotated", "sidecar-restart-survived", "workload-rollout-survived", "prometheus-restart-survived"})
	}
	disrupted.Sandbox = false
	planned, err := disrupted.Plan(Catalogue())
	require.NoError(t, err)
	assert.Contains(t, ids(planned), "root-rotated", "on a cluster of our own nothing is shared")
	disrupted.Allowed = []string{"everything"}
	_, err = disrupted.Plan(Catalogue())
	assert.ErrorContains(t, err, `no disruption "everything" of a shared part: use root-rotated, operator-restart, control-plane-outage`)
}

// In another namespace and trust domain the policy admits the Prometheus that is there.
func TestThePolicyNamesThePrometheusOfTheSubject(t *testing.T) {
	for domain, want := range map[string]string{"": "cluster.local", "mesh.example": "mesh.example"} {
		objects, err := manifests.Read(manifests.Policy)
		require.NoError(t, err)
		admitting("mtls-scrape-sandbox", domain)(objects[0])
		rules, _, err := unstructured.NestedSlice(objects[0].Object, "spec", "rules")
		require.NoError(t, err)
		from := rules[0].(map[string]any)["from"].([]any)[0].(map[string]any)["source"].(map[string]any)
		assert.Equal(t, []any{want + "/ns/mtls-scrape-sandbox/sa/prometheus-full-access"}, from["principals"])
	}
}

func selector(text string) labels.Selector {
	s, err := labels.Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

func TestASelectionNarrows(t *testing.T) {
	for name, c := range map[string]struct {
		selection Selection
		want      []string
	}{
		"by ID":                {Selection{Check: regexp.MustCompile("^targets-")}, []string{"targets-complete", "targets-up"}},
		"by ID, optional ones": {Selection{Check: regexp.MustCompile("strict-side")}, []string{"strict-side-doors"}},
		"by profile":           {Selection{Profiles: []string{ProfileRotation}}, []string{"scraper-certificate-rotated", "target-certificate-rotated", "rotation-without-ca-file", "root-rotated"}},
		"by level and profile": {Selection{Levels: []reports.Level{reports.Extended}, Profiles: []string{ProfileRefusal}}, []string{"identity-authorized", "side-doors-known"}},
		"by label":             {Selection{Labels: selector("profile=refusal,disruptive=true")}, []string{"identity-authorized"}},
		"less a skip list":     {Selection{Check: regexp.MustCompile("^targets-"), Skip: map[string]string{"targets-up": "known, ticket 7"}}, []string{"targets-complete"}},
	} {
		planned, err := c.selection.Plan(Catalogue())
		require.NoError(t, err, name)
		assert.Equal(t, c.want, ids(planned), name)
	}
}

func TestOnlyWhatTheSkipListTookOutIsReported(t *testing.T) {
	planned, err := Selection{Check: regexp.MustCompile("^targets-"), Skip: map[string]string{"targets-up": "known", "plaintext-refused": "known"}}.Plan(Catalogue())
	require.NoError(t, err)
	for _, p := range planned {
		assert.Equal(t, p.ID == "targets-up", p.Skipped, p.ID)
	}
}

func TestAMisspeltSelectionIsNoGreenRun(t *testing.T) {
	for want, s := range map[string]Selection{
		`no check has a label "colour"`: {Labels: selector("colour!=red")},
		"no check is selected":          {Check: regexp.MustCompile("^tagets")},
		`no profile "scrap"`:            {Profiles: []string{"scrap"}},
		`no level "basic"`:              {Levels: []reports.Level{"basic"}},
		"is no check":                   {Skip: map[string]string{"profile scrape": "x"}},
		"no reason for targets-up":      {Skip: map[string]string{"targets-up": ""}},
	} {
		_, err := s.Plan(Catalogue())
		assert.ErrorContains(t, err, want)
	}
}
