package run

import (
	"errors"
	"os"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// compare says what became of a subject from one report to another, also in the
// summary of a job that runs it, and returns the exit code for a gate.
func compare(c Config) int {
	found, err := reports.CompareFiles(c.Before, c.After, c.Allow, time.Now())
	if err != nil {
		return usage(err)
	}
	err = c.show(found, func(t *reports.Terminal) { t.Comparison(found) })
	return concluded(found.ExitCode, errors.Join(err, reports.JobSummary(found.Markdown(), os.Getenv)))
}

// The formats in which a comparison and a verification are shown.
const (
	formatText = "text"
	formatJSON = "json"
)

// show writes what was found: to a machine all of it, to a person as text does.
func (c Config) show(found interface{ JSON() ([]byte, error) }, text func(*reports.Terminal)) error {
	if c.Format == formatText {
		text(reports.NewTerminal(os.Stdout, reports.StyleOf(os.Stdout)))
		return nil
	}
	data, err := found.JSON()
	if err == nil {
		_, err = os.Stdout.Write(data)
	}
	return err
}
