package faults

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Outcome is a fault that was tried.
type Outcome struct {
	Fault
	Result
	Took time.Duration
	// Error is why it could not be tried or looked at; Skipped why it was not.
	Error   error
	Skipped string
	// Remark is what was out of the ordinary on the way, if anything.
	Remark string
}

// good reports whether all is as the catalogue says.
func (o Outcome) good() bool { return o.Error == nil && o.Caught() && o.RightCause() }

// Report is the outcome as a check of the report: that the fault is caught is what
// must hold.
func (o Outcome) Report() reports.Check {
	c := reports.Check{
		ID: o.ID, Title: o.Title + ": it is caught, and its cause is named first", Profile: Profile, Level: reports.Core,
		DurationSeconds: o.Took.Seconds(), Verdict: reports.Pass,
	}
	if o.ID == Control {
		c.Title = "Nothing is wrong, and no check says otherwise"
	}
	switch {
	case o.Skipped != "":
		c.Verdict, c.Reason = reports.Skip, o.Skipped
		return c
	case o.Error != nil:
		c.Verdict, c.Reason = reports.Inconclusive, "the fault could not be tried: "+o.Error.Error()
	case !o.good():
		lines := append(append([]string{}, o.Missed...), o.Misled...)
		if o.Remark != "" {
			lines = append(lines, o.Remark)
		}
		c.Verdict, c.Reason = reports.Fail, strings.Join(lines, "\n")
	}
	saw := func(source, format string, args ...any) {
		c.Evidence = append(c.Evidence, reports.Evidence{Source: source, Subject: o.ID, Text: fmt.Sprintf(format, args...)})
	}
	for _, change := range o.Change {
		saw("the set-up", "%s", change.What)
	}
	for _, change := range o.Later {
		saw("the set-up, later", "%s", change.What)
	}
	saw("the catalogue", "red must be %s; unclear may be %s; the first cause must be %s", orNone(o.Red), orNone(o.Unclear), orNone(o.causes()))
	saw("the conformance suite", "red is %s; the first cause is %s; %.1f s", orNone(red(o.Checks)), orNone(words(o.First)), o.Took.Seconds())
	return c
}

// causes are the codes that must be named.
func (f Fault) causes() []string {
	if len(f.named) > 0 {
		return f.named
	}
	return words(f.Cause)
}

func words(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// Profile is the name of the faults' profile in reports.
const Profile = "faults"

// Score is how many faults were caught, and of how many the first cause was right.
// The control is none, and what was skipped does not count.
func Score(outcomes []Outcome) (caught, right, tried int) {
	for _, o := range outcomes {
		if o.ID == Control || o.Skipped != "" {
			continue
		}
		tried++
		if o.Error == nil && o.Caught() {
			caught++
		}
		if o.Error == nil && o.RightCause() {
			right++
		}
	}
	return caught, right, tried
}

// ScoreLine says the score, and whether the good set-up raised a false alarm.
func ScoreLine(outcomes []Outcome) string {
	caught, right, tried := Score(outcomes)
	line := fmt.Sprintf("%d of %d faults caught, first cause right in %d", caught, tried, right)
	for _, o := range outcomes {
		if o.ID == Control && !o.good() {
			line += "; the good set-up itself is not green, so the rest says little"
		}
	}
	return line
}

// WriteTable shows what was tried: fault, expected, got, first cause, seconds.
func WriteTable(w io.Writer, outcomes []Outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tFAULT\tEXPECTED RED\tGOT\tFIRST CAUSE\tSECONDS")
	for _, o := range outcomes {
		mark, got, cause := "ok", o.got(), orNone(words(o.First))
		switch {
		case o.Skipped != "":
			mark, got = "skip", o.Skipped
		case o.Error != nil:
			mark, got = "?", "could not be tried"
		case !o.Caught():
			mark = "MISS"
		case !o.RightCause():
			mark, cause = "CAUSE", cause+", not "+strings.Join(o.causes(), " and ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f\n", mark, o.ID, o.expected(), got, cause, o.Took.Seconds())
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("showing the table of faults: %w", err)
	}
	return nil
}

// expected is what must be red, in a few words.
func (o Outcome) expected() string {
	switch {
	case o.ID == Control:
		return "nothing"
	case len(o.named) > 0:
		return "anything"
	case len(o.Red) == 0:
		return "nothing, " + several(o.Unclear[:min(1, len(o.Unclear))]) + " unclear"
	}
	return several(o.Red)
}

// got is what was found instead, if anything.
func (o Outcome) got() string {
	if o.Caught() {
		return "the same"
	}
	return several(red(o.Checks)) + fmt.Sprintf(" (%d not as expected)", len(o.Missed))
}

// several names the first of several, and how many there are besides.
func several(ids []string) string {
	switch len(ids) {
	case 0:
		return "nothing"
	case 1:
		return ids[0]
	}
	return fmt.Sprintf("%s and %d more", ids[0], len(ids)-1)
}
