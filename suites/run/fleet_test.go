package run

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestTheClustersOfAFleetAreRead(t *testing.T) {
	for given, want := range map[string][]FleetCluster{
		"":                                   nil,
		"a":                                  {{"a", ""}},
		"a,b=monitoring/k8s":                 {{"a", ""}, {"b", "monitoring/k8s"}},
		"a=x, a=y":                           {{"a", "x"}, {"a", "y"}},
		"arn:aws:eks:eu-1:1:cluster/x,gke_p": {{"arn:aws:eks:eu-1:1:cluster/x", ""}, {"gke_p", ""}},
		"a=b=":                               {{"a=b", ""}}, // how a context with = in its name is given
	} {
		got, err := parseContexts(given)
		require.NoError(t, err, given)
		assert.Equal(t, want, got, given)
	}
	for given, says := range map[string]string{"a,": "a context without a name", "=x": "a context without a name", "a,b,a": "a is there twice", "a=x,a=x": "a=x is there twice"} {
		_, err := parseContexts(given)
		assert.ErrorContains(t, err, says, given)
	}
}

func TestTheRunOfAClusterHasTheOptionsOfTheFleet(t *testing.T) {
	own := []string{"-mode=attach", "-contexts=a,b=y", "-prom=x", "-permit=exec"}
	assert.Equal(t, append(own, "-contexts=", "-context=a", "-prom=x", "-out=o"), memberArguments(own, FleetCluster{"a", ""}, "x", "o"))
	assert.Equal(t, append(own, "-contexts=", "-context=b", "-prom=y", "-out=o"), memberArguments(append(own, "--"), FleetCluster{"b", "y"}, "x", "o"))
}

func TestAFoldersNameIsFitForAURL(t *testing.T) {
	for name, want := range map[string]string{
		"prod": "prod", "arn:aws:eks:eu-1:1:cluster/x": "arn-aws-eks-eu-1-1-cluster-x", "../../etc": "etc", "a b=c/d": "a-b-c-d", "日本": "",
		strings.Repeat("x", 100): strings.Repeat("x", 60),
	} {
		assert.Equal(t, want, folderName(name))
	}
}

func TestLinesAreHandedOnWhole(t *testing.T) {
	var got []string
	w := &lineWriter{line: func(text string) { got = append(got, text) }, quietUntilBlank: true}
	for _, piece := range []string{"Configuration\n  a  b\n", "\n  ok", "  open\n\nlast"} {
		n, err := w.Write([]byte(piece))
		require.NoError(t, err)
		assert.Equal(t, len(piece), n)
	}
	assert.Equal(t, []string{"  ok  open"}, got)
	w.end()
	assert.Equal(t, []string{"  ok  open", "last"}, got)
}

func TestOfWhatARunSaidItsEndIsKept(t *testing.T) {
	assert.Equal(t, "a\nb", lastOf("\na\nb\n"))
	long := lastOf(strings.Repeat("a line\n", 1000) + "the end")
	assert.LessOrEqual(t, len(long), mostSaid)
	assert.True(t, strings.HasPrefix(long, "a line\n"), "it begins with a line")
	assert.True(t, strings.HasSuffix(long, "the end"))
	assert.Len(t, lastOf(strings.Repeat("x", 5000)), mostSaid)
}

// kubeconfigOf has a context for each server, by name.
func kubeconfigOf(t *testing.T, servers map[string]string) string {
	t.Helper()
	var contexts, clusters []string
	for name, server := range servers {
		contexts = append(contexts, fmt.Sprintf("{name: %s, context: {cluster: %s}}", name, name))
		clusters = append(clusters, fmt.Sprintf("{name: %s, cluster: {server: %q}}", name, server))
	}
	return fileOf(t, fmt.Sprintf("{apiVersion: v1, kind: Config, contexts: [%s], clusters: [%s]}", strings.Join(contexts, ", "), strings.Join(clusters, ", ")))
}

func readFleet(t *testing.T, dir string) reports.Fleet {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, reports.FleetFile))
	require.NoError(t, err)
	var f reports.Fleet
	require.NoError(t, json.Unmarshal(content, &f))
	return f
}

// Clusters that cannot be judged stop no other, and each has its line.
func TestAFleetOfClustersThatDoNotAnswer(t *testing.T) {
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(t.TempDir(), "summary.md"))
	kubeconfig := kubeconfigOf(t, map[string]string{"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:1"})
	code, stdout, stderr, dir := suite(t, "-mode=attach", "-out=out", "-kubeconfig="+kubeconfig, "-contexts=a,gone,b=team/own", "-prom=monitoring/k8s")
	assert.Equal(t, int(reports.ExitSetupFailed), code, stderr)
	assert.Equal(t, 1, strings.Count(stdout, "Configuration\n"), "the configuration is shown once")
	assert.Regexp(t, `\n0 passed, 3 failed\n$`, stdout)
	assert.Equal(t, 3, strings.Count(stdout, "\n::error title="), "GitHub is told once of each")
	for _, name := range []string{"a", "b=team/own"} {
		assert.Contains(t, stdout, "\n"+name+" | FAIL  open")
	}
	assert.Contains(t, stdout, `gone | the kubeconfig has no context "gone"`)

	out := filepath.Join(dir, "out", "latest")
	f := readFleet(t, out)
	assert.Equal(t, reports.ExitSetupFailed, f.ExitCode)
	require.Len(t, f.Clusters, 3)
	for i, c := range f.Clusters {
		assert.Equal(t, []string{"a", "gone", "b=team/own"}[i], c.Name)
		if c.Name == "gone" {
			assert.Equal(t, reports.ExitUsage, c.ExitCode)
			assert.Contains(t, c.Headline, `has no context "gone": it has a, b`)
			assert.Empty(t, c.Dir)
			continue
		}
		assert.Equal(t, reports.ExitSetupFailed, c.ExitCode)
		assert.Contains(t, c.Headline, "connection refused")
		report := readReport(t, filepath.Join(out, c.Dir))
		assert.Equal(t, map[string]string{"a": "monitoring/k8s", "b": "team/own"}[report.Configuration["context"]], report.Configuration["prom"])
		assert.Empty(t, report.Configuration["contexts"])
	}
	assert.FileExists(t, filepath.Join(out, reports.FleetHTMLFile))
}

func TestWhatDoesNotGoTogetherWithAFleetIsTold(t *testing.T) {
	for says, args := range map[string][]string{
		`mode "doctor" takes one -context`:             {"-mode=doctor", "-contexts=a,b"},
		`-context for one cluster or -contexts for`:    {"-mode=attach", "-contexts=a,b", "-context=c"},
		`a is there twice`:                             {"-mode=attach", "-contexts=a,a"},
		`no check is selected`:                         {"-mode=attach", "-contexts=a,b", "-check=absent"},
		`the configuration`:                            {"-mode=attach", "-config=" + fileOf(t, "contexts: [a, a]")},
		`mode "e2e" takes one -context`:                {"-mode=e2e", "-config=" + fileOf(t, "contexts: [a, b]")},
		`a context without a name: use a,b or a=names`: {"-mode=attach", "-contexts=a,,b"},
	} {
		code, stdout, stderr, dir := suite(t, args...)
		assert.Equal(t, int(reports.ExitUsage), code, says)
		assert.Contains(t, stderr, says)
		assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		assert.Empty(t, stdout)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, entries, "nothing is left behind")
	}
}

// An interrupt ends what runs, begins nothing more, and what there is gets written.
func TestAFleetThatIsInterruptedIsWritten(t *testing.T) {
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hangs.Close)
	servers := map[string]string{"dead": "http://127.0.0.1:1"}
	contexts := []string{"dead"}
	for i := range fleetParallel + 1 {
		name := fmt.Sprintf("c%d", i)
		servers[name] = hangs.URL
		contexts = append(contexts, name)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-mode=attach", "-out=out", "-kubeconfig="+kubeconfigOf(t, servers), "-contexts="+strings.Join(contexts, ","))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asSuite+"=1", "CACHE="+filepath.Join(dir, "cache"))
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said []string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.HasPrefix(lines.Text(), "dead | FAIL  open") { // the others hang by now, or are about to
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
	}
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit, strings.Join(said, "\n"))
	assert.Equal(t, int(reports.ExitInterrupted), exit.ExitCode(), strings.Join(said, "\n"))
	f := readFleet(t, filepath.Join(dir, "out", "latest"))
	assert.Equal(t, reports.ExitInterrupted, f.ExitCode)
	require.Len(t, f.Clusters, len(contexts))
	assert.Equal(t, reports.ExitSetupFailed, f.Clusters[0].ExitCode, "what had ended is kept")
	for _, c := range f.Clusters[1:] {
		assert.Equal(t, reports.ExitInterrupted, c.ExitCode, c.Name)
		assert.Contains(t, c.Headline, "interrupted", c.Name)
	}
}
