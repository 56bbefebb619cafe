package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// Session is one run of the catalogue: what is planned, what was observed, and
// the way from one to the other.
type Session struct {
	run         *run.Run
	planned     []Planned
	observer    *observe.Observer
	observation observe.Observation
	subject     *subject // the observation with what was looked up in it; made anew with each look
	failed      error    // why there is nothing to judge
}

// NewSession plans a run. The error is the user's.
func NewSession(r *run.Run) (*Session, error) {
	selection := Selection{Check: r.Select, Profiles: r.Profiles, Labels: r.Labels, Skip: r.ChecksToSkip()}
	if slices.Equal(r.Profiles, []string{"all"}) {
		selection.Profiles = Profiles()
	}
	s := &Session{run: r}
	if r.Mode == run.Explain {
		var err error
		if s.observation, err = observe.Read(r.Observation); err != nil {
			return nil, err
		}
	}
	selection.Attached = r.Mode == run.Attach || r.Mode == run.Doctor || s.observation.Attached != nil
	selection.Sandbox, selection.Allowed = r.Mode == run.Sandbox, r.Disruptions
	for _, l := range r.Levels {
		selection.Levels = append(selection.Levels, reports.Level(l))
	}
	planned, err := selection.Plan(Catalogue())
	if err != nil {
		return nil, err
	}
	for _, p := range planned {
		if p.Reason != "" && !p.Skipped {
			continue
		}
		r.Total++
		if !slices.ContainsFunc(r.Report.Profiles, func(x reports.Profile) bool { return x.Name == p.Profile }) {
			r.Report.Profiles = append(r.Report.Profiles, reports.Profile{Name: p.Profile, Required: required(*r.Report, p.Profile)})
		}
	}
	s.planned = planned
	return s, nil
}

// DryRun says what would run, and why the rest would not.
func (s *Session) DryRun() string {
	var b strings.Builder
	n := 0
	for _, p := range s.planned {
		if p.Reason == "" {
			n++
			fmt.Fprintf(&b, "run   %-30s %-11s %-9s %s\n", p.ID, p.Profile, p.Level, p.Title)
		}
	}
	for _, p := range s.planned {
		if p.Reason != "" {
			fmt.Fprintf(&b, "skip  %-30s %-11s %-9s %s\n", p.ID, p.Profile, p.Level, p.Reason)
		}
	}
	fmt.Fprintf(&b, "%d of %d checks would run\n", n, len(s.planned))
	return b.String()
}

// Explain judges a kept observation: the same verdicts as when it was made.
func (s *Session) Explain() error {
	s.describe()
	for _, p := range s.judged(Profiles()...) {
		s.run.Add(s.judge(p))
	}
	return nil
}

// judged are the checks of some profiles that come into the report: those that run,
// and those that the skip list took out.
func (s *Session) judged(profiles ...string) []Planned {
	var some []Planned
	for _, p := range s.planned {
		if slices.Contains(profiles, p.Profile) && (p.Reason == "" || p.Skipped) {
			some = append(some, p)
		}
	}
	return some
}

// judge comes to a verdict and, unless it is a pass, explains it.
func (s *Session) judge(p Planned) reports.Check {
	result := reports.Check{ID: p.ID, Title: p.Title, Profile: p.Profile, Level: p.Level}
	switch {
	case p.Skipped:
		result.Verdict, result.Reason, result.LeftOut = reports.Skip, p.Reason, true
		return result
	case s.failed != nil:
		result.Verdict, result.Reason = reports.Inconclusive, "the subject could not be observed: "+s.failed.Error()
		return result
	}
	return p.verdict(s.subject)
}

// runs reports whether a check runs.
func (s *Session) runs(c Check) bool {
	return slices.ContainsFunc(s.planned, func(p Planned) bool { return p.ID == c.ID && p.Reason == "" })
}

// describe fills in what the report says of the subject, and its timeline.
func (s *Session) describe() {
	o := s.observation
	s.subject = &subject{Observation: o}
	told := &s.run.Report.Subject
	told.Kubernetes, told.Istio, told.DataPlane, told.Operator = o.Versions.Kubernetes, o.Versions.Istio, o.Versions.DataPlane, o.Versions.Operator
	told.TrustDomain = o.TrustDomain
	if len(o.Replicas) > 0 {
		told.Prometheus = o.Replicas[0].Version
	}
	if s.run.Stack != nil && o.Attached == nil {
		told.ImageSource = s.run.Stack.Source
	}
	s.run.Report.APIRequests = o.Requests
	s.run.Report.Timeline, s.run.Report.Tracks = Timeline(o), Tracks(o)
}
