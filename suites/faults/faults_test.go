package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// current is the session that TestFaults belongs to; there is one a process.
var (
	current *Session
	options Options
)

func init() {
	flag.IntVar(&options.Parallel, "parallel", Parallel, "how many faults to try at a time")
	flag.StringVar(&options.Record, "record", "", "folder for recordings of what was observed, for the tests")
}

func TestMain(m *testing.M) {
	os.Exit(run.Main(m, run.Suite{
		Test:    "TestFaults",
		Variant: &ClusterVariant,
		Plan:    func(r *run.Run) (err error) { current, err = NewSession(r); return err },
		DryRun:  func(*run.Run) { fmt.Print(current.DryRun()) },
		Explain: func(*run.Run) error { return current.Explain() },
	}))
}

// TestFaults tries the faults for real. It fails with each that is not caught by the
// checks that must catch it, or not for the right cause.
func TestFaults(t *testing.T) {
	s := current
	if s.run.Mode == run.Up {
		return // the cluster was asked for, not a verdict
	}
	assert.NoError(t, s.Try(options, func(c reports.Check) { s.run.Record(t, c) }))
	table, err := s.Table()
	assert.NoError(t, err)
	fmt.Print(table)
}
