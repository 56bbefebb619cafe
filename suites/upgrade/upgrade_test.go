package upgrade

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// current is the session that TestUpgrade belongs to; there is one a process.
var (
	current *Session
	options Options
)

func init() {
	flag.StringVar(&options.Ways, settingWays, "in-place", "how to upgrade the mesh: in-place, canary or both; or prometheus or operator, to upgrade that")
	flag.StringVar(&options.Mistake, settingMistake, "", "what to do wrong on purpose: no-injection, other-root, permissive, trust-domain or webhook-down")
}

func TestMain(m *testing.M) {
	os.Exit(run.Main(m, run.Suite{
		Test:    "TestUpgrade",
		Plan:    func(r *run.Run) (err error) { current, err = NewSession(r, options); return err },
		DryRun:  func(*run.Run) { fmt.Print(current.DryRun()) },
		Explain: func(*run.Run) error { return current.Explain() },

		Guests:   []run.Mode{run.WatchOver},
		Verifier: verifier,
	}))
}

// TestUpgrade takes the subject from one version to the other and back. It fails with
// each way on which something did not go on as it was.
func TestUpgrade(t *testing.T) {
	s := current
	if s.run.Mode == run.Up {
		return // the cluster was asked for, not a verdict
	}
	if s.run.Mode == run.WatchOver {
		result, err := s.Watch()
		if assert.NoError(t, err) {
			s.run.Record(t, result)
		}
		return
	}
	if !assert.NoError(t, s.Prepare()) {
		return
	}
	for _, c := range s.planned {
		result, err := s.Upgrade(c)
		assert.NoError(t, err)
		s.run.Record(t, result)
	}
}
