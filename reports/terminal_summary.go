package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Summary ends a run: the profiles, what went wrong, where the time went, where the
// report is (path), the verdict. It shows the conclusion of what r found.
//
// The last line is for machines as well: "N passed, N failed", and ", N skipped" if
// any were. Its numbers are those of [Report.Tally], so that what could not be
// judged, or a run that failed outside of its checks, is never "0 failed".
func (t *Terminal) Summary(r Report, path string) {
	r.Conclude()
	lines := []string{""}
	lines = append(lines, t.profiles(r)...)
	lines = append(lines, t.troubles(r)...)
	if len(r.Leftovers) > 0 {
		lines = append(lines, t.bold("Left behind"))
		for _, l := range r.Leftovers {
			lines = append(lines, "  "+oneLine(l))
		}
		lines = append(lines, "  `make clean` removes what a run left", "")
	}
	if s := times(r); s != "" {
		lines = append(lines, pad("Time", 8)+s)
	}
	if path != "" {
		lines = append(lines, pad("Report", 8)+oneLine(path))
	}
	lines = append(lines, "")
	lines = append(lines, t.banner(r)...)
	t.print(append(lines, "", lastLine(r.Tally()))...)
}

// lastLine is what ends the output of a run, for machines as well.
func lastLine(passed, failed, skipped int) string {
	last := fmt.Sprintf("%d passed, %d failed", passed, failed)
	if skipped > 0 {
		last += fmt.Sprintf(", %d skipped", skipped)
	}
	return last
}

func (t *Terminal) profiles(r Report) []string {
	if len(r.Profiles) == 0 {
		return nil
	}
	width := 0
	for _, p := range r.Profiles {
		width = max(width, utf8.RuneCountInString(oneLine(p.Name)))
	}
	lines := []string{t.bold("Profiles")}
	trial := map[string]int{}
	for _, c := range r.Checks {
		if !c.Level.Gates() {
			trial[c.Profile]++
		}
	}
	for _, p := range r.Profiles {
		gap := strings.Repeat(" ", len(Inconclusive)-len(p.Verdict)+2)
		line := "  " + pad(oneLine(p.Name), width) + "  " + t.verdict(p.Verdict) + gap + p.counts()
		if p.Verdict == Pass && !p.Claimed {
			line += ", not claimed"
		}
		// Without this, a profile that passes with a failure in it looks like a mistake.
		if n := trial[p.Name]; n > 0 {
			line += fmt.Sprintf(" (%d of them provisional)", n)
		}
		lines = append(lines, line)
	}
	return append(lines, "")
}

// troubles repeats what needs a look, since its details may be far above.
func (t *Terminal) troubles(r Report) []string {
	var lines []string
	if r.Error != nil {
		lines = append(lines, t.bold("Set-up failed")+" in phase "+oneLine(r.Error.Phase))
		for _, l := range wrap(r.Error.Message, t.style.Width-2) {
			lines = append(lines, "  "+l)
		}
		lines = append(lines, "")
	}
	places := troubled(r)
	if len(places) == 0 {
		return lines
	}
	width := 0
	for _, i := range places {
		width = max(width, utf8.RuneCountInString(oneLine(r.Checks[i].ID)))
	}
	lines = append(lines, t.bold("To look at"))
	for _, i := range places {
		c := r.Checks[i]
		first, _, _ := strings.Cut(c.Reason, "\n")
		gap := strings.Repeat(" ", len(Inconclusive)-len(c.outcome())+2)
		line := "  " + pad(oneLine(c.ID), width) + "  " + t.verdict(c.outcome()) + gap
		if !c.Level.Gates() {
			line += "(provisional, does not count) "
		}
		lines = append(lines, line+oneLine(first))
	}
	return append(lines, "")
}

// troubled are the checks that need a look, by their place in the report: what gates
// first, failures first in each.
func troubled(r Report) []int {
	var places []int
	for i, c := range r.Checks {
		if o := c.outcome(); o != Pass && o != Skip {
			places = append(places, i)
		}
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(weight(r.Checks[a]), weight(r.Checks[b])) })
	return places
}

// weight sorts what gates before what does not, and failures first in each.
func weight(c Check) int {
	w := 0
	if !c.Level.Gates() {
		w += 2
	}
	if c.outcome() != Fail {
		w++
	}
	return w
}

// times says how long the run took and which phases took most of it.
func times(r Report) string {
	const most = 3
	var s []string
	if d := r.EndedAt.Sub(r.StartedAt); !r.EndedAt.IsZero() && !r.StartedAt.IsZero() && d >= 0 {
		s = append(s, seconds(d)+" in all")
	}
	slowest := slices.Clone(r.Phases)
	slices.SortStableFunc(slowest, func(a, b Phase) int { return cmp.Compare(b.Seconds, a.Seconds) })
	var phases []string
	for _, p := range slowest[:min(most, len(slowest))] {
		phases = append(phases, oneLine(p.Name)+" "+seconds(span(p.Seconds)))
	}
	if len(phases) > 0 {
		s = append(s, "slowest: "+strings.Join(phases, ", "))
	}
	return strings.Join(s, "; ")
}

// banner is the verdict, to be seen from the other end of the room.
func (t *Terminal) banner(r Report) []string {
	return t.ending(r.tone(), r.Word(), r.ExitCode, r.Headline())
}

func (t *Terminal) ending(tone Verdict, word string, exit ExitCode, headline string) []string {
	code := yellow
	switch tone {
	case Pass:
		code = green
	case Fail:
		code = red
	}
	rule := t.color(code, strings.Repeat("=", min(t.style.Width, 72)))
	lines := []string{rule, "  " + t.color(bold+";"+code, fmt.Sprintf("%s (exit code %d)", strings.ToUpper(word), exit))}
	for _, l := range wrap(headline, t.style.Width-2) {
		lines = append(lines, "  "+l)
	}
	return append(lines, rule)
}
