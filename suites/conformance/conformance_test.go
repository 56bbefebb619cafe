package conformance

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// current is the session that TestConformance belongs to; there is one a process.
var current *Session

func TestMain(m *testing.M) {
	if targets := os.Getenv(serveTargets); targets != "" {
		if err := serveAsCluster(targets); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run.Main(m, run.Suite{
		Test:     "TestConformance",
		Plan:     func(r *run.Run) (err error) { current, err = NewSession(r); return err },
		DryRun:   func(*run.Run) { fmt.Print(current.DryRun()) },
		Explain:  func(*run.Run) error { return current.Explain() },
		Guests:   []run.Mode{run.Attach, run.Doctor, run.Sandbox},
		Verifier: verifier,
	}))
}

// TestConformance looks at the subject and judges it, step by step, or as often as
// it was asked to.
func TestConformance(t *testing.T) {
	s := current
	switch {
	case s.run.Mode == run.Up:
		return // the cluster was asked for, not a verdict
	case s.run.Repeat > 1:
		results, err := s.Repeat()
		assert.NoError(t, err)
		for _, r := range results {
			s.feature(t, Check{ID: r.ID, Profile: r.Profile, Level: r.Level}, func() reports.Check { return r })
		}
		return
	}
	for _, step := range s.steps() {
		for _, look := range step.looks {
			assert.NoError(t, look())
		}
		s.judgeProfiles(t, step.profiles...)
	}
	if s.observer != nil {
		assert.NoError(t, s.keep("conformance"))
	}
}

// judgeProfiles runs the planned checks of some profiles.
func (s *Session) judgeProfiles(t *testing.T, profiles ...string) {
	for _, p := range s.judged(profiles...) {
		s.feature(t, p.Check, func() reports.Check { return s.judge(p) })
	}
}

// feature runs a check as a feature of the framework. It is one assessment, which
// records its own verdict, so that nothing depends on what the framework keeps of
// it.
func (s *Session) feature(t *testing.T, c Check, judge func() reports.Check) {
	s.run.Env.Test(t, features.New(c.ID).
		WithLabel("profile", c.Profile).
		WithLabel("level", string(c.Level)).
		Assess("holds", func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
			s.run.Record(t, judge())
			return ctx
		}).
		Feature())
}
