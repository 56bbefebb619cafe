package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// attach looks at a simulated cluster as a guest does.
func attach(t testing.TB, c *simulated.Cluster) observe.Observation {
	t.Helper()
	return attachTo(t, c.Config())
}

// attachTo is attach by the address of the cluster.
func attachTo(t testing.TB, config *rest.Config) observe.Observation {
	t.Helper()
	observer, err := observe.NewObserver(cluster.ReadOnly(config), "default", "default")
	require.NoError(t, err)
	o, err := observer.Attach(t.Context(), observe.Guest{History: 25 * time.Hour, Settle: 3 * time.Second})
	require.NoError(t, err)
	return o
}

// verdicts judges by every check that a guest runs.
func verdicts(t testing.TB, o observe.Observation) map[string]reports.Check {
	t.Helper()
	planned, err := Selection{Attached: true}.Plan(Catalogue())
	require.NoError(t, err)
	all := map[string]reports.Check{}
	s := &subject{Observation: o}
	for _, p := range planned {
		if p.Reason == "" {
			all[p.ID] = p.judge(s)
		}
	}
	return all
}

// withheld are the checks that take a permission which a guest does not have.
var withheld = []string{"certificates-mounted", "certificate-identity", "traffic-not-intercepted"}

func TestAGoodClusterIsGoodToAGuest(t *testing.T) {
	c := simulated.New(t, whole(t))
	o := attach(t, c)
	assert.Empty(t, o.Unread)
	for id, r := range verdicts(t, o) {
		want := reports.Pass
		for _, w := range withheld {
			if w == id {
				want = reports.Skip
				assert.Contains(t, r.Reason, "that takes -permit=exec")
			}
		}
		assert.Equal(t, want, r.Verdict, "%s: %s", id, r.Reason)
	}
	assert.Empty(t, c.Changes(), "nothing but reads was sent")
}

func TestWithoutARuleExactlyTheChecksThatNeedItAreOpen(t *testing.T) {
	for _, rule := range observe.Rules() {
		t.Run(rule.String(), func(t *testing.T) {
			c := simulated.New(t, whole(t))
			c.NoTelemetry = rule.Resource == "pods/log" // else no log is read
			all := verdicts(t, attach(t, c))
			c.Forbidden = func(r observe.Rule) bool {
				return r.Verb == rule.Verb && r.Group == rule.Group && r.Resource == rule.Resource && (rule.Name == "" || r.Name == rule.Name)
			}
			without := attach(t, c)
			require.NotEmpty(t, without.Unread)
			needed := NeededBy(rule)
			for id, r := range verdicts(t, without) {
				if !needed[id] {
					assert.Equal(t, all[id].Verdict, r.Verdict, "%s: %s", id, r.Reason)
					continue
				}
				assert.Equal(t, reports.Inconclusive, r.Verdict, "%s: %s", id, r.Reason)
				assert.Contains(t, r.Reason, "the missing rule: "+rule.String(), id)
			}
		})
	}
}

func TestEveryRuleIsNeededOrExplainsAFailure(t *testing.T) {
	// What these give is what a failed check is explained by.
	explain := []string{"deployments.apps", "statefulsets.apps", "peerauthentications", "authorizationpolicies", "destinationrules", "sidecars", "mutatingwebhookconfigurations"}
	for _, rule := range observe.Rules() {
		explains := slices.ContainsFunc(explain, func(e string) bool { return strings.Contains(rule.String(), e) })
		assert.True(t, explains || len(NeededBy(rule)) > 0, "nobody needs %s", rule)
	}
}

// The manifest and the table say the same, and neither more nor less.
func TestTheManifestGrantsExactlyTheRules(t *testing.T) {
	objects, err := manifests.Read(manifests.Certify)
	require.NoError(t, err)
	var granted, wanted []string
	for _, u := range objects {
		var role rbacv1.ClusterRole
		if u.GetKind() != "ClusterRole" || u.GetName() != "mtls-scrape-certify" {
			continue
		}
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &role))
		for _, r := range role.Rules {
			assert.NotContains(t, r.Verbs, "*")
			assert.Empty(t, r.NonResourceURLs)
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					for _, verb := range r.Verbs {
						for _, name := range append(r.ResourceNames, "")[:max(1, len(r.ResourceNames))] {
							granted = append(granted, observe.Rule{Verb: verb, Group: group, Resource: resource, Name: name}.String())
						}
					}
				}
			}
		}
	}
	for _, r := range observe.Rules() {
		wanted = append(wanted, r.String())
	}
	assert.ElementsMatch(t, wanted, granted)
}

// Where somebody else runs the control plane, the mesh's kinds are in its own API.
func TestTheMeshIsReadWhereItsAPIIs(t *testing.T) {
	c, elsewhere := simulated.New(t, whole(t)), simulated.New(t, whole(t))
	for _, group := range []string{"security.istio.io", "networking.istio.io"} {
		c.Without(group)
	}
	o := attach(t, c)
	assert.Empty(t, o.PeerAuthentications)
	i := slices.IndexFunc(o.Unread, func(u observe.Unread) bool { return u.What == "peer authentications" })
	require.GreaterOrEqual(t, i, 0)
	assert.Contains(t, o.Unread[i].Reason, "MESH_KUBECONFIG=")
	assert.Contains(t, o.Unread[i].Reason, "access Istio resources via data-plane KubeAPI")

	observer, err := observe.NewObserver(cluster.ReadOnly(c.Config()), "default", "default")
	require.NoError(t, err)
	require.NoError(t, observer.MeshElsewhere(cluster.ReadOnly(elsewhere.Config())))
	o, err = observer.Attach(t.Context(), observe.Guest{History: 25 * time.Hour, Settle: 3 * time.Second})
	require.NoError(t, err)
	assert.Empty(t, o.Unread)
	assert.Len(t, o.PeerAuthentications, len(whole(t).PeerAuthentications))
	assert.NotEmpty(t, o.PeerAuthentications)
	assert.Equal(t, o.Mesh.TrustDomain, o.TrustDomain, "as the sidecars were told")
	for id, r := range verdicts(t, o) {
		assert.NotContains(t, []reports.Verdict{reports.Fail, reports.Inconclusive}, r.Verdict, "%s: %s", id, r.Reason)
	}
	assert.Empty(t, append(c.Changes(), elsewhere.Changes()...), "nothing but reads was sent to either")
}

func TestWhomATargetServedIsReadFromItsLogWhereItDoesNotCount(t *testing.T) {
	c := simulated.New(t, whole(t))
	c.NoTelemetry = true
	r := mutualTLSOnTheWire.Judge(attach(t, c))
	assert.Equal(t, reports.Pass, r.Verdict, r.Reason)
	assert.Contains(t, r.Evidence[0].Text+r.Evidence[len(r.Evidence)-1].Text, "its file was not looked at")
}

// The whole life of a guest's run, by the binary that a user starts.
func TestAGuestsRunFromItsBeginningToItsEnd(t *testing.T) {
	c := simulated.New(t, whole(t))
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: prod, contexts: [{name: prod, context: {cluster: c}}], clusters: [{name: c, cluster: {server: %q}}]}`, c.Config().Host), 0o600))
	for mode, says := range map[string]string{"attach": "0 failed", "doctor": "preflight-permissions"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-mode="+mode, "-kubeconfig="+kubeconfig, "-context=prod", "-prom=default/default", "-settle=3s", "-out=out", "-cache=cache", "-skip=certificate-identity=because")
		cmd.Dir = dir
		printed, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", printed)
		assert.Contains(t, string(printed), says)
	}
	assert.Empty(t, c.Changes(), "nothing but reads was sent")
	content, err := os.ReadFile(filepath.Join(dir, "out", "latest", "report.json"))
	require.NoError(t, err)
	var report reports.Report
	require.NoError(t, json.Unmarshal(content, &report))
	assert.NoError(t, report.Validate())
	assert.Len(t, report.Checks, 11)

	// Judged again, without the cluster.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-mode=explain", "-observation=out/latest/observations/conformance.json", "-out=out", "-cache=cache")
	cmd.Dir = dir
	printed, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", printed)
	assert.Contains(t, string(printed), "8 passed, 0 failed")
}

// Several clusters side by side, by the binary that a user starts: one in order, one with a
// mistake, one that nobody reaches.
func TestAFleetFromItsBeginningToItsEnd(t *testing.T) {
	spoilt := whole(t)
	for i := range spoilt.Replicas {
		for j := range spoilt.Replicas[i].Targets {
			spoilt.Replicas[i].Targets[j].Health, spoilt.Replicas[i].Targets[j].LastError = "down", "connection reset by peer"
		}
	}
	sound, broken := simulated.New(t, whole(t)), simulated.New(t, spoilt)
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config,
		contexts: [{name: sound, context: {cluster: sound}}, {name: broken, context: {cluster: broken}}, {name: away, context: {cluster: away}}],
		clusters: [{name: sound, cluster: {server: %q}}, {name: broken, cluster: {server: %q}}, {name: away, cluster: {server: "http://127.0.0.1:1"}}]}`, sound.Config().Host, broken.Config().Host), 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-mode=attach", "-kubeconfig="+kubeconfig, "-contexts=sound,broken=default/default,away", "-prom=default/default", "-settle=3s", "-out=out", "-cache=cache")
	cmd.Dir = dir
	printed, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", printed)
	assert.Equal(t, int(reports.ExitCheckFailed), exit.ExitCode(), "the worst of all: %s", printed)
	assert.Contains(t, string(printed), "sound | [  1/11] prometheus-sidecar-injected")
	assert.Empty(t, append(sound.Changes(), broken.Changes()...), "nothing but reads was sent")

	out := filepath.Join(dir, "out", "latest")
	content, err := os.ReadFile(filepath.Join(out, reports.FleetFile))
	require.NoError(t, err)
	var f reports.Fleet
	require.NoError(t, json.Unmarshal(content, &f))
	var codes []reports.ExitCode
	for _, c := range f.Clusters {
		codes = append(codes, c.ExitCode)
	}
	assert.Equal(t, []reports.ExitCode{reports.ExitConformant, reports.ExitCheckFailed, reports.ExitSetupFailed}, codes)
	assert.True(t, slices.ContainsFunc(f.Checks, func(k reports.FleetCheck) bool { return k.ID == "targets-up" }))
	for _, c := range f.Clusters[:2] {
		report, err := reports.Read(filepath.Join(out, c.Dir))
		require.NoError(t, err)
		assert.NoError(t, report.Validate())
		assert.FileExists(t, filepath.Join(out, c.Dir, reports.HTMLFile))
	}
	page, err := os.ReadFile(filepath.Join(out, reports.FleetHTMLFile))
	require.NoError(t, err)
	assert.Contains(t, string(page), f.Clusters[1].Dir+"/report.html#targets-up")
}

// An interrupt reaches the run of each cluster once, whose report says so.
func TestAFleetThatIsInterruptedHasTheReportsOfItsClusters(t *testing.T) {
	c := simulated.New(t, whole(t))
	looking := make(chan struct{}, 1)
	c.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/pods") {
			return false
		}
		select {
		case looking <- struct{}{}:
		default:
		}
		<-r.Context().Done()
		return true
	}
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, contexts: [{name: slow, context: {cluster: c}}], clusters: [{name: c, cluster: {server: %q}}]}`, c.Config().Host), 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-mode=attach", "-kubeconfig="+kubeconfig, "-contexts=slow", "-prom=default/default", "-out=out", "-cache=cache")
	var printed bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &printed, &printed
	require.NoError(t, cmd.Start())
	<-looking
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit, printed.String())
	assert.Equal(t, int(reports.ExitInterrupted), exit.ExitCode(), printed.String())
	content, err := os.ReadFile(filepath.Join(dir, "out", "latest", reports.FleetFile))
	require.NoError(t, err)
	var f reports.Fleet
	require.NoError(t, json.Unmarshal(content, &f))
	require.Len(t, f.Clusters, 1)
	report, err := reports.Read(filepath.Join(dir, "out", "latest", f.Clusters[0].Dir))
	require.NoError(t, err)
	assert.True(t, report.Interrupted)
	assert.NoError(t, report.Validate())
}
