package reports

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What a report says comes from clusters that this suite did not make: pod names,
// error texts, header values. Nothing of it reaches a terminal or a CI log without
// passing through clean, by way of oneLine or wrap.

const (
	// mostLines and mostBytes bound what one text may take of a screen. report.json
	// has all of it.
	mostLines = 12
	mostBytes = 4096
)

// clean shows every character that does not print as its escape, so that a hostile
// text can neither drive the terminal nor reorder or hide what stands beside it.
// Line breaks are left to the caller.
func clean(s string) string {
	// GitHub's runner takes this for a command wherever it stands in a line.
	s = strings.ReplaceAll(s, "##[", `##\[`)
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\n', strconv.IsPrint(r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteByte(' ')
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// guard keeps a line from being taken for a command of GitHub's runner, which looks
// for them behind leading blanks.
func guard(line string) string {
	if strings.HasPrefix(line, "::") {
		return `\` + line
	}
	return line
}

// oneLine is s for a place that has room for one line.
func oneLine(s string) string {
	s, cut := clip(s)
	s = guard(strings.Join(strings.Fields(clean(s)), " "))
	if cut {
		s += " ..."
	}
	return s
}

// wrap breaks s into lines of at most width characters. It keeps the line breaks and
// the indentation that s has, and never breaks a word: an address or a name must be
// fit to be copied.
func wrap(s string, width int) []string {
	s, cut := clip(s)
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimRight(clean(strings.ReplaceAll(s, "\r\n", "\n")), " \n"), "\n") {
		indent := paragraph[:len(paragraph)-len(strings.TrimLeft(paragraph, " "))]
		if len(indent) > width/4 {
			indent = ""
		}
		line, used := indent, len(indent)
		for word := range strings.FieldsSeq(paragraph) {
			n := utf8.RuneCountInString(word)
			if used > len(indent) && used+1+n > width {
				lines = append(lines, line)
				line, used = indent, len(indent)
			}
			if used > len(indent) {
				line, used = line+" ", used+1
			} else {
				word = guard(word)
			}
			line, used = line+word, used+n
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	if len(lines) > mostLines {
		lines, cut = lines[:mostLines], true
	}
	if cut {
		lines = append(lines, "... (cut short here, whole in "+FileName+")")
	}
	return lines
}

// clip bounds s before any work is spent on it.
func clip(s string) (string, bool) {
	if len(s) <= mostBytes {
		return s, false
	}
	return strings.ToValidUTF8(s[:mostBytes], ""), true
}

// short is s on one line of at most n characters.
func short(n int, s string) string {
	runes := []rune(oneLine(s))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-3]) + "..."
}

// seconds shows a duration as a person reads it.
func seconds(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < 59950*time.Millisecond { // above it, one decimal would round to 60.0s
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm%02ds", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// span is a number of seconds, as a report has it, as a duration.
func span(s float64) time.Duration { return time.Duration(number(s) * float64(time.Second)) }
