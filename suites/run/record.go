package run

import (
	"path/filepath"
	"testing"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Add puts a check's result into the report and shows it.
func (r *Run) Add(c reports.Check) {
	r.Report.Checks = append(r.Report.Checks, c)
	r.Terminal.Check(len(r.Report.Checks), r.Total, c)
	r.tell(c.ID + ": " + string(c.Verdict))
}

// Record is Add from within a test, which fails with the check. What the test
// framework prints of it is left to the terminal.
func (r *Run) Record(t *testing.T, c reports.Check) {
	t.Helper()
	r.Add(c)
	if c.Verdict != reports.Pass && c.Verdict != reports.Skip && c.Level.Gates() {
		t.Fail()
	}
}

// Interrupted reports whether somebody asked for the end of the run.
func (r *Run) Interrupted() bool { return r.ctx.Err() != nil }

// OutDir is the folder of this run's report.
func (r *Run) OutDir() string { return filepath.Join(r.Out, r.ID) }
