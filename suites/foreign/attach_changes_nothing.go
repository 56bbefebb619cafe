package foreign

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// That nothing is changed is not for the guest to say: the API server keeps a log.
var attachChangesNothing = Check{
	ID:    "attach-changes-nothing",
	Title: "By the API server's audit log, a guest has created, changed and deleted nothing",
	Assess: func(r Record, f *reports.Assessment) {
		sent := 0
		for _, t := range append(slices.Clone(r.Attached), r.Without...) {
			sent += int(t.Report.APIRequests)
		}
		if len(r.Audited) < sent {
			f.Fail("the audit log has %d requests of the guest, and its reports count %d: it does not have them all", len(r.Audited), sent)
		}
		counts := map[string]int{}
		for _, e := range r.Audited {
			counts[describe(e)]++
			if !reads(e) {
				f.Fail("%s was sent at %s, from %s", describe(e), e.RequestReceivedTimestamp.Format("15:04:05"), e.UserAgent)
			}
		}
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			f.Saw(sourceAudit, user(reading), "%d times %s", counts[what], what)
		}
	},
}

// reads reports whether a request changed nothing: it was a read, or a question about
// one's own permissions, which is a POST by which nothing is stored.
func reads(e auditv1.Event) bool {
	switch e.Verb {
	case "get", "list", "watch":
		return true
	case "create":
		return e.ObjectRef != nil && e.ObjectRef.APIGroup == "authorization.k8s.io" && e.ObjectRef.Resource == "selfsubjectaccessreviews"
	}
	return false
}

// describe names a request as a rule does.
func describe(e auditv1.Event) string {
	if e.ObjectRef == nil {
		return fmt.Sprintf("%s %s", e.Verb, strings.SplitN(e.RequestURI, "?", 2)[0])
	}
	what := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		what += "/" + e.ObjectRef.Subresource
	}
	if e.ObjectRef.APIGroup != "" {
		what += "." + e.ObjectRef.APIGroup
	}
	return e.Verb + " " + what
}
