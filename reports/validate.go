package reports

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// checkID is how an ID looks: it becomes a file name, a URL fragment and a label.
var checkID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Validate lists everything in the report that contradicts itself or is missing, in
// one error. A pass without evidence is such a defect, as is any verdict, tally or
// exit code that does not follow from the checks: a report that says more than its
// checks do must not be believed.
func (r Report) Validate() error {
	var v violations
	if major(r.SchemaVersion) != major(SchemaVersion) {
		v.add("schemaVersion %q is not one of %s", r.SchemaVersion, SchemaVersion)
	}
	if err := validRunID(r.RunID); err != nil {
		v.add("runId: %v", err)
	}
	if r.StartedAt.IsZero() {
		v.add("startedAt is not set")
	}
	if r.EndedAt.Before(r.StartedAt) {
		v.add("endedAt %s is before startedAt %s", r.EndedAt, r.StartedAt)
	}
	if r.Error != nil && strings.TrimSpace(r.Error.Message) == "" {
		v.add("error: no message")
	}
	for i, l := range r.Leftovers {
		if strings.TrimSpace(l) == "" {
			v.add("leftovers[%d] names nothing", i)
		}
	}
	seen := map[string]bool{}
	for i, c := range r.Checks {
		if seen[c.ID] {
			v.add("check %s: listed twice", c.ID)
		}
		seen[c.ID] = true
		c.validate(i, &v)
	}
	for i, p := range r.Phases {
		if p.Name == "" {
			v.add("phases[%d]: no name", i)
		}
		if !isDuration(p.Seconds) {
			v.add("phase %s: %v is not a duration", p.Name, p.Seconds)
		}
	}
	for i, e := range r.Timeline {
		if e.At.IsZero() {
			v.add("timeline[%d]: no time", i)
		}
		if e.Kind == "" {
			v.add("timeline[%d]: no kind", i)
		}
	}
	for i, t := range r.Tracks {
		t.validate(i, &v)
	}
	r.validateConclusion(&v)
	if len(v) == 0 {
		return nil
	}
	return fmt.Errorf("report %q contradicts itself (%d findings):\n%w", r.RunID, len(v), errors.Join(v...))
}

func (c Check) validate(i int, v *violations) {
	if !checkID.MatchString(c.ID) {
		v.add("checks[%d]: id %q is not lower-case words joined by hyphens", i, c.ID)
	}
	if strings.TrimSpace(c.Title) == "" {
		v.add("check %s: no title", c.ID)
	}
	if c.Profile == "" {
		v.add("check %s: no profile", c.ID)
	}
	switch c.Level {
	case Core, Extended, Provisional:
	default:
		v.add("check %s: unknown level %q", c.ID, c.Level)
	}
	if !isDuration(c.DurationSeconds) {
		v.add("check %s: %v is not a duration", c.ID, c.DurationSeconds)
	}
	switch c.Verdict {
	case Pass:
		if len(c.Evidence) == 0 {
			v.add("check %s: pass without evidence", c.ID)
		}
		if len(c.Causes) > 0 {
			v.add("check %s: pass with causes of a failure", c.ID)
		}
	case Fail, Skip, Inconclusive:
		if strings.TrimSpace(c.Reason) == "" {
			v.add("check %s: %s without a reason", c.ID, c.Verdict)
		}
	default:
		v.add("check %s: unknown verdict %q", c.ID, c.Verdict)
	}
	if c.LeftOut && c.Verdict != Skip {
		v.add("check %s: left out and yet %q", c.ID, c.Verdict)
	}
	for j, e := range c.Evidence {
		if strings.TrimSpace(e.Source) == "" || strings.TrimSpace(e.Text) == "" {
			v.add("check %s: evidence[%d] has no source or no text", c.ID, j)
		}
	}
	for j, k := range c.Causes {
		if k.Code == "" || strings.TrimSpace(k.Seen) == "" || strings.TrimSpace(k.Change) == "" {
			v.add("check %s: causes[%d] lacks code, seen or change", c.ID, j)
		}
		switch k.Confidence {
		case Certain, Likely, Possible:
		default:
			v.add("check %s: causes[%d] has the unknown confidence %q", c.ID, j, k.Confidence)
		}
	}
}

func (t Track) validate(i int, v *violations) {
	if strings.TrimSpace(t.Subject) == "" {
		v.add("tracks[%d]: no subject", i)
	}
	for j, b := range t.Bars {
		if b.From.IsZero() || b.To.Before(b.From) {
			v.add("tracks[%d]: bars[%d] does not go from a time to a later one", i, j)
		}
		if b.Kind == "" {
			v.add("tracks[%d]: bars[%d] has no kind", i, j)
		}
	}
	for j, p := range t.Points {
		if p.At.IsZero() {
			v.add("tracks[%d]: points[%d] has no time", i, j)
		}
	}
}

// validateConclusion draws the conclusion anew and compares.
func (r Report) validateConclusion(v *violations) {
	want := r
	want.Conclude()
	wanted := map[string]Profile{}
	for _, p := range want.Profiles {
		wanted[p.Name] = p
	}
	listed := map[string]bool{}
	for i, p := range r.Profiles {
		if p.Name == "" {
			v.add("profiles[%d]: no name", i)
		}
		if listed[p.Name] {
			v.add("profile %s: listed twice", p.Name)
		}
		listed[p.Name] = true
		w := wanted[p.Name]
		if p.Verdict != w.Verdict {
			v.add("profile %s: verdict is %q, its checks say %q", p.Name, p.Verdict, w.Verdict)
		}
		if p.Claimed != w.Claimed {
			v.add("profile %s: claimed is %t, its checks say %t", p.Name, p.Claimed, w.Claimed)
		}
		if p.Passed != w.Passed || p.Failed != w.Failed || p.Skipped != w.Skipped || p.Inconclusive != w.Inconclusive {
			v.add("profile %s: counts %s, its checks say %s", p.Name, p.counts(), w.counts())
		}
	}
	for _, p := range want.Profiles {
		if !listed[p.Name] {
			v.add("profile %s: has checks but is not listed", p.Name)
		}
	}
	if r.Verdict != want.Verdict {
		v.add("verdict is %q, the checks say %q", r.Verdict, want.Verdict)
	}
	if r.ExitCode != want.ExitCode {
		v.add("exitCode is %d, the checks say %d (%s)", r.ExitCode, want.ExitCode, want.ExitCode)
	}
}

// counts is the profile's tally in words, without what is nought.
func (p Profile) counts() string {
	var s []string
	for _, n := range []struct {
		n    int
		word string
	}{{p.Passed, "passed"}, {p.Failed, "failed"}, {p.Inconclusive, "inconclusive"}, {p.Skipped, "skipped"}} {
		if n.n != 0 {
			s = append(s, fmt.Sprintf("%d %s", n.n, n.word))
		}
	}
	if len(s) == 0 {
		return "not run"
	}
	return strings.Join(s, ", ")
}

type violations []error

func (v *violations) add(format string, args ...any) { *v = append(*v, fmt.Errorf(format, args...)) }

func isDuration(s float64) bool { return s >= 0 && !math.IsInf(s, 0) }

// validRunID refuses what would not be one directory beside the others.
func validRunID(id string) error {
	switch {
	case id == "":
		return errors.New("it is empty")
	case id == "." || id == ".." || id == latest:
		return fmt.Errorf("%q is a reserved name", id)
	case strings.ContainsAny(id, "/\\\x00"):
		return fmt.Errorf("%q is not a plain directory name", id)
	}
	return nil
}
