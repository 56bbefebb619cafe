package upgrade

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Check is one way to upgrade, as a requirement.
type Check struct {
	ID    string // stable: added, never renamed
	Way   string // by what it is asked for
	Title string // what must hold, as a sentence
	Level reports.Level
	// Begins judges, by the first step of a record, that the subject is of the version
	// which the upgrade is from.
	Begins func(r Record, f *finding)
	// Assess judges a record beyond its steps and its beginning, which every way has. What
	// it saw goes into the finding.
	Assess func(r Record, f *finding)
}

// Catalogue lists every check in the order in which they run.
func Catalogue() []Check {
	return []Check{upgradeInPlace, upgradeCanary, upgradePrometheus, upgradeOperator}
}

// checksOf are the checks of the ways that a user asks for; none if he asks for what
// there is not.
func checksOf(ways string) []Check {
	var checks []Check
	for _, c := range Catalogue() {
		if c.Way == ways || ways == bothWays && c.ofMesh() {
			checks = append(checks, c)
		}
	}
	return checks
}

// bothWays stands for every way to upgrade the mesh.
const bothWays = "both"

// ofMesh reports whether it is the mesh that is upgraded.
func (c Check) ofMesh() bool { return c.ID == upgradeInPlace.ID || c.ID == upgradeCanary.ID }

// Judge applies a check to the record of its upgrade, and comes to the verdict as
// [reports.Assessment.Conclude] does.
func (c Check) Judge(r Record) reports.Check {
	var f finding
	f.steps(r)
	c.Begins(r, &f)
	c.Assess(r, &f)
	return f.Conclude(reports.Check{ID: c.ID, Title: c.Title, Profile: Profile, Level: c.Level, Causes: f.causes})
}

// finding collects what a check finds.
type finding struct {
	reports.Assessment
	causes []reports.Cause
}

// Sources of evidence.
const (
	sourceSteps   = "the steps of the upgrade"
	sourceScrapes = "Prometheus, /api/v1/query, raw samples of up"
	sourceAPI     = "Kubernetes API"
	sourceOwn     = "Prometheus, /metrics"
)

// steps judges each step by itself: it was carried out, and the subject was in order
// after it. That a planned step is missing is no proof, unless one before it failed.
func (f *finding) steps(r Record) {
	done := map[Name]bool{}
	for _, s := range r.Steps {
		done[s.Name] = true
		e := s.episode()
		if e.Error != "" {
			f.Fail("the step %s could not be carried out: %s", s.Name, e.Error)
			f.explain(s.causes(r.Check))
		}
		for _, c := range s.bad() {
			add := f.Unclear
			if c.Verdict == reports.Fail {
				add = f.Fail
			}
			add("%s: %s: %s", when(s), c.ID, c.Reason)
			f.explain(c.Causes)
		}
		if e.Error != "" || len(s.bad()) > 0 {
			continue
		}
		f.Saw(sourceSteps, s.String(), "%s; then %s held; scrapes from %s to %s: %s",
			e.Title, ids(s.Checks), e.From.Format(time.TimeOnly), e.To.Format(time.TimeOnly), scrapesText(s))
	}
	for _, n := range r.Planned {
		if !done[n] {
			f.Unclear("the step %s was not tried", n)
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
				f.Unclear("on the way %s no scrape was seen where a Prometheus with the proxy %s scrapes a target with the proxy %s", stage, p.prometheus, p.target)
				continue
			}
			f.Saw(sourceScrapes, "the way "+string(stage), "%s: %d scrapes succeeded", p, seen[p])
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
		f.Fail("at the end of the way %s, not every proxy is of Istio %s: %s", stage, version, listed(old))
		return
	}
	f.Saw(sourceAPI, "the way "+string(stage), "in the end every proxy of Prometheus and of its targets is of Istio %s", version)
}

// alone requires that at the end of a stage there is no control plane but of one version.
func (f *finding) alone(r Record, stage Stage, version string) {
	last, ok := r.last(stage)
	if !ok {
		return
	}
	planes := last.Observation.Mesh.ControlPlanes
	if len(planes) == 0 {
		f.Unclear("at the end of the way %s no control plane was seen", stage)
	}
	for _, c := range planes {
		if c.Version != version {
			f.Fail("at the end of the way %s, the control plane %s is of Istio %s, not of %s", stage, c.Name, c.Version, version)
			continue
		}
		f.Saw(sourceAPI, c.Name, "in the end of the way %s the control plane is of Istio %s", stage, c.Version)
	}
}

// begins reports whether the subject was of the older version before anything was
// changed.
func (r Record) begins() bool {
	c, err := checkOf(r)
	if err != nil {
		return false
	}
	var f finding
	c.Begins(Record{Check: r.Check, From: r.From, To: r.To, Planned: r.Planned[:1], Steps: r.Steps[:1]}, &f)
	return f.Failures() == 0
}

// meshBegins requires a mesh that is of one version alone, and none of whose proxies is too
// old for the other.
func meshBegins(r Record, f *finding) {
	f.arrives(r, Before, r.From)
	f.alone(r, Before, r.From)
	f.supported(r)
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
