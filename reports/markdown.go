package reports

import (
	"fmt"
	"strings"
)

// MarkdownFile is the file for job summaries, issues and chats.
const MarkdownFile = "summary.md"

// mdSeen is how many pieces of evidence of a check summary.md repeats.
const mdSeen = 20

// Markdown renders a report in GitHub's Markdown: the verdict, the profiles, and of
// each check that is not a pass why, and what to change.
func Markdown(r Report) ([]byte, error) {
	r.Conclude()
	var b strings.Builder
	mdHead(&b, r)
	mdRemedies(&b, r)
	for _, i := range troubled(r) {
		mdCheck(&b, r.Checks[i])
	}
	mdOthers(&b, r)
	mdEnvironment(&b, r)
	return []byte(b.String()), nil
}

// markdownHead is Markdown for a place that has no room for more.
func markdownHead(r Report) []byte {
	r.Conclude()
	var b strings.Builder
	mdHead(&b, r)
	fmt.Fprintf(&b, "The details are too long to be shown here; they are in %s.\n", MarkdownFile)
	return []byte(b.String())
}

// mark makes a verdict seen in a list at a glance.
func mark(v Verdict) string {
	switch v {
	case Pass:
		return "✅"
	case Fail:
		return "❌"
	case Skip:
		return "➖"
	}
	return "⚠️"
}

// mdHead is what everybody reads.
func mdHead(b *strings.Builder, r Report) {
	fmt.Fprintf(b, "# %s mTLS scrape conformance: %s\n\n", mark(r.tone()), r.Word())
	fmt.Fprintf(b, "%s\n\n", md(r.Headline()))
	if r.Error != nil {
		fmt.Fprintf(b, "**Set-up failed in phase %s:**\n\n%s\n\n", md(r.Error.Phase), mdCode(block(r.Error.Message)))
	}
	if len(r.Profiles) > 0 {
		b.WriteString("| Profile | Verdict | Passed | Failed | Inconclusive | Skipped |\n| --- | --- | ---: | ---: | ---: | ---: |\n")
		for _, p := range r.Profiles {
			less := ""
			if p.Verdict == Pass && !p.Claimed {
				less = ", not claimed"
			}
			fmt.Fprintf(b, "| %s | %s %s%s | %d | %d | %d | %d |\n", md(p.Name), mark(p.Verdict), p.Verdict, less, p.Passed, p.Failed, p.Inconclusive, p.Skipped)
		}
		b.WriteString("\n")
	}
	if len(r.Leftovers) > 0 {
		b.WriteString("**Left behind** (`make clean` removes what a run left):\n\n")
		for _, l := range r.Leftovers[:min(len(r.Leftovers), mdSeen)] {
			fmt.Fprintf(b, "- %s\n", md(l))
		}
		mdMore(b, len(r.Leftovers)-mdSeen)
		b.WriteString("\n")
	}
}

// mdRemedies are what to change, each once, since one mistake turns many checks red.
func mdRemedies(b *strings.Builder, r Report) {
	all := remedies(r)
	if len(all) == 0 {
		return
	}
	b.WriteString("**To look at:**\n\n")
	for _, m := range all {
		var names []string
		for _, i := range m.Checks {
			c := r.Checks[i]
			names = append(names, mark(c.outcome())+" "+md(c.ID))
		}
		change := "No cause is known"
		if m.Cause.Code != "" {
			change = md(m.Cause.Change)
		}
		fmt.Fprintf(b, "- %s: %s\n", change, strings.Join(names, ", "))
	}
	b.WriteString("\n")
}

func mdCheck(b *strings.Builder, c Check) {
	fmt.Fprintf(b, "## %s %s: %s", mark(c.outcome()), md(c.ID), c.outcome())
	if !c.Level.Gates() {
		b.WriteString(" (provisional, does not count)")
	}
	fmt.Fprintf(b, "\n\n*Must hold:* %s\n\n*Why:* %s\n\n", md(c.Title), mdLines(c.Reason))
	for i, k := range c.Causes {
		fmt.Fprintf(b, "%d. **%s** (%s): %s\n", i+1, md(k.Code), md(string(k.Confidence)), md(k.Seen))
		fmt.Fprintf(b, "   - *Change:* %s\n", md(k.Change))
		if k.Doc != "" {
			fmt.Fprintf(b, "   - *See:* %s\n", mdLink(k.Doc))
		}
	}
	if len(c.Causes) > 0 {
		b.WriteString("\n")
	}
	if len(c.Evidence) == 0 {
		return
	}
	var lines []string
	for _, e := range c.Evidence[:min(len(c.Evidence), mdSeen)] {
		line := sight(e)
		if len(line) > mostInline {
			line = strings.ToValidUTF8(line[:mostInline], "") + " ..."
		}
		lines = append(lines, line)
	}
	fmt.Fprintf(b, "<details><summary>Evidence (%d)</summary>\n\n%s\n\n", len(c.Evidence), mdCode(strings.Join(lines, "\n")))
	mdMore(b, len(c.Evidence)-mdSeen)
	b.WriteString("</details>\n\n")
}

// mdMore says that a list was cut.
func mdMore(b *strings.Builder, n int) {
	if n > 0 {
		fmt.Fprintf(b, "\n... and %d more in %s\n\n", n, FileName)
	}
}

// mdOthers are the checks that need no look, one line each.
func mdOthers(b *strings.Builder, r Report) {
	for _, group := range []struct {
		verdict Verdict
		title   string
	}{{Skip, "Skipped"}, {Pass, "Passed"}} {
		n := 0
		for _, c := range r.Checks {
			if c.outcome() != group.verdict {
				continue
			}
			if n++; n == 1 {
				fmt.Fprintf(b, "<details><summary>%s</summary>\n\n", group.title)
			}
			text := c.Title
			if group.verdict == Skip {
				text = c.Reason
			}
			fmt.Fprintf(b, "- %s **%s**: %s\n", mark(group.verdict), md(c.ID), md(text))
		}
		if n > 0 {
			b.WriteString("\n</details>\n\n")
		}
	}
}

func mdEnvironment(b *strings.Builder, r Report) {
	b.WriteString("<details><summary>Environment</summary>\n\n| | |\n| --- | --- |\n")
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(b, "| %s | %s |\n", label, md(value))
		}
	}
	for _, f := range r.Subject.fields() {
		row(f.Label, f.Value)
	}
	row("Suite", strings.TrimSpace(r.Suite.Version+" "+r.Suite.Commit))
	row("Run", r.RunID)
	row("Time", times(r))
	if r.Repetitions != nil {
		row("Repeated", r.Repetitions.String())
	}
	b.WriteString("\n</details>\n")
}
