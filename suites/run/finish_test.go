package run

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// fakeDocker is a client of that name, first on the PATH, whose containers are
// files named by their cluster. It refuses to remove those of "stuck".
const fakeDocker = `#!/bin/sh
here=$(dirname "$0")/containers
case "$*" in
	-v) echo "Docker version 28.2.2, build test" ;;
	version*) echo 28.2.2 ;;
	*kind.role*) echo control-plane ;;
	*desktop.docker.io*) echo 127.0.0.1:1 ;; # where nobody listens
	exec*admin.conf)
		echo '{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}], users: [{name: a}], clusters: [{name: a, cluster: {server: "https://a:6443"}}]}' ;;
	*Label*) ls "$here" ;;
	ps*label=io.x-k8s.kind.cluster=*)
		name=$(echo "$*" | sed 's/.*kind\.cluster=\([^ ]*\).*/\1/')
		[ ! -e "$here/$name" ] || echo "$name-control-plane" ;;
	rm*stuck*) echo "device or resource busy" >&2; exit 1 ;;
	rm*) for last; do :; done; rm -f "$here/${last%-control-plane}" ;;
esac
`

// dockerWith puts the fake on the PATH, with a container for each cluster.
func dockerWith(t *testing.T, clusters ...string) (left func() []string) {
	t.Helper()
	dir := t.TempDir()
	containers := filepath.Join(dir, "containers")
	require.NoError(t, os.Mkdir(containers, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte(fakeDocker), 0o755))
	for _, c := range clusters {
		require.NoError(t, os.WriteFile(filepath.Join(containers, c), nil, 0o644))
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, v := range []string{"KIND_EXPERIMENTAL_PROVIDER", "KIND_EXPERIMENTAL_DOCKER_NETWORK", "KIND_EXPERIMENTAL_PODMAN_NETWORK"} {
		t.Setenv(v, "") // also puts it back
	}
	return func() (names []string) {
		entries, err := os.ReadDir(containers)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
}

// onCluster is a run whose cluster stands, as far as the fake goes.
func onCluster(t *testing.T, name string) (r *Run, shown *screen, left func() []string) {
	t.Helper()
	left = dockerWith(t, name)
	r, shown = testRun(t)
	r.Cluster, r.dir = name, filepath.Join(r.Cache, "clusters", name)
	require.NoError(t, r.makeDir())
	var err error
	r.Stack, err = stack.Open(t.Context(), stack.Options{Cache: r.Cache, ClusterName: name, Dir: r.dir})
	require.NoError(t, err)
	return r, shown, left
}

func phaseNames(r *Run) (names []string) {
	for _, p := range r.Report.Phases {
		names = append(names, p.Name)
	}
	return names
}

func TestAnInterruptedRunTakesEvidenceAndThenItsClusterAway(t *testing.T) {
	r, shown, left := onCluster(t, cluster.Prefix+"a")
	r.cancel()
	require.NoError(t, r.finish())
	assert.Equal(t, []string{"evidence", "clean-up"}, phaseNames(r))
	assert.Empty(t, left())
	assert.NoDirExists(t, r.dir)
	assert.DirExists(t, filepath.Join(r.OutDir(), "evidence"))
	assert.Contains(t, shown.String(), "listing pods", "that there was nobody to ask is told")
	assert.Equal(t, int(reports.ExitInterrupted), r.conclude())
}

func TestARunInWhichAllIsWellTakesNoEvidence(t *testing.T) {
	r, _, left := onCluster(t, cluster.Prefix+"a")
	r.Add(check("a", reports.Pass, reports.Core))
	require.NoError(t, r.finish())
	assert.Equal(t, []string{"clean-up"}, phaseNames(r))
	assert.Empty(t, left())
	assert.NoDirExists(t, filepath.Join(r.OutDir(), "evidence"))
	assert.Equal(t, int(reports.ExitConformant), r.conclude())
}

func TestAClusterThatStaysIsALeftoverOfTheRun(t *testing.T) {
	r, shown, left := onCluster(t, cluster.Prefix+"stuck")
	r.Add(check("a", reports.Pass, reports.Core))
	require.Error(t, r.finish())
	assert.NotEmpty(t, left())
	assert.Contains(t, shown.String(), "device or resource busy")
	assert.Equal(t, int(reports.ExitLeftovers), r.conclude())
	assert.Contains(t, r.Report.Leftovers[0], cluster.Prefix+"stuck")
}

// That something else ran than what the report names is a set-up that failed, and is in
// the evidence.
func TestAnImageThatIsNotTheRunsOwnFailsTheRun(t *testing.T) {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "c", ImageID: "sha256:1"}}},
	}
	for image, want := range map[string]reports.ExitCode{"quay.io/x:1": reports.ExitConformant, "docker.io/y:1": reports.ExitSetupFailed} {
		t.Run(image, func(t *testing.T) {
			pod.Spec.Containers = []corev1.Container{{Name: "c", Image: image}}
			r, shown, left := onCluster(t, cluster.Prefix+"a")
			client, err := klient.New(simulated.New(t, observe.Observation{Pods: []corev1.Pod{pod}}).Config())
			require.NoError(t, err)
			r.Mode, r.Stack.Client, r.Stack.Images, r.Stack.References = E2E, client, "packages", []string{"quay.io/x:1"}
			r.Add(check("a", reports.Pass, reports.Core))
			require.NoError(t, r.finish())
			assert.Empty(t, left(), "the cluster goes all the same")
			assert.Equal(t, int(want), r.conclude())
			if want == reports.ExitConformant {
				assert.Equal(t, []string{"images in use", "clean-up"}, phaseNames(r))
				assert.Contains(t, shown.String(), "1 images in 1 containers, all of the catalogue")
				return
			}
			assert.Equal(t, []string{"images in use", "evidence", "clean-up"}, phaseNames(r))
			require.NotNil(t, r.Report.Error)
			assert.Equal(t, "images in use", r.Report.Error.Phase)
			assert.Contains(t, r.Report.Error.Message, "docker.io/y:1 is not of the catalogue (default/p, container c)")
			assert.NoError(t, r.Report.Validate())
		})
	}
}

// Of a cluster that an earlier run made, only that one knows what it may run.
func TestTheImagesOfAKeptClusterAreNotLookedAt(t *testing.T) {
	r, _, _ := onCluster(t, cluster.Prefix+"a")
	r.Mode = Check
	r.Stack.References = []string{"quay.io/x:1"}
	require.NoError(t, r.finish())
	assert.NotContains(t, phaseNames(r), "images in use")
}

func filesOf(t *testing.T, cache, name string) string {
	t.Helper()
	dir := filepath.Join(cache, "clusters", name)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

func TestCleanRemovesEveryClusterOfThisProjectAndNoOther(t *testing.T) {
	left, cache := dockerWith(t, cluster.Prefix+"a", cluster.Prefix+"b", "kind"), t.TempDir()
	dir, gone, other := filesOf(t, cache, cluster.Prefix+"a"), filesOf(t, cache, cluster.Prefix+"gone"), filesOf(t, cache, "kind")
	assert.Zero(t, cleanUp(Config{Mode: Clean, Cache: cache}))
	assert.Equal(t, []string{"kind"}, left())
	assert.NoDirExists(t, dir)
	assert.NoDirExists(t, gone, "its cluster was removed by other means")
	assert.DirExists(t, other)
}

func TestWhatIsRemovedIsWhatWasThere(t *testing.T) {
	dockerWith(t, cluster.Prefix+"a")
	cache := t.TempDir()
	e, err := engine.Find(t.Context(), engine.Options{StateDir: cache, Log: t.Logf})
	require.NoError(t, err)
	filesOf(t, cache, cluster.Prefix+"b")
	for _, c := range []struct {
		name  string
		there bool
		said  string
	}{
		{"a", true, "removed " + cluster.Prefix + "a"},
		{"b", false, "removed the files of " + cluster.Prefix + "b, which was gone already"},
		{"c", false, "there is no cluster " + cluster.Prefix + "c"},
	} {
		said, err := remove(t.Context(), e, cache, cluster.Prefix+c.name, c.there)
		require.NoError(t, err)
		assert.Equal(t, c.said, said)
	}
	_, err = remove(t.Context(), e, cache, "kind", true)
	assert.Error(t, err, "it is none of ours")
}

func TestDownRemovesOneCluster(t *testing.T) {
	left, cache := dockerWith(t, cluster.Prefix+"a", cluster.Prefix+"b"), t.TempDir()
	assert.Zero(t, cleanUp(Config{Mode: Down, Cluster: cluster.Prefix + "a", Cache: cache}))
	assert.Equal(t, []string{cluster.Prefix + "b"}, left())
}

func TestAClusterThatCannotBeRemovedKeepsNoOtherFromIt(t *testing.T) {
	left, cache := dockerWith(t, cluster.Prefix+"a-stuck", cluster.Prefix+"b"), t.TempDir()
	dir := filesOf(t, cache, cluster.Prefix+"a-stuck")
	assert.Equal(t, int(reports.ExitLeftovers), cleanUp(Config{Mode: Clean, Cache: cache}))
	assert.Equal(t, []string{cluster.Prefix + "a-stuck"}, left())
	assert.DirExists(t, dir, "its files are still of use")
}

func TestCleaningUpWhereNoEngineAnswersIsNoLeftover(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///dev/null/docker.sock") // and none is to be started here
	assert.Equal(t, int(reports.ExitSetupFailed), cleanUp(Config{Mode: Clean, Cache: t.TempDir()}))
}
