package reports

import (
	"fmt"
	"strings"
)

const (
	// mostText bounds, in bytes, one text in a format that is kept as a file. It holds
	// the fifty lines that a reason has at most with room to spare.
	mostText = 64 << 10
	// mostSeen is how many pieces of evidence of one check a format repeats. What more
	// there is says the same of yet another target, and is in report.json.
	mostSeen = 200
)

// block is s for a place that keeps its lines.
func block(s string) string {
	short := s
	if len(s) > mostText {
		short = strings.ToValidUTF8(s[:mostText], "")
	}
	lines := strings.Split(strings.TrimSpace(clean(strings.ReplaceAll(short, "\r\n", "\n"))), "\n")
	for i, l := range lines {
		lines[i] = guard(strings.TrimRight(l, " "))
	}
	if len(short) < len(s) {
		lines = append(lines, "... (cut short here, whole in "+FileName+")")
	}
	return strings.Join(lines, "\n")
}

// plain is all there is to say of a check that is not a pass, for a place that shows
// text as it is: what must hold, why it does not, and every cause with its way out.
func plain(c Check) string {
	var lines []string
	add := func(label, text string) {
		if text = block(text); text != "" {
			lines = append(lines, label+strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", len(label))))
		}
	}
	add("must hold: ", c.Title)
	add("why: ", c.Reason)
	for i, k := range c.Causes {
		add(fmt.Sprintf("cause %d: ", i+1), fmt.Sprintf("%s (%s)", k.Code, k.Confidence))
		add("  seen: ", k.Seen)
		add("  change: ", k.Change)
		add("  doc: ", k.Doc)
	}
	return strings.Join(lines, "\n")
}

// sight is a piece of evidence on one line.
func sight(e Evidence) string {
	from := strings.Trim(oneLine(e.Source)+", "+oneLine(e.Subject), ", ")
	return strings.Trim(from+": "+oneLine(e.Text), ": ")
}

// sights are the lines of evidence of a check, the first few of very many.
func sights(c Check) string {
	var lines []string
	for i, e := range c.Evidence {
		if i == mostSeen {
			lines = append(lines, fmt.Sprintf("... and %d more in %s", len(c.Evidence)-i, FileName))
			break
		}
		lines = append(lines, sight(e))
	}
	return strings.Join(lines, "\n")
}
