package incluster

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/incluster/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/parcel"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

const runID = "20261125-140000-00ff"

// opened is a Job of a cluster, by a client that changes nothing else, and what it relays.
func opened(t *testing.T, c *simulated.Cluster) (*Job, *[]string) {
	t.Helper()
	var relayed []string
	j, err := Open(Options{
		Config: cluster.Owning(c.Start(t), Namespace(runID), Owned(runID)...), RunID: runID, Image: "registry.example/suite:v1",
		Args:    []string{"-prom=monitoring/k8s", "-skip=targets-up=a reason"},
		Relay:   func(line string) { relayed = append(relayed, line) },
		Started: func(pod string) { relayed = append(relayed, "started "+pod) },
	})
	require.NoError(t, err)
	return j, &relayed
}

// printed is the log of a run that delivers a report with some files.
func printed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "report.json"), []byte("{}"), 0o600))
	var b bytes.Buffer
	b.WriteString("  ok  open   0.1s\n[ 1/1] targets-up ... pass 0.0s\n")
	require.NoError(t, parcel.Send(&b, runID, dir, parcel.All, func(string) {}))
	return b.String() + "1 passed, 0 failed\n"
}

func TestWhatIsMadeIsOfTheRunAndLiesInItsNamespace(t *testing.T) {
	j := &Job{Options: Options{RunID: runID, Image: "registry.example/suite:v1", Args: []string{"-prom=a/b"}}}
	objects, err := j.objects(nil)
	require.NoError(t, err)
	var kinds []string
	for _, u := range objects {
		kinds = append(kinds, u.GetKind())
		assert.Equal(t, sandbox.ManagedBy, u.GetLabels()[sandbox.ManagedByLabel], u.GetKind())
		assert.Equal(t, runID, u.GetLabels()[sandbox.RunLabel], u.GetKind())
		if manifests.ClusterScoped(u.GetKind()) {
			assert.Equal(t, Namespace(runID), u.GetName())
			continue
		}
		assert.Equal(t, Namespace(runID), u.GetNamespace())
	}
	assert.Equal(t, []string{"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Job"}, kinds)

	var binding rbacv1.ClusterRoleBinding
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(objects[3].Object, &binding))
	assert.Equal(t, Namespace(runID), binding.RoleRef.Name)
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: objects[1].GetName(), Namespace: Namespace(runID)}}, binding.Subjects)

	job := jobOf(t, objects)
	pod := job.Spec.Template
	assert.Equal(t, objects[1].GetName(), pod.Spec.ServiceAccountName)
	assert.Equal(t, runID, pod.Labels[sandbox.RunLabel])
	assert.Equal(t, "registry.example/suite:v1", pod.Spec.Containers[0].Image)
	assert.Equal(t, []string{"-mode=attach", "-deliver=log", "-out=/out", "-run-id=" + runID, "-prom=a/b"}, pod.Spec.Containers[0].Args)
}

func jobOf(t *testing.T, objects []*unstructured.Unstructured) (job batchv1.Job) {
	t.Helper()
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(objects[len(objects)-1].Object, &job, true))
	return job
}

// roleOf is the role that a run inside has.
func roleOf(t *testing.T, o Options, revisions ...string) (r rbacv1.ClusterRole) {
	t.Helper()
	o.RunID = runID
	objects, err := (&Job{Options: o}).objects(revisions)
	require.NoError(t, err)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(objects[2].Object, &r))
	return r
}

func TestTheRoleIsTheOneOfAGuestFromOutside(t *testing.T) {
	var guest rbacv1.ClusterRole
	objects, err := manifests.ReadFile(manifests.CertifyRole)
	require.NoError(t, err)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(objects[1].Object, &guest))
	assert.Equal(t, guest.Rules, roleOf(t, Options{}).Rules)
	assert.Equal(t, guest.Rules, roleOf(t, Options{}, "default").Rules, "whose configuration is named without")
}

func TestTheRoleGrantsTheConfigurationOfEachControlPlane(t *testing.T) {
	for _, rule := range roleOf(t, Options{}, "1-31", "asm-managed", "1-31").Rules {
		if len(rule.ResourceNames) > 0 {
			assert.Equal(t, []string{"configmaps"}, rule.Resources)
			assert.Equal(t, []string{"istio", "istio-ca-root-cert", "istio-1-31", "istio-asm-managed"}, rule.ResourceNames)
			return
		}
	}
	t.Error("no rule is for single objects")
}

func TestTheRoleGrantsWhatTheOwnerPermits(t *testing.T) {
	without := roleOf(t, Options{}).Rules
	with := roleOf(t, Options{Permit: []cluster.Permission{cluster.Exec, cluster.PortForward}}).Rules
	assert.Equal(t, without, with[:len(without)])
	assert.Equal(t, []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create", "get"}},
		{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create", "get"}},
	}, with[len(without):])
}

func TestAJobIsMadeFollowedAndRemoved(t *testing.T) {
	c := &simulated.Cluster{Pods: []*corev1.PodStatus{nil, simulated.Waiting("ContainerCreating", ""), simulated.Running(), simulated.Ended(1)}, Logs: []string{printed(t)}, Revisions: []string{"1-31"}}
	j, relayed := opened(t, c)
	note, err := j.Apply(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "Job mtls-scrape-certify-"+runID+"/mtls-scrape-certify, image registry.example/suite:v1", note)
	assert.Equal(t, 10*time.Minute, j.lasts)
	id := Namespace(runID)
	assert.Equal(t, []string{
		"PATCH /api/v1/namespaces/" + id, "POST /apis/coordination.k8s.io/v1/namespaces/" + id + "/leases",
		"PATCH /api/v1/namespaces/" + id + "/serviceaccounts/mtls-scrape-certify",
		"PATCH /apis/rbac.authorization.k8s.io/v1/clusterroles/" + id, "PATCH /apis/rbac.authorization.k8s.io/v1/clusterrolebindings/" + id,
		"PATCH /apis/batch/v1/namespaces/" + id + "/jobs/mtls-scrape-certify",
	}, c.Changed())
	lease := c.Object("/apis/coordination.k8s.io/v1/namespaces/" + id + "/leases/mtls-scrape-run")
	seconds, _, err := unstructured.NestedInt64(lease, "spec", "leaseDurationSeconds")
	require.NoError(t, err)
	assert.EqualValues(t, (11 * time.Minute).Seconds(), seconds, "nobody clears up what runs")

	outcome, err := j.Follow(t.Context())
	require.NoError(t, err)
	require.NoError(t, outcome.Missing())
	assert.Equal(t, 1, outcome.ExitCode)
	assert.Equal(t, "exit code 1", outcome.Ended)
	require.NoError(t, parcel.Unpack(bytes.NewReader(outcome.Archive), t.TempDir()))
	assert.Equal(t, []string{"started " + simulated.Pod, "  ok  open   0.1s", "[ 1/1] targets-up ... pass 0.0s"}, *relayed)

	note, err = j.Remove(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "the Job, its role and its namespace are gone", note)
	assert.Empty(t, c.Objects())
	_, err = j.Remove(t.Context())
	require.NoError(t, err, "once more does no harm")
}

func TestALogThatBreaksOffIsReadAgain(t *testing.T) {
	whole := printed(t)
	for name, logs := range map[string][]string{
		"before the report":      {whole[:20], whole},
		"in the report":          {whole[:strings.Index(whole, "sha256")+100], whole},
		"more than once":         {"", whole[:20], whole[:len(whole)/2], whole},
		"when the run had ended": {whole[:20], whole[:40], whole[:60], whole},
	} {
		t.Run(name, func(t *testing.T) {
			pods := []*corev1.PodStatus{simulated.Running()}
			for range len(logs) - 2 {
				pods = append(pods, simulated.Running())
			}
			c := &simulated.Cluster{Pods: append(pods, simulated.Ended(0)), Logs: logs}
			j, relayed := opened(t, c)
			j.lasts = time.Minute
			outcome, err := j.Follow(t.Context())
			require.NoError(t, err)
			require.NoError(t, outcome.Missing())
			assert.Equal(t, 0, outcome.ExitCode)
			last := (*relayed)[len(*relayed)-1]
			assert.Equal(t, "[ 1/1] targets-up ... pass 0.0s", last)
		})
	}
}

func TestWhyNoReportArrived(t *testing.T) {
	whole := printed(t)
	_, rotated, _ := strings.Cut(whole, "sha256")
	deadline := &batchv1.JobCondition{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "DeadlineExceeded", Message: "Job was active longer than specified deadline"}
	evicted := simulated.Killed(137, "Error")
	evicted.Reason, evicted.Message = "Evicted", "The node was low on resource: memory."
	for name, c := range map[string]struct {
		cluster *simulated.Cluster
		says    []string
	}{
		"it crashed": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(2)}, Logs: []string{"panic: oh\n"}},
			[]string{"the log has no report of the run " + runID, "ended with exit code 2", "said last:\n  panic: oh"},
		},
		"it said nothing": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Killed(128, "StartError")}},
			[]string{"exit code 128: StartError", "and printed nothing"},
		},
		"for its memory": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Killed(137, "OOMKilled")}, Logs: []string{whole[:20]}},
			[]string{"OOMKilled: it took more memory than"},
		},
		"its log was cut off": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{whole[:len(whole)-60]}},
			[]string{"the log is cut off", "ended with exit code 0"},
		},
		"its log was rotated": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), simulated.Ended(0)}, Logs: []string{rotated}},
			[]string{"the log has no report"},
		},
		"it was evicted": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), evicted}, Logs: []string{whole[:20]}},
			[]string{"Evicted: The node was low on resource: memory."},
		},
		"its time was up": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), nil}, Logs: []string{whole[:20]}, Failed: deadline},
			[]string{"its pod gone: the Job failed: DeadlineExceeded: Job was active longer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := opened(t, c.cluster)
			j.lasts = time.Minute
			outcome, err := j.Follow(t.Context())
			require.NoError(t, err)
			for _, says := range c.says {
				assert.ErrorContains(t, outcome.Missing(), says)
			}
		})
	}
}

func TestARunWhoseReportCameBeforeItsPodWentIsWhole(t *testing.T) {
	j, _ := opened(t, &simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running(), nil}, Logs: []string{printed(t)}})
	j.lasts = time.Minute
	outcome, err := j.Follow(t.Context())
	require.NoError(t, err)
	require.NoError(t, outcome.Missing())
	assert.Equal(t, Unknown, outcome.ExitCode, "the report says it")
}

func TestWhatDoesNotStartIsToldAtOnce(t *testing.T) {
	failed := &batchv1.JobCondition{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "DeadlineExceeded", Message: "m"}
	for name, c := range map[string]struct {
		cluster *simulated.Cluster
		says    string
	}{
		"no image": {
			&simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Waiting("ErrImagePull", "manifest unknown"), simulated.Waiting("ImagePullBackOff", "Back-off")}},
			"see that IMAGE= is a reference which nodes can pull without a secret, or that they have it: manifest unknown",
		},
		"a Job that failed":  {&simulated.Cluster{Pods: []*corev1.PodStatus{nil}, Failed: failed}, "the Job failed: DeadlineExceeded: m"},
		"nobody may look":    {&simulated.Cluster{Forbidden: []string{"GET /api/v1/namespaces/" + Namespace(runID) + "/pods"}}, "takes list on pods and get on pods/log"},
		"a pod that is lost": {&simulated.Cluster{Pods: []*corev1.PodStatus{{Phase: corev1.PodFailed, Reason: "Evicted", Message: "m"}}}, "the pod failed before it ran: Evicted: m"},
	} {
		t.Run(name, func(t *testing.T) {
			j, relayed := opened(t, c.cluster)
			_, err := j.Follow(t.Context())
			require.ErrorContains(t, err, c.says)
			assert.Empty(t, *relayed)
		})
	}
}

func TestAJobWithoutAPodShowsWhatItsEventsSay(t *testing.T) {
	j, _ := opened(t, &simulated.Cluster{Pods: []*corev1.PodStatus{nil}, Warning: `pods "x" is forbidden: exceeded quota`})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := j.Follow(ctx)
	assert.ErrorContains(t, err, `the Job has no pod yet; Job mtls-scrape-certify: FailedCreate: pods "x" is forbidden: exceeded quota`)
}

func TestALogThatNobodyMayReadEndsTheWait(t *testing.T) {
	j, _ := opened(t, &simulated.Cluster{Pods: []*corev1.PodStatus{simulated.Running()}, Forbidden: []string{"GET /api/v1/namespaces/" + Namespace(runID) + "/pods/" + simulated.Pod + "/log"}})
	j.lasts = time.Minute
	outcome, err := j.Follow(t.Context())
	require.ErrorContains(t, err, "takes list on pods and get on pods/log")
	assert.Nil(t, outcome.Archive)
}

func TestWhoMayNotMakeAJobIsToldWhatItTakes(t *testing.T) {
	for _, forbidden := range []string{"PATCH /api/v1/namespaces/", "POST /apis/coordination.k8s.io", "PATCH /apis/rbac.authorization.k8s.io", "PATCH /apis/batch"} {
		t.Run(forbidden, func(t *testing.T) {
			c := &simulated.Cluster{Forbidden: []string{forbidden}}
			j, _ := opened(t, c)
			_, err := j.Apply(t.Context())
			require.ErrorContains(t, err, "is forbidden: because")
			assert.ErrorContains(t, err, "Without IN_CLUSTER=1, `make certify` makes nothing and only reads")
			_, err = j.Remove(t.Context())
			require.NoError(t, err, "what was made until then is removed")
			assert.Empty(t, c.Objects())
		})
	}
}

func TestWhatIsLeftIsNamed(t *testing.T) {
	c := &simulated.Cluster{Forbidden: []string{"DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles/"}}
	j, _ := opened(t, c)
	_, err := j.Apply(t.Context())
	require.NoError(t, err)
	_, err = j.Remove(t.Context())
	require.ErrorContains(t, err, "clusterrole "+Namespace(runID)+": ")
	assert.ErrorContains(t, err, "`make clean CONTEXT=` removes what is left")
	assert.Equal(t, []string{"/apis/rbac.authorization.k8s.io/v1/clusterroles/" + Namespace(runID)}, c.Objects(), "and the rest is gone all the same")
}

func TestWhatIsKeptIsNobodysToHold(t *testing.T) {
	c := &simulated.Cluster{}
	j, _ := opened(t, c)
	_, err := j.Apply(t.Context())
	require.NoError(t, err)
	before := c.Objects()
	holder := func() any {
		spec := c.Object("/apis/coordination.k8s.io/v1/namespaces/" + Namespace(runID) + "/leases/mtls-scrape-run")["spec"]
		return spec.(map[string]any)["holderIdentity"]
	}
	require.NotNil(t, holder())
	require.NoError(t, j.Release(t.Context()))
	assert.Nil(t, holder())
	assert.Equal(t, before, c.Objects())
	require.NoError(t, j.Release(t.Context()), "once more does no harm")
}
