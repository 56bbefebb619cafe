package foreign

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// current is the session that TestForeign belongs to; there is one a process.
var (
	current *Session
	binary  string
)

func init() {
	flag.StringVar(&binary, "binary", "bin/conformance", "the binary that an owner runs")
}

func TestMain(m *testing.M) {
	secret, err := webSecret()
	if err != nil {
		panic(err) // it asks nobody but the source of random numbers
	}
	setting := Setting
	setting.Extra = []*unstructured.Unstructured{secret}
	os.Exit(run.Main(m, run.Suite{
		Test:    "TestForeign",
		Setting: &setting,
		Plan:    func(r *run.Run) (err error) { current, err = NewSession(r, binary); return err },
		DryRun:  func(*run.Run) { fmt.Print(current.DryRun()) },
	}))
}

// TestForeign attaches to every Prometheus of a cluster that is not as the guide has it.
func TestForeign(t *testing.T) {
	s := current
	if s.run.Mode == run.Up {
		return // the cluster was asked for, not a verdict
	}
	require.NoError(t, s.Try())
	s.describe()
	for _, c := range Catalogue() {
		s.run.Record(t, c.Judge(s.record))
	}
	assert.NotEmpty(t, s.record.Attached)
}
