package run

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// asSuite makes this test binary behave as a suite's, for tests to start it.
const asSuite = "TEST_AS_SUITE"

func TestMain(m *testing.M) {
	if os.Getenv(asSuite) == "" {
		os.Exit(m.Run())
	}
	os.Exit(Main(m, Suite{
		Test: "TestOfTheSuite",
		Plan: func(r *Run) error {
			if r.Select != nil && r.Select.String() == "absent" {
				return errors.New("no check is selected")
			}
			return nil
		},
		Guests: []Mode{Attach, Doctor, Sandbox},
		DryRun: func(*Run) { fmt.Println("would run") },
		Explain: func(r *Run) error {
			if _, err := os.Stat(r.Observation); err != nil {
				return err
			}
			r.Add(reports.Check{ID: "a", Title: "it holds", Profile: "scrape", Level: reports.Core, Verdict: reports.Fail, Reason: "because"})
			return nil
		},
	}))
}

// TestOfTheSuite needs a subject: without one it is not run.
func TestOfTheSuite(t *testing.T) {
	if os.Getenv(asSuite) != "" {
		t.Log("TestOfTheSuite ran")
	}
}

// suite starts this binary as a suite's, in an empty folder.
func suite(t *testing.T, args ...string) (code int, stdout, stderr, dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asSuite+"=1", "CACHE="+filepath.Join(dir, "cache"))
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil {
		require.ErrorAs(t, e, &exit)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String(), dir
}

func TestWrongUsageEndsWithItsCodeAndOneLine(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown flag":        {"-bogus"},
		"an unknown mode":        {"-mode=test"},
		"an argument":            {"-mode=e2e", "now"},
		"a file that is absent":  {"-mode=e2e", "-config=absent.yaml"},
		"a selection of nothing": {"-mode=e2e", "-check=absent"},
		"nothing to explain":     {"-mode=explain", "-observation=absent.json"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr, dir := suite(t, args...)
			assert.Equal(t, int(reports.ExitUsage), code)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			assert.Empty(t, stdout)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, entries, "nothing is left behind")
		})
	}
}

func TestHelpNamesTheOptions(t *testing.T) {
	code, stdout, _, _ := suite(t, "-help")
	assert.Zero(t, code)
	for _, option := range []string{"-mode", "-images", "-cluster", "-settle", "-watch", "-out"} {
		assert.Contains(t, stdout, "  "+option)
	}
	assert.Contains(t, stdout, "default 1m0s", "with their defaults")
}

func TestADryRunMakesNothing(t *testing.T) {
	code, stdout, _, dir := suite(t, "-mode=e2e", "-dry-run")
	assert.Zero(t, code)
	assert.Contains(t, stdout, "would run")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestExplainEndsWithTheVerdictOfTheObservation(t *testing.T) {
	code, stdout, _, _ := suite(t, "-mode=explain", "-observation="+os.Args[0])
	assert.Equal(t, int(reports.ExitCheckFailed), code)
	assert.Contains(t, stdout, "because")
}

func TestWithoutASubjectOnlyTheSuitesOwnTestsRun(t *testing.T) {
	code, stdout, stderr, _ := suite(t, "-test.run=TestOfTheSuite|TestAUsageErrorKeepsItsCause", "-test.v")
	assert.Zero(t, code, stderr)
	assert.Contains(t, stdout, "PASS: TestAUsageErrorKeepsItsCause")
	assert.NotContains(t, stdout, "TestOfTheSuite ran")
}

// The whole life of a run whose set-up fails before anything is made.
func TestASetUpThatFailsIsInTheReport(t *testing.T) {
	code, stdout, _, dir := suite(t, "-mode=e2e", "-cache=/dev/null/cache", "-out=out")
	assert.Equal(t, int(reports.ExitSetupFailed), code)
	assert.Less(t, strings.Index(stdout, "Configuration"), strings.Index(stdout, "set-up failed"), "the configuration comes first")
	report := readReport(t, filepath.Join(dir, "out", "latest"))
	assert.Equal(t, reports.ExitSetupFailed, report.ExitCode)
	require.NotNil(t, report.Error)
	assert.Equal(t, "prepare", report.Error.Phase)
	assert.Contains(t, report.Error.Message, "set CACHE to a folder that can be written")
	assert.NotContains(t, stdout, "TestOfTheSuite ran", "nothing is judged")
	assert.NoError(t, report.Validate())
}

func TestTheLastLineCountsAlsoWhereAnnotationsAreWritten(t *testing.T) {
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(t.TempDir(), "summary.md"))
	_, stdout, _, _ := suite(t, "-mode=e2e", "-cache=/dev/null/cache", "-out=out")
	assert.Contains(t, stdout, "\n::error ")
	assert.Regexp(t, `\n0 passed, 1 failed\n$`, stdout)
}
