package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// FleetCluster is one of several clusters that are judged side by side.
type FleetCluster struct {
	Context string // of the kubeconfig
	Prom    string // its Prometheus, as in -prom; empty for what that says
}

// String names the cluster as the user does.
func (c FleetCluster) String() string {
	if c.Prom == "" {
		return c.Context
	}
	return c.Context + "=" + c.Prom
}

// fleetParallel is how many clusters are judged at a time. A pass over ten thousand
// targets takes 5 s of a processor and 300 MiB, and most of a pass is waiting.
const fleetParallel = 4

// parseContexts reads the clusters of a fleet, as in "a,b=monitoring/k8s". A context's
// name may have a slash or a colon in it, as those of clouds do.
func parseContexts(s string) ([]FleetCluster, error) {
	if s == "" {
		return nil, nil
	}
	var all []FleetCluster
	for text := range strings.SplitSeq(s, ",") {
		c := FleetCluster{Context: strings.TrimSpace(text)}
		if i := strings.LastIndex(c.Context, "="); i >= 0 {
			c.Context, c.Prom = c.Context[:i], c.Context[i+1:]
		}
		if c.Context == "" {
			return nil, fmt.Errorf("%q has a context without a name: use a,b or a=namespace/prometheus,b", s)
		}
		if slices.Contains(all, c) {
			return nil, fmt.Errorf("%s is there twice", c)
		}
		all = append(all, c)
	}
	return all, nil
}

// checkFleet finds what does not go together with several clusters.
func (c *Config) checkFleet() error {
	switch {
	case len(c.Contexts) == 0:
		return nil
	case c.Mode != Attach:
		return UsageError{fmt.Errorf("contexts are for attach (`make certify`): mode %q takes one -context", c.Mode)}
	case c.Context != "":
		return UsageError{errors.New("give -context for one cluster or -contexts for several, not both")}
	}
	return nil
}

// fleet judges several clusters side by side, each with a report of its own, and writes
// one page about them all. What happens to one stops no other. The exit code is the worst,
// by the order of [reports.Worst].
func (r *Run) fleet() int {
	stop := r.handleSignals()
	defer stop()
	r.Terminal.Configuration(r.Report.Configuration)
	members := make([]reports.Member, len(r.Contexts))
	var g errgroup.Group
	g.SetLimit(fleetParallel)
	for i, c := range r.Contexts {
		g.Go(func() error {
			members[i] = r.member(c, fmt.Sprintf("%02d-%s", i+1, folderName(c.String())))
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in the members
	fleet := reports.FleetOf(reports.Fleet{RunID: r.ID, Suite: r.Report.Suite, StartedAt: r.Report.StartedAt, EndedAt: time.Now().UTC()}, members)
	dir := r.OutDir()
	written, err := reports.WriteFleet(dir, fleet)
	if err == nil {
		err = reports.Link(r.Out, r.ID)
	}
	if len(written) > 0 { // the clusters' own runs have searched the rest
		err = errors.Join(err, reports.NoSecrets(dir, written...))
	}
	err = errors.Join(err, fleet.GitHub(os.Stdout, os.Getenv))
	r.Terminal.Fleet(fleet, filepath.Join(dir, reports.FleetHTMLFile))
	return concluded(fleet.ExitCode, err)
}

// folderName is a name as that of a folder and of a part of a URL.
func folderName(name string) string {
	const longest = 60
	name = unfitForFolders.ReplaceAllString(name, "-")
	return strings.Trim(name[:min(len(name), longest)], "-.")
}

var unfitForFolders = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// member judges one cluster of a fleet, with its reports in a folder of that name, and
// says what came of it.
func (r *Run) member(c FleetCluster, folder string) reports.Member {
	m := reports.Member{Name: c.String(), ExitCode: reports.ExitInterrupted, Error: "it was not begun: the run was interrupted"}
	if r.ctx.Err() != nil {
		return m
	}
	dir, code, said := r.passOver(c, filepath.Join(r.OutDir(), folder))
	m.ExitCode, m.Error = code, ""
	if dir != "" {
		report, err := reports.Read(dir)
		if err == nil {
			m.Report, m.Dir = &report, folder+"/"+filepath.Base(dir)
			if report.ExitCode != code {
				m.Error = said
			}
			return m
		}
		said = strings.TrimSpace(err.Error() + "\n" + said)
	}
	if m.Error = said; said == "" {
		m.Error = fmt.Sprintf("its run ended with code %d and wrote no report", code)
	}
	if r.ctx.Err() != nil {
		m.ExitCode, m.Error = reports.ExitInterrupted, "it was interrupted before there was a report"
	}
	return m
}

// passOver is the run of one cluster: it takes which one and the folder for its reports,
// and returns the directory of its report (empty if it wrote none), its exit code, and
// the end of what it said of errors.
//
// It is a process of its own, this binary once more: the flags, the tests and what they
// look at, the output, the limit on memory and the types that client-go knows are one a
// process. It is a group of its own as well, since Ctrl-C goes to all of a group at once,
// and twice means to leave at once: it is told of an interrupt here, and only once.
func (r *Run) passOver(c FleetCluster, out string) (dir string, code reports.ExitCode, said string) {
	self, err := os.Executable()
	if err != nil {
		return "", reports.ExitSetupFailed, "finding this program to run it for the cluster: " + err.Error()
	}
	lines := &lineWriter{line: func(text string) { r.Terminal.Line(c.String(), text) }, quietUntilBlank: true}
	complaints := &bytes.Buffer{}
	errorLines := &lineWriter{line: lines.line}
	cmd := exec.CommandContext(r.ctx, self, memberArguments(os.Args[1:], c, r.Prom, out)...)
	// What GitHub is told of a fleet is told once, of all clusters.
	cmd.Env = append(os.Environ(), "GITHUB_ACTIONS=")
	cmd.Stdout, cmd.Stderr = lines, io.MultiWriter(complaints, errorLines)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = finishTimeout
	err = cmd.Run()
	lines.end()
	errorLines.end()
	code = reports.ExitSetupFailed
	if cmd.ProcessState != nil && cmd.ProcessState.Exited() {
		code = reports.ExitCode(cmd.ProcessState.ExitCode())
	} else if err != nil {
		fmt.Fprintf(complaints, "running it: %v\n", err)
	}
	if run, err := os.Readlink(filepath.Join(out, "latest")); err == nil {
		dir = filepath.Join(out, run)
	}
	return dir, code, lastOf(complaints.String())
}

// memberArguments are this process' own, with one cluster in place of all of them: what
// comes last counts.
func memberArguments(own []string, c FleetCluster, prom, out string) []string {
	if n := len(own); n > 0 && own[n-1] == "--" {
		own = own[:n-1] // nothing may come behind it
	}
	if c.Prom != "" {
		prom = c.Prom
	}
	return append(slices.Clone(own), "-contexts=", "-context="+c.Context, "-prom="+prom, "-out="+out)
}

// mostSaid bounds, in bytes, what is kept of what a cluster's run said of errors.
const mostSaid = 2000

// lastOf is the end of a text, from the beginning of a line if it has one.
func lastOf(text string) string {
	text = strings.TrimSpace(text)
	if len(text) <= mostSaid {
		return text
	}
	text = strings.ToValidUTF8(text[len(text)-mostSaid:], "")
	if _, rest, ok := strings.Cut(text, "\n"); ok {
		return rest
	}
	return text
}

// lineWriter hands whole lines on.
type lineWriter struct {
	line func(text string)
	// quietUntilBlank leaves out what comes before the first blank line: a run begins with
	// its configuration, which of a fleet is one and was shown.
	quietUntilBlank bool

	mu   sync.Mutex
	rest []byte
}

// Write never fails: what cannot be shown is in the report.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w.rest = rest
		w.hand(string(line))
	}
}

// hand passes a line on that says something.
func (w *lineWriter) hand(line string) {
	blank := strings.TrimSpace(line) == ""
	if !blank && !w.quietUntilBlank {
		w.line(line)
	}
	w.quietUntilBlank = w.quietUntilBlank && !blank
}

// end hands on what has no end of line.
func (w *lineWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hand(string(w.rest))
	w.rest = nil
}
