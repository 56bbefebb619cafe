package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/diagnosis"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// Session is one run of the catalogue: what is planned, what was observed, and
// the way from one to the other.
type Session struct {
	run         *run.Run
	planned     []Planned
	observer    *observe.Observer
	observation observe.Observation
	failed      error // why there is nothing to judge
}

// NewSession plans a run. The error is the user's.
func NewSession(r *run.Run) (*Session, error) {
	selection := Selection{Check: r.Select, Profiles: r.Profiles, Skip: r.Skip}
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
			r.Report.Profiles = append(r.Report.Profiles, reports.Profile{Name: p.Profile})
		}
	}
	return &Session{run: r, planned: planned}, nil
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
	var err error
	if s.observation, err = observe.Read(s.run.Observation); err != nil {
		return err
	}
	s.describe()
	for _, p := range s.planned {
		if p.Reason == "" || p.Skipped {
			s.run.Add(s.judge(p))
		}
	}
	return nil
}

// judge comes to a verdict and, unless it is a pass, explains it.
func (s *Session) judge(p Planned) reports.Check {
	result := reports.Check{ID: p.ID, Title: p.Title, Profile: p.Profile, Level: p.Level}
	switch {
	case p.Skipped:
		result.Verdict, result.Reason = reports.Skip, p.Reason
		return result
	case s.failed != nil:
		result.Verdict, result.Reason = reports.Inconclusive, "the subject could not be observed: "+s.failed.Error()
		return result
	}
	start := time.Now()
	result = p.Judge(s.observation)
	if result.Verdict == reports.Fail || result.Verdict == reports.Inconclusive {
		result.Causes = diagnosis.Diagnose(s.observation, []reports.Check{result})[p.ID]
	}
	result.DurationSeconds = time.Since(start).Seconds()
	return result
}

// plans reports whether a check of the profile runs.
func (s *Session) plans(profile string) bool {
	return slices.ContainsFunc(s.planned, func(p Planned) bool { return p.Profile == profile && p.Reason == "" })
}

// runs reports whether a check runs.
func (s *Session) runs(c Check) bool {
	return slices.ContainsFunc(s.planned, func(p Planned) bool { return p.ID == c.ID && p.Reason == "" })
}

// Observe waits for the first scrapes and then looks once. That nothing is
// scraped in time is for the checks to say.
func (s *Session) Observe() error {
	s.failed = s.run.Phase("first scrapes", func(ctx context.Context) (string, error) {
		config, err := s.run.Stack.Cluster.REST()
		if err != nil {
			return "", err
		}
		if restored, err := disrupt.Restore(ctx, s.run.Stack.Client); err != nil {
			return "", err
		} else if len(restored) > 0 {
			s.run.Terminal.Note("an earlier run had left disrupted, and this one restored: " + strings.Join(restored, ", "))
		}
		if s.observer, err = observe.NewObserver(config, stack.Namespace, "default"); err != nil {
			return "", err
		}
		_, note := s.observer.Settle(ctx, s.run.Settle)
		return note, nil
	})
	if s.failed != nil {
		return s.failed
	}
	s.failed = s.run.Phase("observe", func(ctx context.Context) (note string, err error) {
		s.observation, err = s.observer.Observe(ctx)
		return fmt.Sprintf("%d requests to the API server", s.observation.Requests), err
	})
	s.describe()
	return s.failed
}

// Admit looks on while a policy admits only Prometheus, if a check wants to know.
// Only on a cluster that has a workload to show that another is not admitted.
func (s *Session) Admit() error {
	if s.failed != nil || !s.runs(identityAuthorized) {
		return nil
	}
	d, err := OnlyPrometheusAdmitted(s.run.Stack.Client)
	if err != nil {
		return err
	}
	s.failed = s.run.Phase(d.Name, func(ctx context.Context) (string, error) {
		var marks []observe.Mark
		err := disrupt.While(ctx, d, marker(&marks), func(ctx context.Context) (err error) {
			s.observation.Admission, err = s.observer.Admission(ctx, s.observation)
			return err
		})
		if s.observation.Admission != nil {
			s.observation.Admission.Marks = marks
		}
		return d.Title, err
	})
	s.describe()
	return s.failed
}

// marker notes when each step of a disruption took effect.
func marker(marks *[]observe.Mark) func(step string) {
	return func(step string) { *marks = append(*marks, observe.Mark{At: time.Now().UTC(), Step: step}) }
}

// Watch looks on while certificates are renewed, if any check wants to know.
func (s *Session) Watch() error {
	if s.failed != nil || !s.plans(profileRotation) {
		return nil
	}
	s.failed = s.run.Phase("watch", func(ctx context.Context) (note string, err error) {
		s.observation, err = s.observer.Watch(ctx, s.observation, s.run.Watch)
		return s.observation.Watch.Ended, err
	})
	s.describe()
	return s.failed
}

// Disrupt brings the disruptions about that the planned checks ask for, one at a
// time: a check's ID is the name of its disruption and "-survived".
func (s *Session) Disrupt() error {
	for _, d := range Disruptions(s.run.Stack.Client, stack.Namespace) {
		wanted := func(p Planned) bool { return p.ID == d.Name+"-survived" && p.Reason == "" }
		if s.failed != nil || !slices.ContainsFunc(s.planned, wanted) {
			continue
		}
		s.failed = s.run.Phase(d.Name, func(ctx context.Context) (string, error) {
			e, err := s.observer.Episode(ctx, d.Name, d.Title, s.run.Settle, func(ctx context.Context, mark func(string)) error {
				return disrupt.Run(ctx, d, mark)
			})
			s.observation.Episodes = append(s.observation.Episodes, e)
			return e.Settled, err
		})
	}
	s.describe()
	return s.failed
}

// describe fills in what the report says of the subject, and its timeline.
func (s *Session) describe() {
	o := s.observation
	subject := &s.run.Report.Subject
	subject.Kubernetes, subject.Istio, subject.DataPlane, subject.Operator = o.Versions.Kubernetes, o.Versions.Istio, o.Versions.DataPlane, o.Versions.Operator
	subject.TrustDomain = o.TrustDomain
	if len(o.Replicas) > 0 {
		subject.Prometheus = o.Replicas[0].Version
	}
	if s.run.Stack != nil {
		subject.ImageSource = string(s.run.Stack.Source)
	}
	s.run.Report.APIRequests = o.Requests
	s.run.Report.Timeline = Timeline(o)
}
