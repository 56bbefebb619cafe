package foreign

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// Check is something that must hold of guests.
type Check struct {
	ID    string // stable: added, never renamed
	Title string // what must hold, as a sentence
	// Assess judges a record. What it saw goes into the finding.
	Assess func(r Record, f *reports.Assessment)
}

// Catalogue lists every check in the order in which they are judged.
func Catalogue() []Check {
	return []Check{attachJudgesRight, attachNeedsEachRule, attachChangesNothing, sandboxJudgesRight, sandboxStaysWithin}
}

// Judge applies a check. Without evidence nothing passes.
func (c Check) Judge(r Record) reports.Check {
	var f reports.Assessment
	c.Assess(r, &f)
	return f.Conclude(reports.Check{ID: c.ID, Title: c.Title, Profile: Profile, Level: reports.Core})
}

// Sources of evidence.
const (
	sourceReport = "the guest's report"
	sourceAudit  = "the API server's audit log"
)
