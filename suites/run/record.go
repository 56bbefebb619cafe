package run

import (
	"path/filepath"
	"testing"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Record puts a check's result into the report and shows it. The test fails with
// the check; what the test framework prints of it is left to the terminal.
func (r *Run) Record(t *testing.T, c reports.Check) {
	t.Helper()
	r.Report.Checks = append(r.Report.Checks, c)
	r.Terminal.Check(len(r.Report.Checks), r.Total, c)
	if c.Verdict != reports.Pass && c.Verdict != reports.Skip && c.Level.Gates() {
		t.Fail()
	}
}

// OutDir is the folder of this run's report.
func (r *Run) OutDir() string { return filepath.Join(r.Out, r.ID) }
