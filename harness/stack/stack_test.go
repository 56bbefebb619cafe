package stack

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
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

// With a version of Istio to upgrade to, each has its own charts and images, and
// the node gets those that it has not inside.
func TestARunHasTheVersionsThatItAsksFor(t *testing.T) {
	t.Setenv("GOPROXY", "off") // nothing is fetched for a test
	root, err := image.Root()
	require.NoError(t, err)
	older, err := image.ParseKubernetes("1.36")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		options Options
		lacking []string
	}{
		"the default ones":         {Options{Prometheus: "v3.16.0", Istio: "1.31.0"}, nil},
		"another Prometheus":       {Options{Prometheus: "v3.12.0", Istio: "1.31.0"}, []string{"prometheus:v3.12.0"}},
		"an older Istio":           {Options{Prometheus: "v3.16.0", Istio: "1.30.4"}, []string{"pilot:1.30.4", "proxyv2:1.30.4"}},
		"an upgrade":               {Options{Prometheus: "v3.16.0", Istio: "1.30.4", Next: "1.31.0"}, []string{"pilot:1.30.4", "proxyv2:1.30.4"}},
		"an upgrade of Prometheus": {Options{Prometheus: "v3.12.0", Istio: "1.31.0", NextPrometheus: "v3.16.0"}, []string{"prometheus:v3.12.0"}},
		"an older Operator":        {Options{Prometheus: "v3.16.0", Istio: "1.31.0", Operator: "v0.91.0"}, []string{"prometheus-operator:v0.91.0", "prometheus-config-reloader:v0.91.0"}},
		"an upgrade of it":         {Options{Prometheus: "v3.16.0", Istio: "1.31.0", Operator: "v0.91.0", NextOperator: "v0.92.0"}, []string{"prometheus-operator:v0.91.0", "prometheus-config-reloader:v0.91.0"}},
		"one between two others":   {Options{Prometheus: "v3.5.0", Istio: "1.31.0", NextPrometheus: "v3.12.0"}, []string{"prometheus:v3.5.0", "prometheus:v3.12.0"}},
		"an older Kubernetes":      {Options{Kubernetes: older, Prometheus: "v3.16.0", Istio: "1.31.0", NextPrometheus: "v3.12.0"}, []string{"prometheus:v3.12.0"}},
		"an upgrade backward":      {Options{Prometheus: "v3.16.0", Istio: "1.31.0", Next: "1.30.4"}, []string{"pilot:1.30.4", "proxyv2:1.30.4"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := sources{source: image.Packages}
			images, err := p.choose(t.Context(), c.options, root)
			if err != nil && strings.Contains(err.Error(), "fetching") {
				t.Skip(err)
			}
			require.NoError(t, err)
			var lacking []string
			for _, i := range images {
				if !image.Baked(i) {
					lacking = append(lacking, path.Base(i.Reference))
				}
			}
			assert.Equal(t, c.lacking, lacking)
			kubernetes := cmp.Or(c.options.Kubernetes, image.DefaultKubernetes())
			assert.Equal(t, "kube-apiserver:"+kubernetes.Packages, path.Base(p.references["kube-apiserver"]), "it is in the node image")
			assert.Equal(t, "node:"+kubernetes.Registry, path.Base(p.references["node"]))
			assert.Equal(t, c.options.Prometheus, p.prometheus)
			assert.Equal(t, "prometheus:"+c.options.Prometheus, path.Base(p.references["prometheus"]))
			assert.Equal(t, c.options.NextPrometheus, p.nextPrometheus.Version)
			if c.options.NextPrometheus != "" {
				assert.Equal(t, "prometheus:"+c.options.NextPrometheus, path.Base(p.nextPrometheus.Image))
			}
			for version, r := range map[string]mesh.Release{c.options.Istio: p.istio, c.options.Next: p.next} {
				assert.Equal(t, version, r.Version)
				if version == "" {
					continue
				}
				assert.Equal(t, mesh.DefaultRevision, r.Revision)
				assert.Equal(t, []string{"pilot:" + version, "proxyv2:" + version}, []string{path.Base(r.PilotImage), path.Base(r.ProxyImage)})
				assert.True(t, r.UpstreamEnvoy)
			}
			assertOperator(t, cmp.Or(c.options.Operator, image.OperatorVersion), p.operator)
			assertOperator(t, c.options.NextOperator, p.nextOperator)
		})
	}
	_, err = (&sources{source: image.Packages}).choose(t.Context(), Options{Prometheus: "v3.16.0", Istio: "1.29.0"}, root)
	require.ErrorContains(t, err, "there is no image of Istio 1.29.0")
}

// assertOperator sees that a version of the Operator has its own bundle and images.
func assertOperator(t *testing.T, version string, r monitoring.OperatorRelease) {
	t.Helper()
	assert.Equal(t, version, r.Version)
	if version == "" {
		return
	}
	assert.Equal(t, "prometheus-config-reloader:"+version, path.Base(r.Reloader))
	assert.NotEmpty(t, r.Definitions)
	for _, u := range r.Objects {
		if u.GetKind() != "Deployment" {
			continue
		}
		assert.Equal(t, Namespace, u.GetNamespace())
		text, err := u.MarshalJSON()
		require.NoError(t, err)
		assert.Contains(t, string(text), "/prometheus-operator:"+version+`"`)
		assert.Contains(t, string(text), "--prometheus-config-reloader="+r.Reloader)
		return
	}
	t.Errorf("the bundle of %s has no Deployment", version)
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

// The selector of a Deployment cannot be changed, so an upgrade that did would be refused
// half way; and what only one version has would be left by the way back.
func TestAnUpgradeOfTheOperatorChangesNoSelectorAndLeavesNothing(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	root, err := image.Root()
	require.NoError(t, err)
	var selectors []map[string]any
	var names [][]string
	for _, version := range image.Operator.Versions {
		r, err := operatorOf(t.Context(), root, version, image.PackagesReferences())
		if err != nil && strings.Contains(err.Error(), "fetching") {
			t.Skip(err)
		}
		require.NoError(t, err)
		var all []string
		for _, u := range slices.Concat(r.Definitions, r.Objects) {
			all = append(all, u.GetKind()+" "+u.GetName())
			if u.GetKind() == "Deployment" {
				selector, _, err := unstructured.NestedMap(u.Object, "spec", "selector")
				require.NoError(t, err)
				selectors = append(selectors, selector)
			}
		}
		slices.Sort(all)
		names = append(names, all)
	}
	require.Len(t, selectors, len(image.Operator.Versions))
	for i := range selectors {
		assert.Equal(t, selectors[0], selectors[i])
		assert.Equal(t, names[0], names[i])
	}
}
