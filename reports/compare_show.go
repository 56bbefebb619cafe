package reports

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

const (
	// mostChanges is how many lanes with lost scrapes are listed; the sum is always
	// told.
	mostChanges = 20
	// noteColumn is where the note of a check stands at most, behind its ID: two blanks,
	// two verdicts with an arrow, two blanks.
	noteColumn = 32
	// shortest is how many characters of a note are shown at least.
	shortest = 20
	// slower is how much longer, in seconds, something must take to be listed: less is
	// the chance of the day.
	slower = 1.0
)

// changeTitles are the groups of checks in the order in which they are shown.
var changeTitles = []struct {
	change Change
	title  string
}{{Worse, "Worse"}, {Vanished, "Vanished"}, {Appeared, "Appeared"}, {Changed, "Changed, no better and no worse"}, {Better, "Better"}}

// Comparison shows a comparison to a person.
func (t *Terminal) Comparison(c Comparison) {
	row := func(label string, s Side) string {
		return fmt.Sprintf("%s %s  %s  %s (exit code %d)", pad(label, 7), oneLine(s.RunID), stamp(s.StartedAt), s.ExitCode, s.ExitCode)
	}
	lines := []string{row("Before", c.Before), row("After", c.After), ""}
	for _, g := range changeTitles {
		lines = append(lines, t.changes(g.title, c.of(g.change))...)
	}
	if n := len(c.of(Unchanged)); n > 0 {
		lines = append(lines, "Unchanged: "+count(n, "check"), "")
	}
	table := func(title string, rows [][2]string) {
		if len(rows) == 0 {
			return
		}
		width := 0
		for _, r := range rows {
			width = max(width, utf8.RuneCountInString(r[0]))
		}
		lines = append(lines, t.bold(title))
		for _, r := range rows {
			lines = append(lines, "  "+pad(r[0], width)+"  "+r[1])
		}
		lines = append(lines, "")
	}
	table("Subject", c.subjectRows(oneLine))
	table("Time", c.timeRows(oneLine))
	table("Lost scrapes", c.lostRows(oneLine))
	table("Allow-list", c.listRows(oneLine))
	code := yellow
	switch c.ExitCode {
	case ExitConformant:
		code = green
	case ExitCheckFailed:
		code = red
	}
	lines = append(lines, t.color(bold+";"+code, fmt.Sprintf("%s (exit code %d)", strings.ToUpper(c.Headline()), c.ExitCode)))
	for _, f := range c.Findings {
		for i, l := range wrap(f, t.style.Width-4) {
			lines = append(lines, []string{"  - ", "    "}[min(i, 1)]+l)
		}
	}
	t.print(lines...)
}

// changes are the checks of one group.
func (t *Terminal) changes(title string, checks []CheckChange) []string {
	if len(checks) == 0 {
		return nil
	}
	width := 0
	for _, k := range checks {
		width = max(width, utf8.RuneCountInString(oneLine(k.ID)))
	}
	lines := []string{t.bold(title)}
	for _, k := range checks {
		line := "  " + pad(oneLine(k.ID), width) + "  "
		switch k.Change {
		case Vanished:
			line += t.verdict(k.Before)
		case Appeared:
			line += t.verdict(k.After)
		default:
			line += t.verdict(k.Before) + " -> " + t.verdict(k.After)
		}
		if note := k.note(oneLine); note != "" {
			// What counts is told in whole below; a line of the list is to be scanned.
			line += "  " + short(max(shortest, t.style.Width-width-noteColumn), note)
		}
		lines = append(lines, line)
	}
	return append(lines, "")
}

// note is what there is to say of a check beside its verdicts; show makes foreign
// text fit to be shown.
func (k CheckChange) note(show func(string) string) string {
	var s []string
	if k.Allowed != "" {
		s = append(s, "(allowed: "+show(k.Allowed)+")")
	}
	if !k.Counts {
		s = append(s, "(provisional, does not count)")
	}
	if k.Reason != "" && k.After != Pass {
		first, _, _ := strings.Cut(k.Reason, "\n")
		s = append(s, show(first))
	}
	return strings.Join(s, " ")
}

func (c Comparison) subjectRows(show func(string) string) [][2]string {
	var rows [][2]string
	for _, f := range c.Subject {
		rows = append(rows, [2]string{f.Name, or(show(f.Before)) + " -> " + or(show(f.After))})
	}
	return rows
}

// or names what is empty.
func or(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// timeRows are the durations that changed enough to be told.
func (c Comparison) timeRows(show func(string) string) [][2]string {
	rows := [][2]string{{"in all", moved(c.Before.Seconds, c.After.Seconds)}}
	for _, p := range c.Phases {
		if math.Abs(p.AfterSeconds-p.BeforeSeconds) >= slower {
			rows = append(rows, [2]string{show(p.Name), moved(p.BeforeSeconds, p.AfterSeconds)})
		}
	}
	for _, k := range c.Checks {
		if math.Abs(k.AfterSeconds-k.BeforeSeconds) >= slower {
			rows = append(rows, [2]string{show(k.ID), moved(k.BeforeSeconds, k.AfterSeconds)})
		}
	}
	return rows
}

func moved(before, after float64) string {
	sign := "+"
	if after < before {
		sign = "-"
	}
	return fmt.Sprintf("%s -> %s (%s%s)", seconds(span(before)), seconds(span(after)), sign, seconds(span(math.Abs(after-before))))
}

func (c Comparison) lostRows(show func(string) string) [][2]string {
	if len(c.Lost) == 0 {
		return nil
	}
	rows := [][2]string{
		{"in all", fmt.Sprintf("%d -> %d", c.Before.LostScrapes, c.After.LostScrapes)},
		{"not excused by a check", fmt.Sprintf("%d -> %d", c.Before.Unexcused, c.After.Unexcused)},
	}
	for i, l := range c.Lost {
		if i == mostChanges {
			rows = append(rows, [2]string{fmt.Sprintf("and %d more", len(c.Lost)-i), ""})
			break
		}
		rows = append(rows, [2]string{show(l.Subject), fmt.Sprintf("%d -> %d", l.Before, l.After)})
	}
	return rows
}

// listRows are the entries of the allow-list that should go.
func (c Comparison) listRows(show func(string) string) [][2]string {
	var rows [][2]string
	for _, a := range c.Expired {
		rows = append(rows, [2]string{a.ID, "expired on " + a.Expires.Format("2006-01-02") + " and does not count: " + show(a.Reason)})
	}
	for _, a := range c.Unused {
		rows = append(rows, [2]string{a.ID, "is not worse, so that the entry can go: " + show(a.Reason)})
	}
	return rows
}

// Markdown is the comparison for a job summary.
func (c Comparison) Markdown() []byte {
	var b strings.Builder
	sign := mark(Inconclusive)
	switch c.ExitCode {
	case ExitConformant:
		sign = mark(Pass)
	case ExitCheckFailed:
		sign = mark(Fail)
	}
	fmt.Fprintf(&b, "# %s mTLS scrape conformance: %s\n\n", sign, c.Headline())
	for _, f := range c.Findings {
		fmt.Fprintf(&b, "- %s\n", md(f))
	}
	if len(c.Findings) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("| | Run | Started | Outcome |\n| --- | --- | --- | --- |\n")
	for _, s := range []struct {
		label string
		Side
	}{{"Before", c.Before}, {"After", c.After}} {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.label, md(s.RunID), stamp(s.StartedAt), s.ExitCode)
	}
	b.WriteString("\n")
	for _, g := range changeTitles {
		checks := c.of(g.change)
		if len(checks) == 0 {
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n| Check | Before | After | |\n| --- | --- | --- | --- |\n", g.title)
		for _, k := range checks {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", md(k.ID), mdVerdict(k.Before), mdVerdict(k.After), k.note(md))
		}
		b.WriteString("\n")
	}
	if n := len(c.of(Unchanged)); n > 0 {
		fmt.Fprintf(&b, "Unchanged: %s\n\n", count(n, "check"))
	}
	table := func(title string, rows [][2]string) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(&b, "## %s\n\n| | |\n| --- | --- |\n", title)
		for _, r := range rows {
			fmt.Fprintf(&b, "| %s | %s |\n", r[0], r[1])
		}
		b.WriteString("\n")
	}
	table("Subject", c.subjectRows(md))
	table("Time", c.timeRows(md))
	table("Lost scrapes", c.lostRows(md))
	table("Allow-list", c.listRows(md))
	return []byte(b.String())
}

// mdVerdict is a verdict in a table; that of a report without the check is a dash.
func mdVerdict(v Verdict) string {
	if v == "" {
		return "–"
	}
	return mark(v) + " " + verdictWord(v)
}
