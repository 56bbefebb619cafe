package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// nobody is a kubeconfig of an API server that does not answer.
const nobody = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}], clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]}`

func TestASandboxThatIsAskedForWronglyEndsWithOneSentence(t *testing.T) {
	kubeconfig := "-kubeconfig=" + fileOf(t, nobody)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no such context":        {[]string{kubeconfig, "-context=prod"}, `no context "prod"`},
		"a registry that is one": {[]string{kubeconfig, "-registry=https://r.example"}, "use host, host:port or host/path"},
		"a level that is none":   {[]string{kubeconfig, "-pod-security=strict"}, "use restricted"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr, dir := suite(t, append(c.args, "-mode=sandbox")...)
			assert.Equal(t, int(reports.ExitUsage), code)
			assert.Contains(t, stderr, c.says)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			assert.Empty(t, stdout)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, entries, "nothing is left behind")
		})
	}
}

func TestASandboxInAClusterThatDoesNotAnswerIsInTheReport(t *testing.T) {
	code, stdout, stderr, dir := suite(t, "-mode=sandbox", "-out=out", "-kubeconfig="+fileOf(t, nobody))
	assert.Equal(t, int(reports.ExitSetupFailed), code, stderr)
	assert.NotContains(t, stdout, "TestOfTheSuite ran", "nothing is judged")
	report := readReport(t, filepath.Join(dir, "out", "latest"))
	require.NotNil(t, report.Error)
	assert.Equal(t, "claim", report.Error.Phase)
	assert.Contains(t, report.Error.Message, "looking for the mesh's control plane")
	assert.Empty(t, report.Leftovers)
	assert.NoError(t, report.Validate())
}

func TestASuiteThatMakesItsClusterIsNoGuest(t *testing.T) {
	for mode, guest := range map[Mode]bool{Attach: true, Doctor: true, Sandbox: true, E2E: false, Check: false, Unit: false} {
		assert.Equal(t, guest, mode.Guest(), mode)
	}
	r := newRun(Config{Mode: Sandbox}, Suite{})
	t.Cleanup(r.cancel)
	assert.Empty(t, r.Cluster, "no cluster is made")
	assert.Equal(t, "mtls-scrape-sandbox", r.SubjectNamespace())
}

func TestCleanOfAClusterThatIsNamedLeavesOurOwnAlone(t *testing.T) {
	left := dockerWith(t, cluster.Prefix+"a")
	assert.Equal(t, int(reports.ExitSetupFailed), cleanUp(Config{Mode: Clean, Cache: t.TempDir(), attachConfig: attachConfig{Kubeconfig: fileOf(t, nobody)}}))
	assert.Equal(t, []string{cluster.Prefix + "a"}, left())
	assert.Equal(t, int(reports.ExitUsage), cleanUp(Config{Mode: Clean, Cache: t.TempDir(), attachConfig: attachConfig{Kubeconfig: fileOf(t, nobody), Context: "prod"}}))
}
