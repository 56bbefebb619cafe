package sonobuoy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// noted is a plugin of the variables, and what it told a person.
func noted(variables map[string]string) (*Plugin, *[]string) {
	var notes []string
	return FromEnvironment(environment(variables), func(s string) { notes = append(notes, s) }), &notes
}

func TestARunThatIsNoPluginHasNothingToHandOver(t *testing.T) {
	p, notes := noted(map[string]string{ProgressVariable: "8099"})
	assert.Nil(t, p)
	p.Report(t.Context(), Progress{Message: "x"})
	require.NoError(t, p.HandOver(func(io.Writer) error { return errors.New("it must not be called") }))
	assert.False(t, p.Handed())
	assert.Empty(t, *notes)
}

func TestResultsAreThereBeforeDoneSaysSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	p, _ := noted(map[string]string{ResultsVariable: dir})
	require.NoError(t, p.HandOver(func(w io.Writer) error {
		assert.NoFileExists(t, filepath.Join(dir, "done"))
		_, err := io.WriteString(w, "packed")
		return err
	}))
	where, err := os.ReadFile(filepath.Join(dir, "done"))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "results.tar.gz"), string(where), "and no end of line")
	content, err := os.ReadFile(string(where))
	require.NoError(t, err)
	assert.Equal(t, "packed", string(content))
	assert.True(t, p.Handed())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

func TestOnlyTheFirstResultsCount(t *testing.T) {
	dir := t.TempDir()
	p, _ := noted(map[string]string{ResultsVariable: dir})
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	require.NoError(t, p.HandOver(text("first")))
	require.NoError(t, p.HandOver(text("second")))
	content, err := os.ReadFile(filepath.Join(dir, "results.tar.gz"))
	require.NoError(t, err)
	assert.Equal(t, "first", string(content))
}

func TestResultsThatCannotBeWrittenAreNotSaidToBeThere(t *testing.T) {
	dir := t.TempDir()
	p, _ := noted(map[string]string{ResultsVariable: dir})
	full := errors.New("no space left on device")
	err := p.HandOver(func(io.Writer) error { return full })
	require.ErrorIs(t, err, full)
	assert.ErrorContains(t, err, "mounted at "+dir)
	assert.False(t, p.Handed(), "so that something else can be")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	p, _ = noted(map[string]string{ResultsVariable: file})
	assert.ErrorContains(t, p.HandOver(func(io.Writer) error { return nil }), "handing the results over")
}

func TestProgressIsPostedInSonobuoysWords(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/progress", r.URL.Path)
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		bodies = append(bodies, string(body))
	}))
	defer server.Close()
	p, notes := noted(map[string]string{ResultsVariable: t.TempDir(), ProgressVariable: portOf(t, server.URL)})
	p.Report(t.Context(), Progress{Message: "preflight", Total: 2})
	p.Report(t.Context(), Progress{Message: "targets-up: fail", Total: 2, Completed: 1, Failures: []string{"targets-up"}})
	require.Len(t, bodies, 2)
	assert.JSONEq(t, `{"msg": "preflight", "total": 2, "completed": 0, "failures": []}`, bodies[0])
	assert.JSONEq(t, `{"msg": "targets-up: fail", "total": 2, "completed": 1, "failures": ["targets-up"]}`, bodies[1])
	assert.Empty(t, *notes)
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Port()
}

func TestWhereNobodyListensIsToldOnce(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	p, notes := noted(map[string]string{ResultsVariable: t.TempDir(), ProgressVariable: portOf(t, server.URL)})
	for range 3 {
		p.Report(t.Context(), Progress{Message: "x"})
	}
	assert.Equal(t, 1, asked)
	require.Len(t, *notes, 1)
	assert.Contains(t, (*notes)[0], "Sonobuoy is told no progress: ")
	assert.Contains(t, (*notes)[0], "403 Forbidden")

	p, notes = noted(map[string]string{ResultsVariable: t.TempDir()})
	p.Report(t.Context(), Progress{Message: "x"})
	assert.Empty(t, *notes, "without a port, nobody asked to be told")
}
