package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestThePrometheusIsTheOneThatIsNamedOrTheOnlyOne(t *testing.T) {
	k8s, team, other := types.NamespacedName{Namespace: "monitoring", Name: "k8s"}, types.NamespacedName{Namespace: "team", Name: "own"}, types.NamespacedName{Namespace: "team", Name: "k8s"}
	for name, c := range map[string]struct {
		found           []types.NamespacedName
		namespace, prom string
		want            types.NamespacedName
		says            string
	}{
		"the only one":            {[]types.NamespacedName{k8s}, "", "", k8s, ""},
		"by its name":             {[]types.NamespacedName{k8s, team}, "", "own", team, ""},
		"by namespace and name":   {[]types.NamespacedName{k8s, team, other}, "", "team/k8s", other, ""},
		"by both options":         {[]types.NamespacedName{k8s, team, other}, "team", "k8s", other, ""},
		"the only one in there":   {[]types.NamespacedName{k8s, team}, "team", "", team, ""},
		"none at all":             {nil, "", "", types.NamespacedName{}, "has no Prometheus object there"},
		"none of that name":       {[]types.NamespacedName{k8s, team}, "", "prod", types.NamespacedName{}, "there is no such Prometheus object: there are monitoring/k8s, team/own"},
		"several":                 {[]types.NamespacedName{k8s, team}, "", "", types.NamespacedName{}, "there are 2 Prometheus objects, name one with PROM=namespace/name: monitoring/k8s, team/own"},
		"several of that name":    {[]types.NamespacedName{k8s, team, other}, "", "k8s", types.NamespacedName{}, "there are 2 Prometheus objects, name one with PROM=namespace/name: monitoring/k8s, team/k8s"},
		"none in that namespace":  {[]types.NamespacedName{k8s}, "team", "", types.NamespacedName{}, "there is no such Prometheus object"},
		"the option is overruled": {[]types.NamespacedName{k8s, other}, "team", "monitoring/k8s", k8s, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(c.found, c.namespace, c.prom)
			assert.Equal(t, c.want, got)
			if c.says == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.says)
			assert.ErrorAs(t, err, &UsageError{})
		})
	}
}

func TestAClusterThatIsNotToBeFoundEndsWithOneSentence(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "absent"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("HOME", t.TempDir())
	for name, args := range map[string][]string{
		"no kubeconfig":      {"-mode=attach"},
		"one that is absent": {"-mode=attach", "-kubeconfig=absent"},
		"no such context":    {"-mode=attach", "-context=prod"},
		"no such permission": {"-mode=attach", "-permit=everything"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr, dir := suite(t, args...)
			assert.Equal(t, int(reports.ExitUsage), code)
			assert.Empty(t, stdout)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, entries, "nothing is left behind")
		})
	}
}

func TestAClusterThatDoesNotAnswerIsInTheReport(t *testing.T) {
	kubeconfig := fileOf(t, `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}], clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]}`)
	code, stdout, stderr, dir := suite(t, "-mode=attach", "-out=out", "-kubeconfig="+kubeconfig)
	assert.Equal(t, int(reports.ExitSetupFailed), code, stderr)
	assert.NotContains(t, stdout, "TestOfTheSuite ran", "nothing is judged")
	report := readReport(t, filepath.Join(dir, "out", "latest"))
	require.NotNil(t, report.Error)
	assert.Equal(t, "open", report.Error.Phase)
	assert.Contains(t, report.Error.Message, "looking for a Prometheus: ")
	assert.Contains(t, report.Error.Message, "connection refused")
	assert.NoError(t, report.Validate())
}
