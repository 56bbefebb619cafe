package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/parcel"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sonobuoy"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// deliver gives the report to those who cannot read it here: to who reads the log of this
// pod, and to Sonobuoy. What holds a secret stays here, which is told already.
func (r *Run) deliver(dir string, leaks bool) error {
	if leaks {
		return nil
	}
	var err error
	if r.Deliver == deliverLog {
		err = parcel.Send(os.Stdout, r.ID, dir, spared, r.Terminal.Note)
	}
	return errors.Join(err, r.plugin.HandOver(func(w io.Writer) error { return parcel.Pack(w, dir, parcel.All) }))
}

// spared is what a report can do without if it is too large for a log: by what was
// observed others can judge it again, but it stands without.
func spared(name string) bool { return strings.HasPrefix(name, "observations/") }

// tell says to Sonobuoy what the run is at, if it is a plugin of it.
func (r *Run) tell(message string) {
	if r.plugin == nil {
		return
	}
	at := sonobuoy.Progress{Message: message, Total: r.Total, Completed: len(r.Report.Checks)}
	for _, c := range r.Report.Checks {
		if c.Verdict == reports.Fail {
			at.Failures = append(at.Failures, c.ID)
		}
	}
	r.plugin.Report(context.WithoutCancel(r.ctx), at)
}

// asPlugin is the plugin that this process is of Sonobuoy; nil if it is none.
func asPlugin() *sonobuoy.Plugin {
	return sonobuoy.FromEnvironment(os.Getenv, func(note string) { fmt.Fprintln(os.Stderr, note) })
}

// handOverEnd tells Sonobuoy how a process ended that has handed no report over, in the
// format that it reads, so that it does not wait for one until its own time is up.
func handOverEnd(p *sonobuoy.Plugin, code int) {
	if p == nil || p.Handed() {
		return
	}
	result, err := reports.JUnit(reports.Report{Error: &reports.SetupError{
		Phase:   "report",
		Message: fmt.Sprintf("the run handed no report over and ended with exit code %d (%s): the log of the plugin's pod says why", code, reports.ExitCode(code)),
	}})
	if err == nil {
		err = p.HandOver(func(w io.Writer) error { return parcel.PackFile(w, reports.JUnitFile, result) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
