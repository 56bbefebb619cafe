package reports

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Style is what a terminal can do.
type Style struct {
	// Color allows colours.
	Color bool
	// Rewrite allows progress to rewrite its line. Without it progress is a line now
	// and then, so that a CI log stays short.
	Rewrite bool
	// Width is where text wraps; 0 stands for 100 columns.
	Width int
}

// StyleOf is the style for a file as the environment wants it.
func StyleOf(f *os.File) Style {
	return Style{Color: Color(f), Rewrite: isTerminal(f)}
}

// Color reports whether colours are wanted on f: it is a terminal, and NO_COLOR
// (https://no-color.org) is unset or empty.
func Color(f *os.File) bool { return isTerminal(f) && os.Getenv("NO_COLOR") == "" }

func isTerminal(f *os.File) bool {
	// A character device that is no terminal is /dev/null, where nobody looks.
	s, err := f.Stat()
	return err == nil && s.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// progressEvery is how often a phase may add a line of progress where lines are not
// rewritten: often enough to see that a run is alive, and within the time after
// which a CI system takes it for dead.
const progressEvery = 15 * time.Second

// Terminal shows a run to a person while it goes on. It takes every time as a value
// and reads no clock. Its methods may be called from several goroutines; each writes
// whole lines at once. Errors of the writer are ignored: a closed pipe must not take
// the run with it, and everything is in the report as well.
type Terminal struct {
	out   io.Writer
	style Style

	mu        sync.Mutex
	transient bool                     // the last line is to be rewritten
	said      map[string]time.Duration // when a phase last said something
}

// NewTerminal makes a terminal that writes to out.
func NewTerminal(out io.Writer, style Style) *Terminal {
	if style.Width <= 0 {
		style.Width = 100
	}
	return &Terminal{out: out, style: style, said: map[string]time.Duration{}}
}

// Configuration shows the effective configuration, sorted and aligned. It comes
// first, so that a run that goes wrong has said what it was asked to do.
func (t *Terminal) Configuration(settings map[string]string) {
	lines := []string{t.bold("Configuration")}
	names := slices.Sorted(maps.Keys(settings))
	width := 0
	for _, n := range names {
		width = max(width, utf8.RuneCountInString(oneLine(n)))
	}
	for _, n := range names {
		lines = append(lines, "  "+pad(oneLine(n), width)+"  "+oneLine(settings[n]))
	}
	t.print(append(lines, "")...)
}

// PhaseStart says that a phase begins.
func (t *Terminal) PhaseStart(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said[name] = 0
	t.status("  ..  " + oneLine(name))
}

// Progress says what a phase is at. Elapsed is the time since the phase began.
func (t *Terminal) Progress(phase, text string, elapsed time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.style.Rewrite {
		if elapsed-t.said[phase] < progressEvery {
			return
		}
		t.said[phase] = elapsed
	}
	t.status(t.phase("  ..  ", phase, elapsed, text))
}

// PhaseDone says that a phase is over; note may be empty.
func (t *Terminal) PhaseDone(name string, took time.Duration, note string) {
	t.print(t.phase(t.color(green, "  ok  "), name, took, note))
}

// PhaseFailed says that a phase failed, and why.
func (t *Terminal) PhaseFailed(name string, took time.Duration, err error) {
	lines := []string{t.phase(t.color(red, "FAIL  "), name, took, "")}
	if err != nil {
		for _, l := range wrap(err.Error(), t.style.Width-6) {
			lines = append(lines, "      "+l)
		}
	}
	t.print(lines...)
}

// Note says something that belongs to no phase and no check, as that a run is being
// interrupted and what it still does.
func (t *Terminal) Note(text string) { t.print(wrap(text, t.style.Width)...) }

// Line shows a line of what another process said, behind its name.
func (t *Terminal) Line(from, text string) {
	t.print(oneLine(from) + " | " + strings.TrimRight(clean(text), " "))
}

// phase is the line of a phase; mark is six columns wide.
func (t *Terminal) phase(mark, name string, d time.Duration, note string) string {
	s := fmt.Sprintf("%s%s %8s", mark, pad(oneLine(name), 26), seconds(d))
	if note = oneLine(note); note != "" {
		s += "  " + note
	}
	return s
}

// status writes a line that the next output may replace. The caller holds mu.
func (t *Terminal) status(line string) {
	if !t.style.Rewrite {
		t.write(line)
		return
	}
	// A line that wraps could not be taken back, and 80 columns is what a terminal has
	// at least.
	if most := min(t.style.Width, 80) - 1; utf8.RuneCountInString(line) > most {
		line = string([]rune(line)[:most-3]) + "..."
	}
	_, _ = io.WriteString(t.out, eraseLine+line)
	t.transient = true
}

// print writes lines that stay.
func (t *Terminal) print(lines ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write(lines...)
}

func (t *Terminal) write(lines ...string) {
	var b strings.Builder
	if t.transient {
		b.WriteString(eraseLine)
		t.transient = false
	}
	for _, l := range lines {
		b.WriteString(strings.TrimRight(l, " "))
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(t.out, b.String())
}

const (
	eraseLine = "\r\x1b[K"
	bold      = "1"
	red       = "31"
	green     = "32"
	yellow    = "33"
)

func (t *Terminal) color(code, s string) string {
	if !t.style.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *Terminal) bold(s string) string { return t.color(bold, s) }

// pad fills s with blanks to a width in characters, which fmt would count in bytes
// once colours are in it.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}
