package reports

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// WriteFleet writes fleet.json and the page into dir, which it creates if need be, and
// returns the names of the files that it wrote; one that fails does not keep the other
// from being written. A reader finds the old file or the new one, never a part.
func WriteFleet(dir string, f Fleet) (written []string, err error) {
	var failed []error
	for _, file := range []struct {
		name   string
		render func() ([]byte, error)
	}{{FleetFile, f.JSON}, {FleetHTMLFile, f.HTML}} {
		data, err := file.render()
		if err == nil {
			err = replace(filepath.Join(dir, file.name), data)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		written = append(written, file.name)
	}
	return written, errors.Join(failed...)
}

// GitHub tells the run of a fleet to GitHub Actions, if it runs there: each cluster that is
// not conformant as an annotation on out, and the table in the summary of the job. getenv
// is os.Getenv but for tests.
func (f Fleet) GitHub(out io.Writer, getenv func(string) string) error {
	if getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	shown := 0
	for _, c := range f.Clusters {
		if c.ExitCode == ExitConformant || shown == mostAnnotations {
			continue
		}
		shown++
		if _, err := io.WriteString(out, command("error", c.Name+": "+c.Outcome, c.Headline)); err != nil {
			return fmt.Errorf("cannot write the annotations: %w; %s has what they say", err, FleetFile)
		}
	}
	return JobSummary(f.Markdown(), getenv)
}

// Markdown is the table of the clusters, for a job summary.
func (f Fleet) Markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s mTLS scrape conformance, fleet: %s\n\n%s\n\n| Cluster | Outcome |", mark(f.tone()), f.Word(), md(f.Headline()))
	names := f.profiles()
	for _, n := range names {
		fmt.Fprintf(&b, " %s |", md(n))
	}
	b.WriteString("\n| --- | --- |" + strings.Repeat(" --- |", len(names)) + "\n")
	for _, c := range f.Clusters {
		fmt.Fprintf(&b, "| %s | %s %s |", md(c.Name), mark(c.tone), md(c.Outcome))
		for _, n := range names {
			p := c.profile(n)
			fmt.Fprintf(&b, " %s%s |", mdVerdict(p.Verdict), map[bool]string{true: ", not claimed"}[p.Verdict == Pass && !p.Claimed])
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}

// Fleet ends the run of a fleet: a line a cluster, what kept one from being judged, the
// checks that are not passed everywhere, where the page is (path), the verdict. Its last
// line is that of [Terminal.Summary], over all clusters.
func (t *Terminal) Fleet(f Fleet, path string) {
	lines := append([]string{""}, t.fleetTable(f)...)
	if len(f.Checks) > 0 {
		lines = append(lines, t.bold("To look at"))
	}
	for _, k := range f.Checks {
		head := "  " + oneLine(k.ID)
		if !k.Counts {
			head += " (provisional, does not count)"
		}
		lines = append(lines, head)
		for _, r := range k.Results {
			if !r.troubled() {
				continue
			}
			text := r.Reason
			if r.Cause != nil {
				text = r.Cause.Change
			}
			lines = append(lines, "    "+oneLine(r.Cluster)+"  "+t.verdict(r.Verdict)+"  "+oneLine(text))
		}
	}
	if len(f.Checks) > 0 {
		lines = append(lines, "")
	}
	lines = append(lines, pad("Page", 8)+oneLine(path), "")
	lines = append(lines, t.ending(f.tone(), f.Word(), f.ExitCode, f.Headline())...)
	t.print(append(lines, "", lastLine(f.Tally()))...)
}

// fleetTable is a line a cluster: its name, the verdict of each profile, its outcome; and
// below it what is missing or went wrong.
func (t *Terminal) fleetTable(f Fleet) []string {
	names := f.profiles()
	width := len("Cluster")
	for _, c := range f.Clusters {
		width = max(width, utf8.RuneCountInString(oneLine(c.Name)))
	}
	head := pad("Cluster", width)
	for _, n := range names {
		head += "  " + pad(oneLine(n), profileColumn(n))
	}
	lines := []string{t.bold("  " + head + "  Outcome")}
	for _, c := range f.Clusters {
		line := "  " + pad(oneLine(c.Name), width)
		for _, n := range names {
			p := c.profile(n)
			word, shown := "-", "-"
			switch {
			case p.Verdict == Pass && !p.Claimed:
				word, shown = "not claimed", t.color(yellow, "not claimed")
			case p.Verdict != "":
				word, shown = verdictWords[p.Verdict], t.verdict(p.Verdict)
			}
			line += "  " + shown + strings.Repeat(" ", max(0, profileColumn(n)-utf8.RuneCountInString(word)))
		}
		lines = append(lines, fmt.Sprintf("%s  %s (exit code %d)", line, c.Outcome, c.ExitCode))
		if c.ExitCode != ExitConformant || c.tone != Pass {
			for _, l := range wrap(c.Headline, t.style.Width-width-4) {
				lines = append(lines, strings.Repeat(" ", width+4)+l)
			}
		}
	}
	return append(lines, "")
}

// verdictWords are verdicts as [Terminal.verdict] shows them, without their colours.
var verdictWords = map[Verdict]string{Pass: "pass", Fail: "FAIL", Skip: "skip", Inconclusive: "INCONCLUSIVE"}

// profileColumn is how wide the column of a profile is: it holds the longest verdict.
func profileColumn(name string) int {
	return max(utf8.RuneCountInString(oneLine(name)), len(Inconclusive))
}
