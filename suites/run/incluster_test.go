package run

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/incluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/incluster/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/parcel"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

const insideID = "20261125-140000-00ff"

// inside is what a run of the ID prints that comes to a verdict, with a report of its own.
func inside(t *testing.T, id string, verdict reports.Verdict) (log string) {
	t.Helper()
	report := reports.Report{
		SchemaVersion: reports.SchemaVersion, RunID: id, StartedAt: time.Unix(1, 0).UTC(), EndedAt: time.Unix(2, 0).UTC(),
		Profiles: []reports.Profile{{Name: "scrape"}}, Checks: []reports.Check{check("targets-up", verdict, reports.Core)},
	}
	dir := t.TempDir()
	_, err := reports.WriteAll(dir, report, nil)
	require.NoError(t, err)
	var b bytes.Buffer
	b.WriteString("[ 1/1] targets-up .... judged inside\n")
	require.NoError(t, parcel.Send(&b, id, dir, parcel.All, func(note string) { t.Error(note) }))
	return b.String() + "1 passed, 0 failed\n"
}

// elsewhere is a run that has a Job of a cluster judge it.
func elsewhere(t *testing.T, c *simulated.Cluster) (*Run, *screen) {
	t.Helper()
	c.Prometheuses = []types.NamespacedName{{Namespace: "monitoring", Name: "k8s"}}
	kubeconfig, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c"}}},
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": c.Start(t).Host}}},
	})
	require.NoError(t, err)
	config := Config{Mode: Attach, Out: filepath.Join(t.TempDir(), "out"), Cache: t.TempDir(), Repeat: 1}
	config.InCluster, config.Image, config.RunID = true, "registry.example/suite:v1", insideID
	config.Kubeconfig, config.History = fileOf(t, string(kubeconfig)), time.Hour
	r := newRun(config, Suite{})
	t.Cleanup(r.cancel)
	shown := &screen{}
	r.Terminal = reports.NewTerminal(shown, reports.Style{})
	require.NoError(t, r.guest())
	return r, shown
}

func TestAReportComesOutOfTheCluster(t *testing.T) {
	for name, c := range map[string]struct {
		verdict reports.Verdict
		process int32
		code    reports.ExitCode
	}{
		"of a subject that is conformant":     {reports.Pass, 0, reports.ExitConformant},
		"of one that is not":                  {reports.Fail, 1, reports.ExitCheckFailed},
		"of a run that could not tell it all": {reports.Pass, 2, reports.ExitSetupFailed},
		"of a process that says less than it": {reports.Fail, 0, reports.ExitCheckFailed},
	} {
		t.Run(name, func(t *testing.T) {
			there := &simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(c.process)}, Logs: []string{inside(t, insideID, c.verdict)}}
			r, shown := elsewhere(t, there)
			dir, code := r.inCluster()
			assert.Equal(t, int(c.code), code)
			assert.Equal(t, filepath.Join(r.Out, insideID), dir)
			require.Len(t, readReport(t, dir).Checks, 1, shown.String())
			assert.Equal(t, c.verdict, readReport(t, dir).Checks[0].Verdict)
			assert.FileExists(t, filepath.Join(dir, reports.HTMLFile))
			assert.Equal(t, insideID, readReport(t, filepath.Join(r.Out, "latest")).RunID)
			assert.Empty(t, there.Objects(), "all that was made is removed")
			text := shown.String()
			assert.Contains(t, text, "the run inside is in the pod mtls-scrape-certify-"+insideID+"/"+simulated.Pod)
			assert.Contains(t, text, "\n[ 1/1] targets-up .... judged inside\n")
			assert.NotContains(t, text, "-----BEGIN")
			assert.Contains(t, text, "the Job, its role and its namespace are gone")
			assert.Regexp(t, `\n\d passed, \d failed\n$`, text, "the last line counts")
			assert.Equal(t, []string{"open", "job", "run", "report", "clean-up"}, phaseNames(r))
			entries, err := os.ReadDir(r.Out)
			require.NoError(t, err)
			assert.Len(t, entries, 2, "the run and the link to it")
		})
	}
}

func TestAReportThatCameOutCanBeVerified(t *testing.T) {
	r, _ := elsewhere(t, &simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{inside(t, insideID, reports.Pass)}})
	r.key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	dir, code := r.inCluster()
	require.Zero(t, code)
	line, err := os.ReadFile(filepath.Join(dir, reports.AttestationFile))
	require.NoError(t, err)
	var envelope struct {
		Signatures []struct {
			KeyID string `json:"keyid"`
		} `json:"signatures"`
	}
	require.NoError(t, json.Unmarshal(line, &envelope))
	require.Len(t, envelope.Signatures, 1, "it is signed here: no key went in")
	assert.Equal(t, reports.KeyID(r.key.Public().(ed25519.PublicKey)), envelope.Signatures[0].KeyID)
}

// Where nothing comes out, the run writes a report of its own.
func TestWhyNoReportCameOutIsInOneOfOurOwn(t *testing.T) {
	for name, c := range map[string]struct {
		cluster *simulated.Cluster
		phase   string
		says    string
	}{
		"no permission": {&simulated.Cluster{Forbidden: []string{"PATCH /api/v1/namespaces/"}}, "job", "Without IN_CLUSTER=1"},
		"no image":      {&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Waiting("ImagePullBackOff", "no such host")}}, "run", "the image cannot be had by the node node-1: ImagePullBackOff: no such host"},
		"a crash":       {&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(2)}, Logs: []string{"panic: oh\n"}}, "report", "panic: oh"},
		"a log that was cut off": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{inside(t, insideID, reports.Pass)[:400]}}, "report", "the log is cut off",
		},
		"another run's":      {&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{inside(t, "other", reports.Pass)}}, "report", "is of the run other and not of " + insideID},
		"nothing that reads": {&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{sending(t, insideID, "report.json", "{")}}, "report", "what came out of the cluster: "},
		"another one's file": {&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{sending(t, insideID, "report.json", reportOf(t, "other"))}}, "report", `is the report of the run "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			r, shown := elsewhere(t, c.cluster)
			dir, code := r.inCluster()
			assert.Equal(t, int(reports.ExitSetupFailed), code, shown.String())
			report := readReport(t, dir)
			require.NotNil(t, report.Error)
			assert.Equal(t, c.phase, report.Error.Phase)
			assert.Contains(t, report.Error.Message, c.says)
			assert.Empty(t, c.cluster.Objects(), "all that was made is removed")
			entries, err := os.ReadDir(r.Out)
			require.NoError(t, err)
			assert.Len(t, entries, 2, "nothing half received is left")
		})
	}
}

// sending is a log that delivers one file.
func sending(t *testing.T, id, name, content string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	var b bytes.Buffer
	require.NoError(t, parcel.Send(&b, id, dir, parcel.All, func(string) {}))
	return b.String()
}

func reportOf(t *testing.T, id string) string {
	t.Helper()
	text, err := reports.Encode(reports.Report{SchemaVersion: reports.SchemaVersion, RunID: id})
	require.NoError(t, err)
	return string(text)
}

func TestWhatIsLeftInTheClusterCounts(t *testing.T) {
	for verdict, want := range map[reports.Verdict]reports.ExitCode{reports.Pass: reports.ExitLeftovers, reports.Inconclusive: reports.ExitLeftovers, reports.Fail: reports.ExitCheckFailed} {
		there := &simulated.Cluster{
			Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(map[reports.Verdict]int32{reports.Fail: 1, reports.Inconclusive: 6}[verdict])}, Logs: []string{inside(t, insideID, verdict)},
			Forbidden: []string{"DELETE /apis/rbac"},
		}
		r, shown := elsewhere(t, there)
		_, code := r.inCluster()
		assert.Equal(t, int(want), code)
		assert.Contains(t, shown.String(), "left in the cluster: clusterrolebinding mtls-scrape-certify-"+insideID)
		assert.Len(t, there.Objects(), 2)
	}
}

func TestAJobThatIsKeptIsNamed(t *testing.T) {
	there := &simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{inside(t, insideID, reports.Pass)}}
	r, shown := elsewhere(t, there)
	r.Keep = true
	_, code := r.inCluster()
	assert.Zero(t, code)
	assert.Contains(t, shown.String(), "the namespace mtls-scrape-certify-"+insideID+" stays")
	assert.Contains(t, there.Objects(), "/api/v1/namespaces/"+incluster.Namespace(insideID))
}

func TestAnInterruptedRunLeavesNothingInTheCluster(t *testing.T) {
	there := &simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running()}}
	r, _ := elsewhere(t, there)
	time.AfterFunc(300*time.Millisecond, r.cancel)
	dir, code := r.inCluster()
	assert.Equal(t, int(reports.ExitInterrupted), code)
	assert.True(t, readReport(t, dir).Interrupted)
	assert.Empty(t, there.Objects())
}

func TestAClusterThatDoesNotAnswerGetsNoJob(t *testing.T) {
	there := &simulated.Cluster{Forbidden: []string{"GET /apis/monitoring.coreos.com"}}
	r, _ := elsewhere(t, there)
	dir, code := r.inCluster()
	assert.Equal(t, int(reports.ExitSetupFailed), code)
	assert.Equal(t, "open", readReport(t, dir).Error.Phase)
	assert.Empty(t, there.Changed(), "nothing was asked to be changed")
}

func TestTheRunInsideJudgesWhatIsAskedFor(t *testing.T) {
	c := Config{Mode: Attach, Repeat: 2, Profiles: []string{"setup", "scrape"}, Levels: []string{"core"}, Select: regexp.MustCompile("^targets-"), Skip: map[string]string{"b": "why = this", "a": "because"}}
	c.Permit, c.History, c.Context, c.Kubeconfig = []cluster.Permission{cluster.Exec}, 6*time.Hour, "prod", "k"
	c.keyFile, c.Out, c.Image = "key", "/o", "a/b:c"
	assert.Equal(t, []string{
		"-prom=monitoring/k8s", "-check=^targets-", "-history=6h0m0s", "-level=core", "-permit=exec", "-profile=setup,scrape", "-repeat=2", "-skip=a=because", "-skip=b=why = this",
	}, c.insideArguments(types.NamespacedName{Namespace: "monitoring", Name: "k8s"}))
}

// Whatever the run outside gives the one inside, that one must understand.
func TestTheOptionsOfTheRunInsideAreOptions(t *testing.T) {
	c, _, err := load(t, "", "-mode=attach", "-profile=scrape", "-level=core", "-label=disruptive=false", "-check=^t", "-skip=a=b", "-permit=exec,portforward", "-history=3h", "-repeat=2")
	require.NoError(t, err)
	again, _, err := load(t, "", append([]string{"-mode=attach", "-deliver=log", "-out=/out", "-run-id=" + insideID}, c.insideArguments(types.NamespacedName{Namespace: "a", Name: "b"})...)...)
	require.NoError(t, err)
	want, got := c.Settings(), again.Settings()
	for _, option := range []string{"profile", "level", "label", "check", "skip", "permit", "history", "repeat"} {
		assert.Equal(t, want[option], got[option], option)
	}
	assert.Equal(t, "a/b", got["prom"])
	assert.Equal(t, insideID, newRun(again, Suite{}).ID)
}

func TestAJobIsNotMadeWithoutAnImage(t *testing.T) {
	code, stdout, stderr, dir := suite(t, "-mode=attach", "-in-cluster")
	assert.Equal(t, int(reports.ExitUsage), code)
	assert.Empty(t, stdout)
	assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}
