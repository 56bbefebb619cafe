package reports

import (
	"fmt"
	"strings"
)

// Assessment collects what a check finds, and comes to the verdict. It is one for all
// catalogues, so that what outweighs what is the same in each.
type Assessment struct {
	failures []string
	doubts   []string
	held     []string
	notHere  string
	evidence []Evidence
}

// Fail records something that must not be.
func (a *Assessment) Fail(format string, args ...any) {
	a.failures = append(a.failures, fmt.Sprintf(format, args...))
}

// Failures is how many things were found so far that must not be.
func (a *Assessment) Failures() int { return len(a.failures) }

// Unclear records something that keeps the check from passing, without proof that
// anything is wrong.
func (a *Assessment) Unclear(format string, args ...any) {
	a.doubts = append(a.doubts, fmt.Sprintf(format, args...))
}

// Hold records what was not looked at since it was not permitted: the check does not
// pass then, and nothing is wrong.
func (a *Assessment) Hold(format string, args ...any) {
	a.held = append(a.held, fmt.Sprintf(format, args...))
}

// Skip says why there is nothing here for the check to judge. It counts only if
// nothing else was found.
func (a *Assessment) Skip(format string, args ...any) { a.notHere = fmt.Sprintf(format, args...) }

// Saw records evidence: where it was read, of what, and what it said.
func (a *Assessment) Saw(source, subject, format string, args ...any) {
	a.evidence = append(a.evidence, Evidence{Source: source, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// Conclude gives a check its verdict, its reason and its evidence. The verdict is
//   - fail if anything was found that must not be,
//   - else inconclusive if something could not be read or was not seen,
//   - else skip if what it takes was not permitted by the owner of the subject,
//   - else skip if the check found that there is nothing for it to judge here,
//   - else pass, which needs evidence.
func (a *Assessment) Conclude(c Check) Check {
	c.Evidence = a.shown()
	switch {
	case len(a.failures) > 0:
		c.Verdict, c.Reason = Fail, lines(a.failures)
	case len(a.doubts) > 0:
		c.Verdict, c.Reason = Inconclusive, lines(a.doubts)
	case len(a.held) > 0:
		c.Verdict, c.Reason, c.LeftOut = Skip, lines(a.held), true
	case a.notHere != "" && len(a.evidence) == 0:
		c.Verdict, c.Reason = Skip, a.notHere
	case len(a.evidence) == 0:
		c.Verdict, c.Reason = Inconclusive, "nothing was seen that the check could judge"
	default:
		c.Verdict = Pass
	}
	return c
}

// How much of what was found a report shows. Ten thousand targets that are down
// are no better understood by ten thousand lines.
const (
	shownLines    = 50
	ShownEvidence = 200
)

// lines puts each thing that was found on a line of its own, once.
func lines(found []string) string {
	var once []string
	seen := map[string]bool{}
	for _, l := range found {
		if !seen[l] {
			seen[l] = true
			once = append(once, l)
		}
	}
	if more := len(once) - shownLines; more > 0 {
		once = append(once[:shownLines:shownLines], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(once, "\n")
}

func (a *Assessment) shown() []Evidence {
	if more := len(a.evidence) - ShownEvidence; more > 0 {
		return append(a.evidence[:ShownEvidence:ShownEvidence], Evidence{
			Source: "this check", Subject: "what was seen", Text: fmt.Sprintf("and %d more of the kind", more),
		})
	}
	return a.evidence
}
