package faults

import (
	"fmt"
	"slices"
	"strings"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
)

// Judge has the conformance suite judge what was observed of a fault, by the checks
// that apply to its small set-up.
func Judge(f Fault, o observe.Observation) []reports.Check {
	var judged []reports.Check
	for _, c := range conformance.Catalogue() {
		if f.judges(c, o) {
			judged = append(judged, c.Verdict(o))
		}
	}
	return judged
}

// judges reports whether a check applies.
func (f Fault) judges(c conformance.Check, o observe.Observation) bool {
	switch {
	case slices.Contains(f.Optional, c.ID):
		return true
	case c.Optional:
		return false
	case c.Profile == conformance.ProfileSetup || c.Profile == conformance.ProfileScrape:
		return true
	case c.ID == identityAuthorized:
		return hasPolicy(o)
	case c.Profile == conformance.ProfileRefusal:
		return true
	case c.ID == scraperRotated || c.ID == targetRotated:
		return f.Watch
	}
	return false
}

// hasPolicy reports whether the subject has a policy by which somebody is admitted or
// not. Those of other subjects beside it do not concern it.
func hasPolicy(o observe.Observation) bool {
	return o.Admission != nil || o.Prometheus != nil && slices.ContainsFunc(o.AuthorizationPolicies, func(p *securityv1.AuthorizationPolicy) bool {
		return p != nil && p.Namespace == o.Prometheus.Namespace
	})
}

// Result is what came of a fault: the verdicts, and how they differ from what the
// catalogue says.
type Result struct {
	Checks []reports.Check
	// Missed says, in a sentence each, what is not as foretold of the verdicts; none if
	// the fault was caught exactly.
	Missed []string
	// Misled says the same of the causes.
	Misled []string
	// First is the first cause of the check that says it best; empty if it has none.
	First string
}

// Caught reports whether the fault turned red what it must and nothing else.
func (r Result) Caught() bool { return len(r.Missed) == 0 }

// RightCause reports whether the causes are as foretold.
func (r Result) RightCause() bool { return len(r.Misled) == 0 }

// Compare says how verdicts differ from what the catalogue says of a fault.
func Compare(f Fault, checks []reports.Check) Result {
	r := Result{Checks: checks}
	byID := map[string]reports.Check{}
	for _, c := range checks {
		byID[c.ID] = c
	}
	for _, id := range f.Red {
		c, ok := byID[id]
		switch {
		case !ok:
			r.miss("%s must fail, and was not judged", id)
		case c.Verdict != reports.Fail:
			r.miss("%s must fail, it is %s%s", id, c.Verdict, because(c))
		}
	}
	for _, c := range checks {
		good := c.Verdict == reports.Pass || c.Verdict == reports.Skip
		// Of a combination nothing is foretold: what one fault breaks may hide what the
		// other does.
		if !good && len(f.named) == 0 && !slices.Contains(f.Red, c.ID) && !slices.Contains(f.Unclear, c.ID) {
			r.miss("%s must pass, it is %s%s", c.ID, c.Verdict, because(c))
		}
	}
	if f.ID != Control && !slices.ContainsFunc(checks, troubled) {
		r.miss("no check is anything but green")
	}
	r.compareCauses(f, byID)
	return r
}

func (r *Result) miss(format string, args ...any) {
	r.Missed = append(r.Missed, fmt.Sprintf(format, args...))
}

func (r *Result) mislead(format string, args ...any) {
	r.Misled = append(r.Misled, fmt.Sprintf(format, args...))
}

// compareCauses: the check that says it best names the cause first, and so does
// every red check that names any.
func (r *Result) compareCauses(f Fault, byID map[string]reports.Check) {
	if len(f.named) > 0 {
		r.compareNamed(f)
		return
	}
	best := true
	for _, id := range f.witnesses(byID) {
		c := byID[id]
		first := "none"
		if len(c.Causes) > 0 {
			first = c.Causes[0].Code
		}
		if best {
			r.First = strings.TrimPrefix(first, "none")
		}
		if first != f.Cause && (best || len(c.Causes) > 0) {
			r.mislead("the first cause of %s must be %s, it is %s", id, f.Cause, first)
		}
		best = false
	}
	if best && f.Cause != "" {
		r.mislead("no check is there that could name %s", f.Cause)
	}
}

// witnesses are the checks whose causes count: the red ones or, if none must be, the
// first of the unclear ones that did not pass.
func (f Fault) witnesses(byID map[string]reports.Check) []string {
	if len(f.Red) > 0 {
		return slices.DeleteFunc(slices.Clone(f.Red), func(id string) bool { return byID[id].Verdict != reports.Fail })
	}
	for _, id := range f.Unclear {
		if troubled(byID[id]) {
			return []string{id}
		}
	}
	return nil
}

// compareNamed: each of several causes is named by some check that failed or, if
// none did, that could not tell.
func (r *Result) compareNamed(f Fault) {
	verdict := reports.Inconclusive
	if slices.ContainsFunc(r.Checks, func(c reports.Check) bool { return c.Verdict == reports.Fail }) {
		verdict = reports.Fail
	}
	var named []string
	for _, c := range r.Checks {
		for _, cause := range c.Causes {
			if c.Verdict == verdict && !slices.Contains(named, cause.Code) {
				named = append(named, cause.Code)
			}
		}
	}
	for _, code := range f.named {
		if !slices.Contains(named, code) {
			r.mislead("%s is not named; named are %s", code, orNone(named))
		}
	}
	r.First = strings.Join(slices.DeleteFunc(slices.Clone(f.named), func(code string) bool { return !slices.Contains(named, code) }), " + ")
}

func troubled(c reports.Check) bool {
	return c.Verdict == reports.Fail || c.Verdict == reports.Inconclusive
}

// because is the first line of why a check did not pass.
func because(c reports.Check) string {
	line, _, _ := strings.Cut(c.Reason, "\n")
	if line == "" {
		return ""
	}
	return ": " + line
}

// red are the checks that failed, in their order.
func red(checks []reports.Check) []string {
	var ids []string
	for _, c := range checks {
		if c.Verdict == reports.Fail {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
