package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// current is the session that TestConformance belongs to; there is one a process.
var current *Session

func TestMain(m *testing.M) {
	os.Exit(run.Main(m, run.Suite{
		Test:    "TestConformance",
		Plan:    func(r *run.Run) (err error) { current, err = NewSession(r); return err },
		DryRun:  func(*run.Run) { fmt.Print(current.DryRun()) },
		Explain: func(*run.Run) error { return current.Explain() },
	}))
}

// TestConformance observes the subject and judges it: once as it stands, once
// more after its certificates were watched for a while, and, if asked to, while
// parts of it are taken away.
func TestConformance(t *testing.T) {
	s := current
	if s.run.Mode == run.Up {
		return // the cluster was asked for, not a verdict
	}
	assert.NoError(t, s.Observe())
	assert.NoError(t, s.Admit())
	s.judgeProfiles(t, ProfileSetup, ProfileScrape, ProfileRefusal)
	assert.NoError(t, s.Watch())
	assert.NoError(t, s.RotateRoot())
	s.judgeProfiles(t, ProfileRotation)
	assert.NoError(t, s.Disrupt())
	s.judgeProfiles(t, ProfileResilience)
	if s.observer != nil {
		assert.NoError(t, observe.Write(filepath.Join(s.run.OutDir(), "observations", "conformance.json"), s.observation))
	}
}

// judgeProfiles runs the planned checks of some profiles as features. Each is one
// assessment, which records its own verdict, so that nothing depends on what the
// framework keeps of it.
func (s *Session) judgeProfiles(t *testing.T, profiles ...string) {
	for _, profile := range profiles {
		for _, p := range s.planned {
			if p.Profile != profile || p.Reason != "" && !p.Skipped {
				continue
			}
			s.run.Env.Test(t, features.New(p.ID).
				WithLabel("profile", p.Profile).
				WithLabel("level", string(p.Level)).
				Assess("holds", func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
					s.run.Record(t, s.judge(p))
					return ctx
				}).
				Feature())
		}
	}
}
