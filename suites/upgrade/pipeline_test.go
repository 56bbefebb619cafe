package upgrade

import (
	"flag"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// workflow is what a test looks at of a workflow of GitHub Actions.
type workflow struct {
	Jobs map[string]struct {
		Steps []struct{ Name, Run, Uses string }
	}
}

// pipeline is the page for others' pipelines, and the workflow in it.
func pipeline(t *testing.T) (page string, w workflow) {
	t.Helper()
	content, err := os.ReadFile("pipeline.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(content), -1)
	require.Len(t, blocks, 1)
	require.NoError(t, yaml.Unmarshal([]byte(blocks[0][1]), &w))
	return string(content), w
}

// calls are the arguments of every call of the suite's binaries in a text.
func calls(text string) [][]string {
	var all [][]string
	for _, m := range regexp.MustCompile("\\./(?:conformance|upgrade) ([^\n`#;]*)").FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Fields(m[1]))
	}
	return all
}

// A page that people copy from must not have options that there are not.
func TestThePipelineUsesOnlyWhatThereIs(t *testing.T) {
	page, w := pipeline(t)
	modes := map[run.Mode]bool{}
	for _, args := range calls(page) {
		flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		c, err := run.Load(flags, args)
		require.NoError(t, err, strings.Join(args, " "))
		modes[c.Mode] = true
	}
	for _, mode := range []run.Mode{run.Doctor, run.Attach, run.WatchOver, run.Compare, run.Verify} {
		assert.True(t, modes[mode], mode)
	}
	_, err := run.Load(flag.NewFlagSet("conformance", flag.ContinueOnError), []string{"-bogus"})
	require.Error(t, err, "an option that there is not is found")

	require.Len(t, w.Jobs, 1)
	var order []string
	for _, job := range w.Jobs {
		for _, s := range job.Steps {
			assert.True(t, (s.Run == "") != (s.Uses == ""), "a step runs or uses something: %s", s.Name)
			for _, args := range calls(s.Run) {
				order = append(order, args[0])
			}
			if strings.Contains(s.Run, "upgrade-the-mesh") {
				order = append(order, "the upgrade")
			}
		}
	}
	assert.Equal(t, []string{"-mode=doctor", "-mode=attach", "-mode=watch", "the upgrade", "-mode=attach", "-mode=compare"}, order)
}

func TestThePipelineSaysWhatToDoOnEachExitCode(t *testing.T) {
	page, _ := pipeline(t)
	var codes []int
	for _, m := range regexp.MustCompile(`(?m)^\| (\d) \|`).FindAllStringSubmatch(page, -1) {
		code, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		codes = append(codes, code)
	}
	var all []int
	for code := reports.ExitConformant; code <= reports.ExitInconclusive; code++ {
		all = append(all, int(code))
	}
	assert.Equal(t, all, codes)
}
