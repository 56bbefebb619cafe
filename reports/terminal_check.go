package reports

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// verdictColumn is where the verdicts stand, behind the longest ID of the
	// catalogue with some dots.
	verdictColumn = 46
	// detailIndent puts details below the ID.
	detailIndent = 7
	// mostEvidence is how many pieces of evidence are shown; a failure of every one of
	// ten thousand targets is no clearer after the first few.
	mostEvidence = 8
)

// Check shows the result of the nth check of total: one line, and below it the
// details if it is neither a pass nor skipped.
func (t *Terminal) Check(n, total int, c Check) {
	digits := len(fmt.Sprint(total))
	head := fmt.Sprintf("[%*d/%d] %s ", digits+1, n, total, oneLine(c.ID))
	dots := strings.Repeat(".", max(3, verdictColumn-1-utf8.RuneCountInString(head)))
	line := head + dots + " " + t.verdict(c.outcome()) + " " + seconds(span(c.DurationSeconds))
	if !c.Level.Gates() {
		line += " (provisional, does not count)"
	}
	lines := []string{line}
	switch c.outcome() {
	case Pass:
	case Skip:
		if reason := oneLine(c.Reason); reason != "" {
			lines[0] += "  " + reason
		}
	default:
		lines = append(lines, t.details(c)...)
	}
	t.print(lines...)
}

// verdict is a verdict as it stands in a list. What needs a look is in capitals,
// since most logs have no colours.
func (t *Terminal) verdict(v Verdict) string {
	switch v {
	case Pass:
		return t.color(green, "pass")
	case Fail:
		return t.color(red, "FAIL")
	case Skip:
		return "skip"
	}
	return t.color(yellow, "INCONCLUSIVE")
}

func (t *Terminal) details(c Check) []string {
	lines := t.detail(0, "must hold", c.Title)
	lines = append(lines, t.detail(0, "why", c.Reason)...)
	for i, e := range c.Evidence {
		if i == mostEvidence {
			lines = append(lines, t.detail(0, "", fmt.Sprintf("... and %d more in %s", len(c.Evidence)-i, FileName))...)
			break
		}
		from := strings.Trim(e.Source+", "+e.Subject, ", ")
		lines = append(lines, t.detail(0, "seen", strings.Trim(from+": "+e.Text, ": "))...)
	}
	for i, k := range c.Causes {
		lines = append(lines, t.detail(0, fmt.Sprintf("cause %d", i+1), fmt.Sprintf("%s (%s)", k.Code, k.Confidence))...)
		lines = append(lines, t.detail(2, "seen", k.Seen)...)
		lines = append(lines, t.detail(2, "change", k.Change)...)
		lines = append(lines, t.detail(2, "doc", k.Doc)...)
	}
	return lines
}

// detail is a labelled text, its further lines below its first; nothing if there is
// no text.
func (t *Terminal) detail(indent int, label, text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	const labels = 11
	left := strings.Repeat(" ", detailIndent+indent)
	var lines []string
	for i, l := range wrap(text, t.style.Width-detailIndent-labels) {
		if i > 0 {
			label = ""
		}
		lines = append(lines, left+pad(label, labels-indent)+l)
	}
	return lines
}
