package foreign

import (
	"maps"
	"slices"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Who lets us in to make something of our own wants to be sure that it is only that.
var sandboxStaysWithin = Check{
	ID:    "sandbox-stays-within",
	Title: "By the API server's audit log, whoever made the sandbox has changed nothing but its namespace and what is in it, and has removed it",
	Assess: func(r Record, f *reports.Assessment) {
		counts := map[string]int{}
		removed := false
		for _, e := range r.Within {
			if reads(e) {
				continue
			}
			counts[describe(e)]++
			if !within(e) {
				f.Fail("%s %s/%s was sent at %s", describe(e), e.ObjectRef.Namespace, e.ObjectRef.Name, e.RequestReceivedTimestamp.Format("15:04:05"))
			}
			removed = removed || e.Verb == "delete" && e.ObjectRef.Resource == "namespaces" && e.ObjectRef.Name == sandbox.Namespace
		}
		if len(counts) > 0 && !removed {
			f.Fail("the namespace %s was not removed", sandbox.Namespace)
		}
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			f.Saw(sourceAudit, user(making), "%d times %s", counts[what], what)
		}
	},
}

// within reports whether a change is one of the sandbox: the namespace itself, something
// in it, or a question about permissions, by which nothing is stored.
func within(e auditv1.Event) bool {
	switch o := e.ObjectRef; {
	case o == nil:
		return false
	case o.APIGroup == "authorization.k8s.io" && e.Verb == "create":
		return true
	case o.Resource == "namespaces": // what is created may not be named in the request
		return o.Name == sandbox.Namespace || o.Name == "" && e.Verb == "create"
	default:
		return o.Namespace == sandbox.Namespace
	}
}
