package conformance

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// current is the run that TestConformance belongs to; there is one a process.
var current *run.Run

func TestMain(m *testing.M) {
	os.Exit(run.Main(m, "TestConformance", func(r *run.Run) {
		current = r
		r.Total = len(Catalogue())
		for _, p := range []string{profileScrape, profileRefusal, profileRotation} {
			r.Report.Profiles = append(r.Report.Profiles, reports.Profile{Name: p})
		}
	}))
}

// TestConformance observes the subject and judges it: once as it stands, and once
// more after its certificates were watched for a while.
func TestConformance(t *testing.T) {
	r := current
	if r.Mode == run.Up {
		return // there is nothing to judge: the cluster was asked for, not its verdict
	}
	subject := session{run: r}
	subject.observe(t)
	for _, c := range Catalogue() {
		if c.Profile != profileRotation {
			r.Env.Test(t, subject.feature(c))
		}
	}
	subject.watch(t)
	for _, c := range Catalogue() {
		if c.Profile == profileRotation {
			r.Env.Test(t, subject.feature(c))
		}
	}
	subject.keep(t)
}

// session is what the checks of one run share.
type session struct {
	run         *run.Run
	observer    *observe.Observer
	observation observe.Observation
	failed      error // why there is no observation
}

// observe waits for the first scrapes and then looks once. That nothing is
// scraped in time is for the checks to say.
func (s *session) observe(t *testing.T) {
	s.failed = s.run.Phase("first scrapes", func(ctx context.Context) (string, error) {
		config, err := s.run.Stack.Cluster.REST()
		if err != nil {
			return "", err
		}
		if s.observer, err = observe.NewObserver(config, stack.Namespace, "default"); err != nil {
			return "", err
		}
		return s.observer.Settle(ctx, s.run.Settle), nil
	})
	if s.failed != nil {
		t.Error(s.failed)
		return
	}
	s.failed = s.run.Phase("observe", func(ctx context.Context) (note string, err error) {
		s.observation, err = s.observer.Observe(ctx)
		return "", err
	})
	s.describe()
}

// watch looks on while certificates are renewed.
func (s *session) watch(t *testing.T) {
	if s.failed != nil {
		return
	}
	s.failed = s.run.Phase("watch", func(ctx context.Context) (note string, err error) {
		s.observation, err = s.observer.Watch(ctx, s.observation, s.run.Watch)
		return s.observation.Watch.Ended, err
	})
	if s.failed != nil {
		t.Error(s.failed)
	}
}

// feature is a check as the framework wants it: one assessment, which records its
// own verdict, so that nothing depends on what the framework keeps of it.
func (s *session) feature(c Check) features.Feature {
	return features.New(c.ID).
		WithLabel("profile", c.Profile).
		WithLabel("level", string(c.Level)).
		Assess("holds", func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
			start := time.Now()
			result := reports.Check{
				ID: c.ID, Title: c.Title, Profile: c.Profile, Level: c.Level, Verdict: reports.Inconclusive,
			}
			if s.failed == nil {
				result = c.Judge(s.observation)
			} else {
				result.Reason = "the subject could not be observed: " + s.failed.Error()
			}
			result.DurationSeconds = time.Since(start).Seconds()
			s.run.Record(t, result)
			return ctx
		}).
		Feature()
}

// keep writes the observation, from which the verdict can be reached again.
func (s *session) keep(t *testing.T) {
	if s.observer == nil {
		return
	}
	if err := observe.Write(filepath.Join(s.run.OutDir(), "observations", "conformance.json"), s.observation); err != nil {
		t.Error(err)
	}
}

// describe fills in what the report says of the subject.
func (s *session) describe() {
	o := s.observation
	subject := &s.run.Report.Subject
	subject.Kubernetes, subject.Istio, subject.DataPlane, subject.Operator = o.Versions.Kubernetes, o.Versions.Istio, o.Versions.DataPlane, o.Versions.Operator
	subject.TrustDomain, subject.ImageSource = o.TrustDomain, string(s.run.Stack.Source)
	if len(o.Replicas) > 0 {
		subject.Prometheus = o.Replicas[0].Version
	}
}
