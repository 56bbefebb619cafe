package upgrade

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Check is one way to upgrade a mesh, as a requirement.
type Check struct {
	ID    string // stable: added, never renamed
	Title string // what must hold, as a sentence
	Level reports.Level
	// Assess judges a record. What it saw goes into the finding.
	Assess func(r Record, f *finding)
}

// Catalogue lists every check in the order in which they run.
func Catalogue() []Check { return []Check{upgradeInPlace, upgradeCanary} }

// Judge applies a check to the record of its upgrade. The verdict is fail if anything
// was found that must not be, else inconclusive if something was not done or not seen,
// else pass, which needs evidence.
func (c Check) Judge(r Record) reports.Check {
	var f finding
	c.Assess(r, &f)
	result := reports.Check{ID: c.ID, Title: c.Title, Profile: Profile, Level: c.Level, Evidence: f.evidence, Causes: f.causes}
	switch {
	case len(f.failures) > 0:
		result.Verdict, result.Reason = reports.Fail, strings.Join(f.failures, "\n")
	case len(f.doubts) > 0:
		result.Verdict, result.Reason = reports.Inconclusive, strings.Join(f.doubts, "\n")
	case len(f.evidence) == 0:
		result.Verdict, result.Reason = reports.Inconclusive, "nothing was seen that the check could judge"
	default:
		result.Verdict = reports.Pass
	}
	return result
}

// finding collects what a check finds.
type finding struct {
	failures []string
	doubts   []string
	evidence []reports.Evidence
	causes   []reports.Cause
}

func (f *finding) fail(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

// unclear records something that keeps the check from passing, without proof that
// anything is wrong.
func (f *finding) unclear(format string, args ...any) {
	f.doubts = append(f.doubts, fmt.Sprintf(format, args...))
}

func (f *finding) saw(source, subject, format string, args ...any) {
	f.evidence = append(f.evidence, reports.Evidence{Source: source, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// Sources of evidence.
const (
	sourceSteps   = "the steps of the upgrade"
	sourceScrapes = "Prometheus, /api/v1/query, raw samples of up"
	sourceAPI     = "Kubernetes API"
)

// steps judges each step by itself: it was carried out, and the subject was in order
// after it. That a planned step is missing is no proof, unless one before it failed.
func (f *finding) steps(r Record) {
	done := map[Name]bool{}
	for _, s := range r.Steps {
		done[s.Name] = true
		e := s.episode()
		if e.Error != "" {
			f.fail("the step %s could not be carried out: %s", s.Name, e.Error)
		}
		for _, c := range s.bad() {
			add := f.unclear
			if c.Verdict == reports.Fail {
				add = f.fail
			}
			add("%s: %s: %s", when(s), c.ID, c.Reason)
			f.explain(c.Causes)
		}
		if e.Error != "" || len(s.bad()) > 0 {
			continue
		}
		f.saw(sourceSteps, s.String(), "%s; then %s held; scrapes from %s to %s: %s",
			e.Title, ids(s.Checks), e.From.Format(time.TimeOnly), e.To.Format(time.TimeOnly), scrapesText(s))
	}
	for _, n := range r.Planned {
		if !done[n] {
			f.unclear("the step %s was not tried", n)
		}
	}
}

// when says when something was so.
func when(s Step) string {
	if s.Stage == Before {
		return "before the upgrade"
	}
	return "after the step " + s.String()
}

// explain adds causes that are not known yet: one that lasts is found after each step.
func (f *finding) explain(causes []reports.Cause) {
	for _, c := range causes {
		if !slices.ContainsFunc(f.causes, func(x reports.Cause) bool { return x.Code == c.Code }) {
			f.causes = append(f.causes, c)
		}
	}
}

// ids are the checks that passed.
func ids(checks []reports.Check) string {
	var passed []string
	for _, c := range checks {
		if c.Verdict == reports.Pass && c.ID != scrapesID {
			passed = append(passed, c.ID)
		}
	}
	return strings.Join(passed, ", ")
}

// scrapesText is what the check of the scrapes saw, with the bound that it states.
func scrapesText(s Step) string {
	var text []string
	for _, c := range s.Checks {
		for _, e := range c.Evidence {
			if c.ID == scrapesID {
				text = append(text, e.Subject+": "+e.Text)
			}
		}
	}
	return strings.Join(text, "; ")
}

// pairs requires that in each of some stages a scrape succeeded between every pair of
// an old and a new proxy. Before the first of them both ends are old.
func (f *finding) pairs(r Record, stages ...Stage) {
	for _, stage := range stages {
		if !r.has(stage) {
			continue // that it was not tried is told with its steps
		}
		seen := map[pair]int{}
		for i, s := range r.Steps {
			// What a stage begins with is what the one before it ended with.
			if s.Stage == stage || i+1 < len(r.Steps) && r.Steps[i+1].Stage == stage {
				for p, n := range s.pairs() {
					seen[p] += n
				}
			}
		}
		for _, p := range r.allPairs() {
			if seen[p] == 0 {
				f.unclear("on the way %s no scrape was seen where a Prometheus with the proxy %s scrapes a target with the proxy %s", stage, p.prometheus, p.target)
				continue
			}
			f.saw(sourceScrapes, "the way "+string(stage), "%s: %d scrapes succeeded", p, seen[p])
		}
	}
}

// arrives requires that at the end of a stage every proxy of the subject is of one
// version.
func (f *finding) arrives(r Record, stage Stage, version string) {
	last, ok := r.last(stage)
	if !ok {
		return
	}
	if old := others(last.Observation, version); len(old) > 0 {
		f.fail("at the end of the way %s, not every proxy is of Istio %s: %s", stage, version, listed(old))
		return
	}
	f.saw(sourceAPI, "the way "+string(stage), "in the end every proxy of Prometheus and of its targets is of Istio %s", version)
}

// alone requires that at the end of a stage there is no control plane but of one version.
func (f *finding) alone(r Record, stage Stage, version string) {
	last, ok := r.last(stage)
	if !ok {
		return
	}
	planes := last.Observation.Mesh.ControlPlanes
	if len(planes) == 0 {
		f.unclear("at the end of the way %s no control plane was seen", stage)
	}
	for _, c := range planes {
		if c.Version != version {
			f.fail("at the end of the way %s, the control plane %s is of Istio %s, not of %s", stage, c.Name, c.Version, version)
			continue
		}
		f.saw(sourceAPI, c.Name, "in the end of the way %s the control plane is of Istio %s", stage, c.Version)
	}
}

// begins reports whether the mesh was of the older version before anything was changed.
func (r Record) begins() bool {
	var f finding
	before := Record{From: r.From, To: r.To, Planned: r.Planned[:1], Steps: r.Steps[:1]}
	f.arrives(before, Before, r.From)
	f.alone(before, Before, r.From)
	return len(f.failures) == 0
}

// has reports whether any step of a stage was tried.
func (r Record) has(stage Stage) bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Stage == stage })
}

// last is the step that a stage was to end with, if it was done.
func (r Record) last(stage Stage) (Step, bool) {
	var name Name
	for _, n := range r.Planned {
		if n.Stage == stage {
			name = n
		}
	}
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == name })
	if i < 0 {
		return Step{}, false
	}
	return r.Steps[i], true
}
