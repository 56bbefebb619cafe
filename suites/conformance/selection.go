package conformance

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Selection is which checks a user wants to run.
type Selection struct {
	Check    *regexp.Regexp    // of IDs; nil means all
	Profiles []string          // empty means all
	Levels   []reports.Level   // empty means all
	Labels   labels.Selector   // of [Check.Labels]; nil means all
	Skip     map[string]string // reason, by ID
	Attached bool              // the subject stood before, and is only read
	Sandbox  bool              // the subject is a namespace of a cluster that is not ours
	Allowed  []string          // disruptions of shared parts that its owner allows, by [Check.Shared]
}

// Planned is a check and whether it runs.
type Planned struct {
	Check
	Reason  string // why it does not run; empty if it does
	Skipped bool   // it would have run but for the skip list, or for what is not allowed: the report says so
}

// Plan decides for every check of the catalogue. It fails if the selection names
// something that does not exist: a misspelt name must not pass for a green run.
func (s Selection) Plan(catalogue []Check) ([]Planned, error) {
	for id, reason := range s.Skip {
		if !slices.ContainsFunc(catalogue, func(c Check) bool { return c.ID == id }) {
			return nil, fmt.Errorf("the skip list names %q, which is no check", id)
		}
		if reason == "" {
			return nil, fmt.Errorf("the skip list gives no reason for %s: write %s=why", id, id)
		}
	}
	for _, p := range s.Profiles {
		if !slices.Contains(Profiles(), p) {
			return nil, fmt.Errorf("there is no profile %q: use %s", p, strings.Join(Profiles(), ", "))
		}
	}
	for _, l := range s.Levels {
		if !slices.Contains([]reports.Level{reports.Core, reports.Extended, reports.Provisional}, l) {
			return nil, fmt.Errorf("there is no level %q: use core, extended or provisional", l)
		}
	}
	if err := s.checkLabels(); err != nil {
		return nil, err
	}
	if err := s.checkAllowed(catalogue); err != nil {
		return nil, err
	}
	var planned []Planned
	runs := 0
	for _, c := range catalogue {
		p := Planned{Check: c, Reason: s.reason(c)}
		if _, listed := s.Skip[c.ID]; listed && p.Reason == "" {
			p.Reason, p.Skipped = s.Skip[c.ID], true
		}
		if s.Sandbox && c.Shared != "" && p.Reason == "" && !slices.Contains(s.Allowed, c.Shared) {
			p.Reason, p.Skipped = c.Disrupts+", which others use as well: it runs only with -allow-disruption="+c.Shared, true
		}
		if p.Reason == "" {
			runs++
		}
		planned = append(planned, p)
	}
	if runs == 0 {
		return nil, fmt.Errorf("no check is selected: %s", s)
	}
	return planned, nil
}

// checkAllowed fails if what is allowed is no disruption of a shared part.
func (s Selection) checkAllowed(catalogue []Check) error {
	var known []string
	for _, c := range catalogue {
		if c.Shared != "" {
			known = append(known, c.Shared)
		}
	}
	for _, a := range s.Allowed {
		if !slices.Contains(known, a) {
			return fmt.Errorf("there is no disruption %q of a shared part: use %s", a, strings.Join(known, ", "))
		}
	}
	return nil
}

// checkLabels fails if the selector names a label that no check has: it would
// select nothing, or with "!=" everything.
func (s Selection) checkLabels() error {
	if s.Labels == nil {
		return nil
	}
	known := Check{}.Labels()
	requirements, _ := s.Labels.Requirements()
	for _, r := range requirements {
		if !known.Has(r.Key()) {
			return fmt.Errorf("no check has a label %q: use %s", r.Key(), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return nil
}

// reason says why a check does not run.
func (s Selection) reason(c Check) string {
	switch {
	case s.Attached && !c.readsOnly():
		return "it changes or watches something, or asks as a stranger would: not in a cluster that is not ours"
	case !s.Attached && c.Stood:
		return "it judges what Prometheus stored before the run: it runs with mode=attach"
	case s.Check != nil && !s.Check.MatchString(c.ID):
		return "not selected: its ID does not match " + s.Check.String()
	case c.Optional && s.Check == nil:
		return "runs only if asked for by name"
	case len(s.Profiles) > 0 && !slices.Contains(s.Profiles, c.Profile):
		return "not selected: its profile is " + c.Profile
	case len(s.Profiles) == 0 && s.Check == nil && c.Profile == ProfileResilience:
		return "its profile disrupts shared parts: it runs only if asked for, with profile=" + c.Profile
	case len(s.Profiles) == 0 && s.Check == nil && c.Long != "":
		return c.Long + ": it runs only if asked for, by name or with profile=" + c.Profile
	case s.Labels != nil && !s.Labels.Matches(c.Labels()):
		return "not selected: its labels are " + c.Labels().String()
	case len(s.Levels) > 0 && !slices.Contains(s.Levels, c.Level):
		return "not selected: its level is " + string(c.Level)
	}
	return ""
}

// readsOnly reports whether a check can judge a subject that stood before and is only
// read.
func (c Check) readsOnly() bool {
	return c.Profile == ProfileSetup || c.Profile == ProfileScrape || c.Stood
}

// String describes the selection as the user gave it.
func (s Selection) String() string {
	var parts []string
	if s.Check != nil {
		parts = append(parts, "check="+s.Check.String())
	}
	if len(s.Profiles) > 0 {
		parts = append(parts, "profile="+strings.Join(s.Profiles, ","))
	}
	if s.Labels != nil {
		parts = append(parts, "label="+s.Labels.String())
	}
	for _, l := range s.Levels {
		parts = append(parts, "level="+string(l))
	}
	if len(s.Skip) > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped by the skip list", len(s.Skip)))
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}
