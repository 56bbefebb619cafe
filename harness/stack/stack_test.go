package stack

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

func TestTheNamespaceIsTakenIntoTheMesh(t *testing.T) {
	u := injected("n")
	assert.Equal(t, "Namespace", u.GetKind())
	assert.Equal(t, "n", u.GetName())
	assert.Equal(t, "enabled", u.GetLabels()["istio-injection"])
}

func TestImagesFromPackagesHaveUpstreamsNames(t *testing.T) {
	assert.Empty(t, sources{references: image.PackagesReferences()}.byUpstream(), "there is nothing to replace")
}

func TestImagesFromARegistryArePinned(t *testing.T) {
	prometheus := image.Find("prometheus").Reference
	p := sources{references: image.References{"prometheus": prometheus + "@sha256:0"}}
	assert.Equal(t, map[string]string{prometheus: prometheus + "@sha256:0"}, p.byUpstream())
}

func TestTheReportSaysWhereImagesAreFrom(t *testing.T) {
	mirror := image.Mirror{Scheme: "http", Host: "mirror:5000"}
	for want, p := range map[string]sources{
		"packages":            {source: image.Packages, madeHere: true},
		"registry, by digest": {source: image.Registry},
		"registry, by digest through the mirror mirror:5000":                                                                  {source: image.Registry, mirror: mirror},
		"registry, by digest through the mirror mirror:5000, which has images made from packages, pinned by images.lock.json": {source: image.Registry, mirror: mirror, madeHere: true, lock: "/tmp/images.lock.json"},
	} {
		assert.Equal(t, want, p.String())
	}
}

func waiting(name, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func TestWhatKeepsAPodFromRunningIsTold(t *testing.T) {
	pods := []corev1.Pod{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "prometheus-default-0"},
			Status: corev1.PodStatus{
				InitContainerStatuses: []corev1.ContainerStatus{waiting("init-config-reloader", "ErrImagePull", "not found")},
				ContainerStatuses:     []corev1.ContainerStatus{waiting("prometheus", "PodInitializing", ""), waiting("istio-proxy", "CrashLoopBackOff", "")},
			},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "productpage"},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
				waiting("productpage", "ContainerCreating", ""), {Name: "runs", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			}},
		},
	}
	assert.Equal(t, []string{
		"prometheus-default-0/init-config-reloader: ErrImagePull not found", "prometheus-default-0/istio-proxy: CrashLoopBackOff",
	}, stuckContainers(pods), "and not what only waits for its turn")
	assert.Empty(t, stuckContainers(nil))
}

func TestNothingIsTakenDownWhereNothingStands(t *testing.T) {
	var none *Stack
	require.NoError(t, none.Down(t.Context()))
	assert.NoError(t, (&Stack{}).Down(t.Context()))
}

func TestASetUpEndsWithTheFirstPhaseThatFails(t *testing.T) {
	wrong := errors.New("wrong")
	var phases []string
	s, err := Up(Options{Phase: func(name string, _ func(context.Context) (string, error)) error {
		phases = append(phases, name)
		if name == "images" {
			return wrong
		}
		return nil
	}})
	require.ErrorIs(t, err, wrong)
	assert.Equal(t, []string{"engine", "images"}, phases)
	assert.NotNil(t, s, "so that evidence can be taken and what stands can be removed")
}
