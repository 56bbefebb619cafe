package reports

import (
	"fmt"
	"slices"
	"strings"
)

// Conclude computes the profiles, the verdict and the exit code from what was
// found: checks, error, leftovers, interrupted. It reads and changes nothing but r,
// and doing it twice changes nothing.
//
// Only checks that gate count. A check with a verdict this package does not know
// counts as inconclusive.
//
// A profile fails if one of its checks failed, else is inconclusive if one was, or
// if it was asked for and has none at all; it is skipped if no check that gates was
// executed, else it passes. One that passed is claimed if each check that its claim
// takes passed or has nothing to judge; that it is not changes neither the verdict nor
// the exit code, since nothing was seen to be wrong.
//
// The verdict of the run:
//   - fail, if a check failed or something was left behind;
//   - else inconclusive, if the set-up failed, the run was interrupted, a check or a
//     profile is inconclusive, or no check was executed;
//   - else pass.
//
// The exit code, the first that applies:
//
//	4 interrupted    whoever reads it must know that the run has no end. A failure
//	                 found until then is not lost: the verdict remains fail.
//	1 check failed   proven, and neither a later set-up failure nor a leftover may
//	                 hide it.
//	2 set-up failed  the reason for whatever is inconclusive or was left behind.
//	3 leftovers      a fact about the run, where 6 is the lack of one.
//	6 inconclusive
//	0 conformant     exactly if the verdict is pass.
func (r *Report) Conclude() {
	r.Profiles = r.concludeProfiles()
	f := r.facts()

	switch {
	case len(f.failed) > 0, len(r.Leftovers) > 0:
		r.Verdict = Fail
	case r.Error != nil, r.Interrupted, len(f.inconclusive) > 0, len(f.unrun) > 0, f.passed == 0:
		r.Verdict = Inconclusive
	default:
		r.Verdict = Pass
	}

	switch {
	case r.Interrupted:
		r.ExitCode = ExitInterrupted
	case len(f.failed) > 0:
		r.ExitCode = ExitCheckFailed
	case r.Error != nil:
		r.ExitCode = ExitSetupFailed
	case len(r.Leftovers) > 0:
		r.ExitCode = ExitLeftovers
	case r.Verdict == Inconclusive:
		r.ExitCode = ExitInconclusive
	default:
		r.ExitCode = ExitConformant
	}
}

// concludeProfiles counts the checks by profile: those that were asked for in their
// order, then any other in the order of its first check.
func (r *Report) concludeProfiles() []Profile {
	var profiles []Profile
	at := map[string]int{}
	index := func(name string) int {
		i, ok := at[name]
		if !ok {
			i = len(profiles)
			at[name] = i
			profiles = append(profiles, Profile{Name: name})
		}
		return i
	}
	for _, p := range r.Profiles {
		profiles[index(p.Name)].Required = p.Required
	}
	gating := map[string][]Verdict{}
	for _, c := range r.Checks {
		p := &profiles[index(c.Profile)]
		switch c.outcome() {
		case Pass:
			p.Passed++
		case Fail:
			p.Failed++
		case Skip:
			p.Skipped++
		default:
			p.Inconclusive++
		}
		if c.Level.Gates() {
			gating[c.Profile] = append(gating[c.Profile], c.outcome())
		}
	}
	for i := range profiles {
		p := &profiles[i]
		v := gating[p.Name]
		switch {
		case slices.Contains(v, Fail):
			p.Verdict = Fail
		case slices.Contains(v, Inconclusive), p.checks() == 0:
			p.Verdict = Inconclusive
		case slices.Contains(v, Pass):
			p.Verdict = Pass
		default:
			p.Verdict = Skip
		}
		p.Claimed = p.Verdict == Pass && len(r.gaps(*p)) == 0
	}
	return profiles
}

func (p Profile) checks() int { return p.Passed + p.Failed + p.Skipped + p.Inconclusive }

// outcome is the verdict that the check is counted under.
func (c Check) outcome() Verdict {
	switch c.Verdict {
	case Pass, Fail, Skip:
		return c.Verdict
	}
	return Inconclusive
}

// facts are what gates in a report, by name.
type facts struct {
	passed               int      // checks that gate and passed
	failed, inconclusive []string // checks that gate, by ID
	unrun                []string // profiles that were asked for and have no check
}

func (r *Report) facts() facts {
	var f facts
	ran := map[string]bool{}
	for _, c := range r.Checks {
		ran[c.Profile] = true
		if !c.Level.Gates() {
			continue
		}
		switch c.outcome() {
		case Pass:
			f.passed++
		case Fail:
			f.failed = append(f.failed, c.ID)
		case Inconclusive:
			f.inconclusive = append(f.inconclusive, c.ID)
		}
	}
	for _, p := range r.Profiles {
		if !ran[p.Name] {
			f.unrun = append(f.unrun, p.Name)
		}
	}
	return f
}

// Tally condenses the run to three numbers, for whoever reads no more than those.
//
// What could not be judged counts as failed if it gates. What does not gate and did
// not pass counts as skipped. And a run that does not conform for a reason outside
// of its checks (set-up, leftovers, interrupted, nothing executed) counts as one
// failure if there is no other, so that "0 failed" is only ever said of a run that
// exits with 0.
func (r Report) Tally() (passed, failed, skipped int) {
	r.Conclude()
	for _, c := range r.Checks {
		switch o := c.outcome(); {
		case o == Pass:
			passed++
		case o == Skip, !c.Level.Gates():
			skipped++
		default:
			failed++
		}
	}
	if failed == 0 && r.ExitCode != ExitConformant {
		failed = 1
	}
	return passed, failed, skipped
}

// Headline is the outcome in one sentence, for a banner or a notification: every
// reason the run has for not being conformant, the one that chose the exit code
// first. If it is conformant, it says which profiles it does not claim.
func (r Report) Headline() string {
	f := r.facts()
	var s []string
	if r.Interrupted {
		s = append(s, "the run was stopped before its end")
	}
	if n := len(f.failed); n > 0 {
		s = append(s, fmt.Sprintf("%s failed (%s)", count(n, "check"), some(f.failed)))
	}
	if r.Error != nil {
		first, _, _ := strings.Cut(r.Error.Message, "\n")
		s = append(s, fmt.Sprintf("set-up failed in phase %q: %s", r.Error.Phase, strings.TrimRight(first, ". ")))
	}
	if n := len(r.Leftovers); n > 0 {
		s = append(s, fmt.Sprintf("%s remained behind (%s)", count(n, "thing"), some(r.Leftovers)))
	}
	if n := len(f.inconclusive); n > 0 {
		s = append(s, fmt.Sprintf("%s could not be judged (%s)", count(n, "check"), some(f.inconclusive)))
	}
	// Both follow from an error or an interruption and would only repeat it.
	if !r.Interrupted && r.Error == nil {
		if n := len(f.unrun); n > 0 {
			s = append(s, fmt.Sprintf("%s ran no check (%s)", count(n, "profile"), some(f.unrun)))
		}
		if f.passed+len(f.failed)+len(f.inconclusive) == 0 {
			s = append(s, "no check that counts was executed")
		}
	}
	const allPassed = "every check that applies passed"
	less := r.unclaimed()
	switch {
	case len(s) == 0 && len(less) > 0:
		return "every check that was made passed; " + strings.Join(less, "; ")
	case len(s) == 0:
		return allPassed
	case len(s) == 1 && len(r.Leftovers) > 0 && f.passed > 0:
		return allPassed + ", but " + s[0]
	}
	return strings.Join(s, "; ")
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// some names the first few: a sentence that names two hundred is not read.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
