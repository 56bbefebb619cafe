package faults

import (
	"testing"

	"github.com/stretchr/testify/assert"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func verdict(id string, v reports.Verdict, codes ...string) reports.Check {
	c := reports.Check{ID: id, Verdict: v}
	if v != reports.Pass {
		c.Reason = "because\nof more"
	}
	for _, code := range codes {
		c.Causes = append(c.Causes, reports.Cause{Code: code})
	}
	return c
}

func TestCompareSaysEachDeviationInASentence(t *testing.T) {
	single := Fault{ID: "f", Red: []string{"a", "b"}, Unclear: []string{"c"}, Cause: "x"}
	unclear := Fault{ID: "f", Unclear: []string{"c", "d"}, Cause: "x"}
	both := Fault{ID: "f", named: []string{"x", "y"}}
	for name, c := range map[string]struct {
		fault  Fault
		checks []reports.Check
		missed []string
		misled []string
		first  string
	}{
		"as foretold": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail, "x", "y"), verdict("b", reports.Fail, "x"), verdict("c", reports.Inconclusive), verdict("d", reports.Pass), verdict("e", reports.Skip)},
			first:  "x",
		},
		"what may be unclear may as well fail, or pass, with any cause": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail, "x"), verdict("b", reports.Fail), verdict("c", reports.Fail, "z")},
			first:  "x",
		},
		"a red check is green": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail, "x"), verdict("b", reports.Pass)},
			missed: []string{"b must fail, it is pass"},
			first:  "x",
		},
		"a red check is unclear": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Inconclusive, "x"), verdict("b", reports.Fail, "x")},
			missed: []string{"a must fail, it is inconclusive: because"},
			first:  "x",
		},
		"a red check was not judged": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail, "x")},
			missed: []string{"b must fail, and was not judged"},
			first:  "x",
		},
		"another is red, and another unclear": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail, "x"), verdict("b", reports.Fail, "x"), verdict("d", reports.Fail, "z"), verdict("e", reports.Inconclusive)},
			missed: []string{"d must pass, it is fail: because", "e must pass, it is inconclusive: because"},
			first:  "x",
		},
		"the first cause is another": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail, "y", "x"), verdict("b", reports.Fail, "x")},
			misled: []string{"the first cause of a must be x, it is y"},
			first:  "y",
		},
		"the check that says it best has none": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail), verdict("b", reports.Fail, "x")},
			misled: []string{"the first cause of a must be x, it is none"},
		},
		"another red check is misled": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Fail, "x"), verdict("b", reports.Fail, "y")},
			misled: []string{"the first cause of b must be x, it is y"},
			first:  "x",
		},
		"nothing is red": {
			fault:  single,
			checks: []reports.Check{verdict("a", reports.Pass), verdict("b", reports.Skip)},
			missed: []string{"a must fail, it is pass", "b must fail, it is skip: because", "no check is anything but green"},
			misled: []string{"no check is there that could name x"},
		},
		"nothing must be red: the first unclear one names the cause": {
			fault:  unclear,
			checks: []reports.Check{verdict("c", reports.Pass), verdict("d", reports.Inconclusive, "x")},
			first:  "x",
		},
		"nothing must be red, and it is the wrong cause": {
			fault:  unclear,
			checks: []reports.Check{verdict("c", reports.Inconclusive, "y"), verdict("d", reports.Inconclusive, "x")},
			misled: []string{"the first cause of c must be x, it is y"},
			first:  "y",
		},
		"nothing must be red, and all is green": {
			fault:  unclear,
			checks: []reports.Check{verdict("c", reports.Pass), verdict("d", reports.Pass)},
			missed: []string{"no check is anything but green"},
			misled: []string{"no check is there that could name x"},
		},
		"the control is green": {fault: Fault{ID: Control}, checks: []reports.Check{verdict("a", reports.Pass), verdict("b", reports.Skip)}},
		"the control is not": {
			fault: Fault{ID: Control}, checks: []reports.Check{verdict("a", reports.Inconclusive, "x")},
			missed: []string{"a must pass, it is inconclusive: because"},
		},
		"both causes are named, wherever": {
			fault:  both,
			checks: []reports.Check{verdict("a", reports.Fail, "x"), verdict("b", reports.Fail, "z", "y"), verdict("c", reports.Inconclusive)},
			first:  "x + y",
		},
		"one cause is named only where nothing failed": {
			fault:  both,
			checks: []reports.Check{verdict("a", reports.Fail, "x"), verdict("c", reports.Inconclusive, "y")},
			misled: []string{"y is not named; named are x"},
			first:  "x",
		},
		"nothing failed, and both are named": {
			fault:  both,
			checks: []reports.Check{verdict("a", reports.Inconclusive, "y", "x")},
			first:  "x + y",
		},
		"two at once, and all is green": {
			fault:  both,
			checks: []reports.Check{verdict("a", reports.Pass)},
			missed: []string{"no check is anything but green"},
			misled: []string{"x is not named; named are none", "y is not named; named are none"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := Compare(c.fault, c.checks)
			assert.Equal(t, c.missed, r.Missed)
			assert.Equal(t, c.misled, r.Misled)
			assert.Equal(t, c.first, r.First)
			assert.Equal(t, len(c.missed) == 0, r.Caught())
			assert.Equal(t, len(c.misled) == 0, r.RightCause())
		})
	}
}

func judgedIDs(f Fault, o observe.Observation) (ids []string) {
	for _, c := range Judge(f, o) {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestChecksAreJudgedThatApply(t *testing.T) {
	usual := []string{
		sidecarInjected, certificatesMounted, certificateOwn, notIntercepted, monitorsAccepted,
		targetsComplete, targetsUp, metricsQueryable, mutualTLS, unmeshedScraped,
		plaintextRefused, noCertRefused, foreignRefused, doorsKnown,
	}
	assert.ElementsMatch(t, usual, judgedIDs(Fault{}, observe.Observation{}))
	assert.ElementsMatch(t, with(usual, scraperRotated, targetRotated), judgedIDs(Fault{Watch: true}, observe.Observation{}))
	assert.ElementsMatch(t, with(usual, strictDoors), judgedIDs(Fault{Optional: []string{strictDoors}}, observe.Observation{}))

	p := &monitoringv1.Prometheus{}
	p.Namespace = "fault-x"
	theirs, ours := &securityv1.AuthorizationPolicy{}, &securityv1.AuthorizationPolicy{}
	theirs.Namespace, ours.Namespace = "fault-y", "fault-x"
	o := observe.Observation{Prometheus: p, AuthorizationPolicies: []*securityv1.AuthorizationPolicy{theirs}}
	assert.ElementsMatch(t, usual, judgedIDs(Fault{}, o), "the policy of another subject is none of this one's")
	o.AuthorizationPolicies = append(o.AuthorizationPolicies, ours)
	assert.ElementsMatch(t, with(usual, identityAuthorized), judgedIDs(Fault{}, o))
}
