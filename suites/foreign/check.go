package foreign

import (
	"fmt"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Check is something that must hold of guests.
type Check struct {
	ID    string // stable: added, never renamed
	Title string // what must hold, as a sentence
	// Assess judges a record. What it saw goes into the finding.
	Assess func(r Record, f *finding)
}

// Catalogue lists every check in the order in which they are judged.
func Catalogue() []Check {
	return []Check{attachJudgesRight, attachNeedsEachRule, attachChangesNothing}
}

// Judge applies a check. Without evidence nothing passes.
func (c Check) Judge(r Record) reports.Check {
	var f finding
	c.Assess(r, &f)
	result := reports.Check{ID: c.ID, Title: c.Title, Profile: Profile, Level: reports.Core, Evidence: f.evidence}
	switch {
	case len(f.failures) > 0:
		result.Verdict, result.Reason = reports.Fail, strings.Join(f.failures, "\n")
	case len(f.evidence) == 0:
		result.Verdict, result.Reason = reports.Inconclusive, "nothing was tried"
	default:
		result.Verdict = reports.Pass
	}
	return result
}

// finding collects what a check finds.
type finding struct {
	failures []string
	evidence []reports.Evidence
}

func (f *finding) fail(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

func (f *finding) saw(source, subject, format string, args ...any) {
	f.evidence = append(f.evidence, reports.Evidence{Source: source, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// Sources of evidence.
const (
	sourceReport = "the guest's report"
	sourceAudit  = "the API server's audit log"
)
