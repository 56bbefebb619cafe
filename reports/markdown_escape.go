package reports

import (
	"regexp"
	"strings"
)

// mostInline bounds, in bytes, one text of summary.md, so that the whole stays within
// what GitHub shows; see [mostSummary].
const mostInline = 1500

// special are the characters that mean something in GitHub's Markdown wherever they
// stand: emphasis, code, links, HTML, entities, tables, strikethrough, headings,
// formulas.
var special = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `<`, `\<`, `>`, `\>`,
	`&`, `\&`, `|`, `\|`, `~`, `\~`, `#`, `\#`, `$`, `\$`, `!`, `\!`,
)

// opening is what makes a list or a rule at the beginning of a line.
var opening = regexp.MustCompile(`^([0-9]*)([.)])( |$)|^([-+=])`)

// md is s as Markdown that shows exactly s, on one line.
func md(s string) string {
	if len(s) > mostInline {
		s = strings.ToValidUTF8(s[:mostInline], "") + " ..."
	}
	// clean marks what a terminal would obey with a backslash, which is shown here.
	return opening.ReplaceAllString(special.Replace(oneLine(s)), `$1\$2$4$3`)
}

// mdLines is s as Markdown that keeps its lines.
func mdLines(s string) string {
	lines := strings.Split(block(s), "\n")
	for i, l := range lines {
		lines[i] = md(l)
	}
	return strings.Join(lines, "<br>\n")
}

// mdCode is s in a code block. The fence is longer than any that s has.
func mdCode(s string) string {
	longest, run := 2, 0
	for _, c := range s {
		if c != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	return fence + "text\n" + s + "\n" + fence
}

// mdLink is a link to a documented address, or the address as text if following it
// could do anything but open a page.
func mdLink(address string) string {
	if !webAddress.MatchString(address) {
		return md(address)
	}
	return "<" + address + ">"
}

// webAddress is an address that may stand in a link unescaped.
var webAddress = regexp.MustCompile(`^https?://[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%]+$`)
