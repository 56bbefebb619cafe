package foreign

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
)

// as is a report in which some checks failed and others passed.
func as(w want) Trial {
	t := Trial{Name: w.Name, Prometheus: w.Prometheus, ExitCode: w.ExitCode, Report: reports.Report{APIRequests: 60}}
	for i, id := range w.Red {
		c := reports.Check{ID: id, Verdict: reports.Fail}
		if i == 0 {
			c.Causes = []reports.Cause{{Code: w.Cause}}
		}
		t.Report.Checks = append(t.Report.Checks, c)
	}
	for _, id := range w.Passed {
		t.Report.Checks = append(t.Report.Checks, reports.Check{ID: id, Verdict: reports.Pass})
	}
	return t
}

// good is a record in which all is as it must be.
func good() Record {
	var r Record
	for _, w := range wanted() {
		r.Attached = append(r.Attached, as(w))
	}
	for _, rule := range observe.Rules() {
		t := as(wanted()[0])
		t.Without = rule
		for i, c := range t.Report.Checks {
			if conformance.NeededBy(rule)[c.ID] {
				t.Report.Checks[i].Verdict, t.Report.Checks[i].Reason = reports.Inconclusive, "(the missing rule: "+rule.String()+")"
			}
		}
		r.Without = append(r.Without, t)
	}
	for range (len(r.Attached) + len(r.Without)) * 60 {
		r.Audited = append(r.Audited, request("list", "", "pods"))
	}
	r.Sandbox = []Trial{{Report: reports.Report{}}}
	for _, profile := range []string{"setup", "scrape", "refusal", "rotation"} {
		r.Sandbox[0].Report.Checks = append(r.Sandbox[0].Report.Checks, reports.Check{ID: profile + "-x", Profile: profile, Verdict: reports.Pass})
	}
	r.Within = []auditv1.Event{inside("create", "namespaces", ""), inside("patch", "services", "x"), inside("delete", "namespaces", sandbox.Namespace)}
	return r
}

// inside is a change of the sandbox.
func inside(verb, resource, name string) auditv1.Event {
	e := request(verb, "", resource)
	e.ObjectRef.Namespace, e.ObjectRef.Name = sandbox.Namespace, name
	return e
}

func request(verb, group, resource string) auditv1.Event {
	return auditv1.Event{Verb: verb, ObjectRef: &auditv1.ObjectReference{APIGroup: group, Resource: resource}}
}

func TestWhatIsAsItMustBePasses(t *testing.T) {
	r := good()
	r.Audited = append(r.Audited, request("create", "authorization.k8s.io", "selfsubjectaccessreviews"), auditv1.Event{Verb: "get", RequestURI: "/version?timeout=3s"})
	for _, c := range Catalogue() {
		result := c.Judge(r)
		assert.Equal(t, reports.Pass, result.Verdict, "%s: %s", c.ID, result.Reason)
		assert.Equal(t, reports.Inconclusive, c.Judge(Record{}).Verdict, "%s of nothing", c.ID)
	}
}

func TestWhatIsNotAsItMustBeFails(t *testing.T) {
	for name, c := range map[string]struct {
		check Check
		spoil func(r *Record)
		says  string
	}{
		"a bad one passes": {attachJudgesRight, func(r *Record) { r.Attached[2] = as(want{Name: "wrong-file"}) }, "the exit code is 0, not 1"},
		"another cause":    {attachJudgesRight, func(r *Record) { r.Attached[3].Report.Checks[0].Causes[0].Code = "other" }, "the first cause of targets-up is other"},
		"a false alarm":    {attachJudgesRight, func(r *Record) { r.Attached[0].Report.Checks[1].Verdict = reports.Fail }, `monitors-accepted is "fail"`},
		"a check is gone":  {attachJudgesRight, func(r *Record) { r.Attached[1].Report.Checks = r.Attached[1].Report.Checks[1:] }, `prometheus-sidecar-injected is "", not passed`},
		"a pass without the rule": {attachNeedsEachRule, func(r *Record) {
			for i := range r.Without[1].Report.Checks {
				r.Without[1].Report.Checks[i].Verdict = reports.Pass
			}
		}, "does not name the rule"},
		"a rule not tried":     {attachNeedsEachRule, func(r *Record) { r.Without = r.Without[1:] }, "rules were withheld"},
		"nothing judged":       {attachNeedsEachRule, func(r *Record) { r.Without[0].Report.Checks = nil }, "no check was judged"},
		"a change":             {attachChangesNothing, func(r *Record) { r.Audited[7] = request("delete", "", "pods") }, "delete pods was sent"},
		"another review":       {attachChangesNothing, func(r *Record) { r.Audited[7] = request("create", "authorization.k8s.io", "subjectaccessreviews") }, "was sent"},
		"a sandbox that fails": {sandboxJudgesRight, func(r *Record) { r.Sandbox[0].Report.Checks[2].Verdict = reports.Fail }, `refusal-x is "fail"`},
		"a leftover":           {sandboxJudgesRight, func(r *Record) { r.Sandbox[0].ExitCode = 3 }, "the exit code is 3"},
		"a profile not judged": {sandboxJudgesRight, func(r *Record) { r.Sandbox[0].Report.Checks = r.Sandbox[0].Report.Checks[1:] }, "no check of the profile setup"},
		"a change elsewhere":   {sandboxStaysWithin, func(r *Record) { r.Within[1].ObjectRef.Namespace = "shop" }, "patch services shop/x was sent"},
		"another namespace":    {sandboxStaysWithin, func(r *Record) { r.Within[2].ObjectRef.Name = "shop" }, "was sent"},
		"a sandbox that stays": {sandboxStaysWithin, func(r *Record) { r.Within = r.Within[:2] }, "was not removed"},
		"a log cut off":        {attachChangesNothing, func(r *Record) { r.Audited = r.Audited[:10] }, "does not have them all"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			c.spoil(&r)
			result := c.check.Judge(r)
			assert.Equal(t, reports.Fail, result.Verdict)
			assert.Contains(t, result.Reason, c.says)
		})
	}
}

// roleLess is the role of manifests/certify as it is granted without some rules.
func roleLess(t *testing.T, less ...observe.Rule) rbacv1.ClusterRole {
	t.Helper()
	objects, err := manifests.Read(manifests.Certify)
	require.NoError(t, err)
	for _, u := range objects {
		if u.GetKind() == "ClusterRole" && u.GetName() == reading {
			require.NoError(t, edit(u, less))
			return decode(t, u)
		}
	}
	t.Fatal("manifests/certify has no such role")
	return rbacv1.ClusterRole{}
}

func decode(t *testing.T, u *unstructured.Unstructured) (r rbacv1.ClusterRole) {
	t.Helper()
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &r))
	return r
}

// grants are what a role grants, one word each.
func grants(r rbacv1.ClusterRole) (all []string) {
	for _, p := range r.Rules {
		for _, resource := range p.Resources {
			all = append(all, p.APIGroups[0]+"/"+resource)
		}
		all = append(all, p.ResourceNames...)
	}
	return all
}

func TestARuleIsWithheldAndNoOther(t *testing.T) {
	whole := grants(roleLess(t))
	assert.Contains(t, whole, "istio-prod", "the control plane's configuration is called after its revision")
	for _, rule := range observe.Rules() {
		gone := 1
		if rule.Name == "istio" {
			gone = 2 // with the revision's
		}
		assert.Len(t, grants(roleLess(t, rule)), len(whole)-gone, rule.String())
	}
}
