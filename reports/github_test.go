package reports

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnnotationsGolden(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{"good", "failing", "setup-failed", "interrupted", "leftovers", "seen-in-part"} {
		fmt.Fprintf(&b, "%s\n%s", name, Annotations(samples[name]()))
	}
	golden(t, "annotations", b.String())
}

func TestEveryRedRunIsAnnotated(t *testing.T) {
	for name, r := range map[string]Report{"nothing": {}, "unrun": {Profiles: []Profile{{Name: "p"}}}, "interrupted": {Interrupted: true}} {
		assert.True(t, strings.HasPrefix(Annotations(r), "::error "), name)
	}
	assert.NotContains(t, Annotations(good()), "::error")
}

func TestAnnotationsAreNotForged(t *testing.T) {
	for line := range strings.Lines(Annotations(hostileReport())) {
		assert.Regexp(t, `^::(error|notice) title=[^,:]*::[^\r\n]*\n$`, line)
	}
	assert.Equal(t, "::error title=a%3A b%2C 100%25::x%0Ay 5%25\n", command("error", "a: b, 100%", "x\ny 5%"))
}

func TestAnnotationsAreAsManyAsGitHubShows(t *testing.T) {
	r := failing()
	for i := range 30 {
		r.Checks = append(r.Checks, checkWith(fmt.Sprint("more-", i), "p", Core, Fail, "r"))
	}
	lines := strings.Split(strings.TrimSpace(Annotations(r)), "\n")
	require.Len(t, lines, mostAnnotations+1, "and the one of the provisional check")
	assert.Contains(t, lines[mostAnnotations-1], "::error title=24 more::")
	assert.Contains(t, lines[0], "targets-up")
}

func TestGitHub(t *testing.T) {
	dir := t.TempDir()
	summary := filepath.Join(dir, "summary")
	env := map[string]string{"GITHUB_STEP_SUMMARY": summary}
	getenv := func(name string) string { return env[name] }
	var out strings.Builder
	require.NoError(t, GitHub(&out, failing(), getenv))
	assert.Empty(t, out.String(), "it runs elsewhere")
	assert.NoFileExists(t, summary)

	env["GITHUB_ACTIONS"] = "true"
	require.NoError(t, os.WriteFile(summary, []byte("before\n"), 0o600))
	require.NoError(t, GitHub(&out, failing(), getenv))
	assert.Equal(t, Annotations(failing()), out.String())
	data, err := os.ReadFile(summary)
	require.NoError(t, err)
	want, err := Markdown(failing())
	require.NoError(t, err)
	assert.Equal(t, "before\n"+string(want), string(data), "what a step before wrote is kept")

	env["GITHUB_STEP_SUMMARY"] = filepath.Join(dir, "none", "summary")
	require.ErrorContains(t, GitHub(&out, failing(), getenv), "GITHUB_STEP_SUMMARY")
	delete(env, "GITHUB_STEP_SUMMARY")
	require.NoError(t, GitHub(&out, failing(), getenv))
}

func TestJobSummary(t *testing.T) {
	summary := filepath.Join(t.TempDir(), "summary")
	env := map[string]string{}
	getenv := func(name string) string { return env[name] }
	require.NoError(t, JobSummary([]byte("a\n"), getenv), "no job")
	env["GITHUB_STEP_SUMMARY"] = summary
	require.NoError(t, JobSummary([]byte("a\n"), getenv))
	require.NoError(t, JobSummary([]byte("b\n"), getenv))
	data, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Equal(t, "a\nb\n", string(data))
}

func TestGitHubSummaryThatIsTooLong(t *testing.T) {
	r := failing()
	c := r.Checks[1]
	for i := range 3000 {
		c.ID = fmt.Sprint("check-", i)
		r.Checks = append(r.Checks, c)
	}
	summary := filepath.Join(t.TempDir(), "summary")
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary}
	require.NoError(t, GitHub(&strings.Builder{}, r, func(name string) string { return env[name] }))
	data, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Less(t, len(data), mostSummary)
	assert.Contains(t, string(data), "not conformant")
	assert.Contains(t, string(data), "too long to be shown here")
}
