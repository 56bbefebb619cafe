package reports

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// show plays a whole run on a terminal.
func show(t *Terminal, r Report) {
	t.Configuration(r.Configuration)
	for _, p := range r.Phases {
		t.PhaseStart(p.Name)
		for s := time.Second; s < span(p.Seconds); s += time.Second {
			t.Progress(p.Name, fmt.Sprintf("waiting for %d pods", 40-int(s.Seconds())), s)
		}
		if r.Error != nil && r.Error.Phase == p.Name {
			t.PhaseFailed(p.Name, span(p.Seconds), errors.New(r.Error.Message))
			continue
		}
		t.PhaseDone(p.Name, span(p.Seconds), "")
	}
	for i, c := range r.Checks {
		t.Check(i+1, len(r.Checks), c)
	}
	if r.Interrupted {
		t.Note("Interrupted: saving the evidence, then removing what this run made. Press Ctrl-C again to leave it all.")
	}
	t.Summary(r, "reports/out/"+r.RunID+"/report.json")
}

func TestTerminalGolden(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			show(NewTerminal(&b, Style{}), sample())
			golden(t, name, b.String())
			assert.NotContains(t, b.String(), "\x1b")
			for line := range strings.Lines(b.String()) {
				assert.Equal(t, strings.TrimRight(line, " \n")+"\n", line, "no blanks at the end")
			}
		})
	}
	t.Run("tty", func(t *testing.T) {
		var b strings.Builder
		show(NewTerminal(&b, Style{Color: true, Rewrite: true}), failing())
		// Escapes are shown, so that a change of the golden file can be reviewed.
		golden(t, "tty", strings.ReplaceAll(strings.ReplaceAll(b.String(), "\x1b", "<ESC>"), "\r", "<CR>"))
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "go test ./reports -update writes the golden files anew")
}

// TestLastLine is what CI relies on.
func TestLastLine(t *testing.T) {
	shape := regexp.MustCompile(`^\d+ passed, \d+ failed(, \d+ skipped)?$`)
	want := map[string]string{
		"good":         "2 passed, 0 failed, 2 skipped",
		"failing":      "1 passed, 2 failed, 2 skipped",
		"setup-failed": "0 passed, 1 failed",
		"interrupted":  "1 passed, 2 failed, 2 skipped",
		"leftovers":    "2 passed, 1 failed, 2 skipped",
		"rotated":      "2 passed, 0 failed, 2 skipped",
		"seen-in-part": "3 passed, 0 failed, 2 skipped",
	}
	for name, sample := range samples {
		var b strings.Builder
		NewTerminal(&b, Style{Color: true, Rewrite: true}).Summary(sample(), "x")
		lines := strings.Split(b.String(), "\n")
		require.Empty(t, lines[len(lines)-1], "the output ends with a line break")
		last := lines[len(lines)-2]
		assert.Equal(t, want[name], last)
		assert.Regexp(t, shape, last)
	}
}

func TestSummaryOfAnUnconcludedReportIsNotGreen(t *testing.T) {
	var b strings.Builder
	NewTerminal(&b, Style{}).Summary(Report{}, "")
	assert.Contains(t, b.String(), "INCONCLUSIVE (exit code 6)")
	assert.True(t, strings.HasSuffix(b.String(), "\n0 passed, 1 failed\n"))
}

const hostile = "\x1b]0;owned\x07\x1b[2J\r::stop-commands::x\n::error::y\n  ::warning::z ##[group]g \u202edrow\xff\x9b31m\u2028\u200b\x00\x7f\t."

// TestHostileText puts a hostile text into every place that can hold one.
func TestHostileText(t *testing.T) {
	c := Check{
		ID: hostile, Title: hostile, Profile: hostile, Level: Level(hostile), Verdict: Fail, Reason: hostile,
		Evidence: []Evidence{{hostile, hostile, hostile}},
		Causes:   []Cause{{hostile, hostile, hostile, hostile, Confidence(hostile)}},
	}
	skipped := c
	skipped.Verdict = Skip
	var b strings.Builder
	term := NewTerminal(&b, Style{Width: 40})
	term.Configuration(map[string]string{hostile: hostile})
	term.PhaseStart(hostile)
	term.Progress(hostile, hostile, time.Minute)
	term.PhaseDone(hostile, 0, hostile)
	term.PhaseFailed(hostile, 0, errors.New(hostile))
	term.Note(hostile)
	term.Check(1, 2, c)
	term.Check(2, 2, skipped)
	term.Summary(Report{
		Checks: []Check{c, skipped}, Leftovers: []string{hostile}, Phases: []Phase{{hostile, 1}},
		Error: &SetupError{hostile, hostile}, Profiles: []Profile{{Name: hostile}},
	}, hostile)

	command := regexp.MustCompile(`^\s*::`)
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		assert.NotRegexp(t, command, line)
		assert.NotContains(t, line, "##[")
		for _, r := range line {
			assert.True(t, r >= ' ' && r < 0x7f, "%q in %q", r, line)
		}
	}
	assert.Contains(t, b.String(), `\x1b]0;owned\a`)
	assert.Contains(t, b.String(), `\u202edrow\xff\x9b31m`)
}

func TestWrap(t *testing.T) {
	assert.Equal(t, []string{"one two", "three"}, wrap("one two three", 8))
	assert.Equal(t, []string{"a", "https://very.long/address", "b"}, wrap("a https://very.long/address b", 8))
	assert.Equal(t, []string{"first", "  kept", "  indent"}, wrap("first\r\n  kept indent\n\n", 9))
	assert.Equal(t, []string{"äöü ßéñ", "x"}, wrap("äöü ßéñ x", 7), "width is in characters")
	assert.Equal(t, []string{""}, wrap("", 8))

	lines := wrap(strings.Repeat("line\n", 500), 80)
	assert.Len(t, lines, mostLines+1)
	assert.Contains(t, lines[mostLines], "whole in report.json")
	assert.Less(t, len(strings.Join(wrap(strings.Repeat("ä", 1<<20), 80), "")), mostBytes+100)
	assert.Equal(t, `\::x y`, oneLine(" ::x \n y "))
}

func TestManyPiecesOfEvidence(t *testing.T) {
	c := failing().Checks[1]
	for range 10000 {
		c.Evidence = append(c.Evidence, c.Evidence[0])
	}
	var b strings.Builder
	NewTerminal(&b, Style{}).Check(1, 1, c)
	assert.Contains(t, b.String(), "... and 9994 more in report.json")
	assert.Less(t, strings.Count(b.String(), "\n"), 40)
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                         "0.0s",
		49 * time.Millisecond:                "0.0s",
		51 * time.Millisecond:                "0.1s",
		59940 * time.Millisecond:             "59.9s",
		59950 * time.Millisecond:             "1m00s",
		90*time.Second + time.Millisecond*51: "1m30s",
		time.Hour - time.Millisecond:         "1h00m00s",
		25*time.Hour + 61*time.Second:        "25h01m01s",
	} {
		assert.Equal(t, want, seconds(d))
	}
}

func TestProgressWithoutRewriting(t *testing.T) {
	var b strings.Builder
	term := NewTerminal(&b, Style{})
	for _, phase := range []string{"a", "b"} {
		for s := range 60 {
			term.Progress(phase, "working", time.Duration(s)*time.Second)
		}
	}
	assert.Equal(t, 6, strings.Count(b.String(), "\n"), "each phase at 15, 30 and 45 s")
	term.PhaseStart("a")
	term.Progress("a", "again", 15*time.Second)
	assert.Contains(t, b.String(), "again", "a phase that runs again has its own clock")
}

func TestColor(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer f.Close()
	assert.Equal(t, Style{}, StyleOf(f), "a file is no terminal")

	tty, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as a terminal is
	require.NoError(t, err)
	defer tty.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	assert.Equal(t, Style{Color: true, Rewrite: true}, StyleOf(tty))
	t.Setenv("NO_COLOR", "1")
	assert.Equal(t, Style{Rewrite: true}, StyleOf(tty), "no colour is not no terminal")
	t.Setenv("TERM", "dumb")
	assert.Equal(t, Style{}, StyleOf(tty))
}

// TestConcurrentUse is for the race detector, and for whole lines.
func TestConcurrentUse(t *testing.T) {
	var b strings.Builder
	term := NewTerminal(&b, Style{Rewrite: true})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("phase", i)
			term.PhaseStart(name)
			for s := range 20 {
				term.Progress(name, "working", time.Duration(s)*time.Second)
			}
			term.PhaseDone(name, time.Second, "")
			term.Check(i+1, 8, failing().Checks[1])
			term.Note("note")
		})
	}
	wg.Wait()
	term.Summary(failing(), "x")
	for line := range strings.Lines(b.String()) {
		shown := line[strings.LastIndex(line, eraseLine)+1:]
		assert.LessOrEqual(t, strings.Count(shown, "working"), 1)
	}
	assert.Equal(t, 8, strings.Count(b.String(), "  ok  phase"))
}
