package reports

import (
	"fmt"
	"strings"
)

// asSeen is what a conformant run is called that does not claim every profile which it
// was asked for.
const asSeen = "conformant as far as seen"

// gap is a check that the claim of a profile takes and that is not shown to hold.
type gap struct {
	id   string
	code string  // of the finding that it is for whoever verifies such a claim
	text string  // says it in a sentence
	seen Verdict // of the check, empty if the report does not have it
}

// gaps are what is missing for the claim of a profile: each of its required checks must
// have passed, or have nothing to judge, which idle says of one that was skipped. It is
// the one rule by which a report claims a profile and by which such a claim is verified.
func gaps(profile string, required []string, checks []Check, idle func(Check) bool) []gap {
	by := map[string]Check{}
	for _, c := range checks {
		by[c.ID] = c
	}
	var missing []gap
	for _, id := range required {
		c, ok := by[id]
		switch {
		case !ok:
			missing = append(missing, gap{id, "required-missing", fmt.Sprintf("the report claims the profile %s without its check %s", profile, id), ""})
		case c.Profile != profile:
			missing = append(missing, gap{id, "required-elsewhere", fmt.Sprintf("the report claims the profile %s, but has its check %s in %q", profile, id, c.Profile), ""})
		case c.Verdict == Skip && idle(c), c.Verdict == Pass:
		default:
			text := fmt.Sprintf("the report claims the profile %s, but its check %s is %s", profile, id, verdictWord(c.Verdict))
			missing = append(missing, gap{id, "required-unpassed", text, c.outcome()})
		}
	}
	return missing
}

// gaps are what is missing for the claim of a profile by what the report itself says.
func (r Report) gaps(p Profile) []gap {
	return gaps(p.Name, p.Required, r.Checks, func(c Check) bool { return !c.LeftOut })
}

// Claims are the names of the profiles that a concluded report claims.
func (r Report) Claims() []string {
	var names []string
	for _, p := range r.Profiles {
		if p.Claimed {
			names = append(names, p.Name)
		}
	}
	return names
}

// unclaimed says of each profile that a conformant run was asked for and does not claim
// what is missing. It is empty for a run that is not conformant, which claims no more
// than it says anyway.
func (r Report) unclaimed() []string {
	var all []string
	if r.Verdict != Pass {
		return nil
	}
	for _, p := range r.Profiles {
		if s := r.shortfall(p); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// shortfall says what is missing for the claim of a profile, as in "setup not claimed,
// 3 core checks skipped (a, b, c)"; empty if nothing is.
func (r Report) shortfall(p Profile) string {
	by := map[string][]string{}
	for _, g := range r.gaps(p) {
		word := map[Verdict]string{Skip: "skipped", "": "not run"}[g.seen]
		if word == "" {
			word = "not passed" // it does not count in this report, or the run were not conformant
		}
		by[word] = append(by[word], g.id)
	}
	s := []string{p.Name + " not claimed"}
	for _, word := range []string{"skipped", "not run", "not passed"} {
		if ids := by[word]; len(ids) > 0 {
			s = append(s, fmt.Sprintf("%s %s (%s)", count(len(ids), "core check"), word, some(ids)))
		}
	}
	if len(s) == 1 {
		return ""
	}
	return strings.Join(s, ", ")
}

// Word is the outcome of a concluded report in a few words, as a banner shows it: that
// of its exit code, unless it is conformant only as far as was seen.
func (r Report) Word() string {
	if len(r.unclaimed()) > 0 {
		return asSeen
	}
	return r.ExitCode.String()
}

// tone is the verdict in whose colour the outcome is shown: a run that claims less than
// it was asked for is no plain pass to whoever looks at it, though it ends with 0.
func (r Report) tone() Verdict {
	if len(r.unclaimed()) > 0 {
		return Inconclusive
	}
	return r.Verdict
}
