package mesh

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"istio.io/api/label"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

const canary = "1-31"

// control is a control plane of a version that can be built, as far as its module
// is on this machine. Nothing is fetched for a test: without, it is skipped.
func control(t *testing.T, version, revision string) Options {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	root, err := image.Root()
	require.NoError(t, err)
	dir, err := image.ModuleDir(t.Context(), root, image.Istio.Component(version), image.IstioModule)
	if err != nil {
		t.Skipf("Istio %s has not been downloaded to this machine: %v", version, err)
	}
	return Options{Release: Release{
		Version: version, Revision: revision, Charts: ModuleCharts(dir, version),
		PilotImage: "example.com/pilot:" + version, ProxyImage: "example.com/proxyv2:" + version, UpstreamEnvoy: true,
	}}
}

// rendered has every object of the istiod chart, by kind and name.
func rendered(t *testing.T, o Options) map[string]*unstructured.Unstructured {
	t.Helper()
	c, err := o.chart(t.Context(), "istiod")
	require.NoError(t, err)
	objects, err := render(t.Context(), Named(istiodRelease, o.Revision), c, values(o))
	require.NoError(t, err)
	return byName(objects)
}

func byName(objects []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	m := map[string]*unstructured.Unstructured{}
	for _, u := range objects {
		m[u.GetKind()+"/"+u.GetName()] = u
	}
	return m
}

// as reads an object as what it is.
func as[T any](t *testing.T, u *unstructured.Unstructured) (v T) {
	t.Helper()
	require.NotNil(t, u)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &v))
	return v
}

// eachControlPlane runs a test with every version under the default revision and
// under one of its own.
func eachControlPlane(t *testing.T, test func(t *testing.T, o Options)) {
	for _, version := range image.Istio.Versions {
		for _, revision := range []string{DefaultRevision, canary} {
			t.Run(version+" "+revision, func(t *testing.T) { test(t, control(t, version, revision)) })
		}
	}
}

func TestAControlPlaneIsOfItsVersionUnderItsRevision(t *testing.T) {
	eachControlPlane(t, func(t *testing.T, o Options) {
		objects := rendered(t, o)
		d := as[appsv1.Deployment](t, objects["Deployment/"+Named("istiod", o.Revision)])
		assert.Equal(t, o.PilotImage, d.Spec.Template.Spec.Containers[0].Image)
		assert.Equal(t, o.Version, d.Labels["app.kubernetes.io/version"])
		assert.Equal(t, "istiod-"+o.Version, d.Labels["helm.sh/chart"])
		for _, label := range strings.Split(istiodOf(o.Revision), ",") {
			k, v, _ := strings.Cut(label, "=")
			assert.Equal(t, v, d.Spec.Template.Labels[k])
		}
		var env []string
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			env = append(env, e.Name+"="+e.Value)
		}
		for _, wanted := range []string{"REVISION=" + o.Revision, "ISTIO_MULTIROOT_MESH=true", "PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_ENABLE_ALPN_FILTER=false"} {
			assert.Contains(t, env, wanted)
		}

		injector := as[corev1.ConfigMap](t, objects["ConfigMap/"+Named("istio-sidecar-injector", o.Revision)])
		assert.Contains(t, injector.Data["values"], `"image": "`+o.ProxyImage+`"`)
		hook := as[admissionv1.MutatingWebhookConfiguration](t, objects["MutatingWebhookConfiguration/"+Named("istio-sidecar-injector", o.Revision)])
		for _, w := range hook.Webhooks {
			assert.Equal(t, Named("istiod", o.Revision), w.ClientConfig.Service.Name)
		}
	})
}

// Only the default one may inject where istio-injection=enabled.
func TestWhoNamesNoRevisionIsTheDefaultOnes(t *testing.T) {
	eachControlPlane(t, func(t *testing.T, o Options) {
		hook := as[admissionv1.MutatingWebhookConfiguration](t, rendered(t, o)["MutatingWebhookConfiguration/"+Named("istio-sidecar-injector", o.Revision)])
		assert.Equal(t, o.Revision == DefaultRevision, selects(hook, InjectionLabel, "enabled"))
		assert.True(t, selects(hook, label.IoIstioRev.Name, o.Revision))
	})
}

// selects reports whether a webhook asks of a namespace that a label has a value.
func selects(hook admissionv1.MutatingWebhookConfiguration, label, value string) bool {
	for _, w := range hook.Webhooks {
		for _, e := range w.NamespaceSelector.MatchExpressions {
			if e.Key == label && slices.Contains(e.Values, value) {
				return true
			}
		}
	}
	return false
}

// Helm refuses an object that belongs to another release.
func TestControlPlanesBesideEachOtherShareNoObject(t *testing.T) {
	for _, version := range image.Istio.Versions {
		standing := rendered(t, control(t, version, DefaultRevision))
		for _, other := range image.Istio.Versions {
			for name := range rendered(t, control(t, other, canary)) {
				assert.NotContains(t, standing, name, "%s beside %s", other, version)
			}
		}
	}
}

// The selector of a Deployment cannot be changed, so an upgrade that did would be
// refused half way.
func TestAnUpgradeInPlaceKeepsWhoseThePodsAre(t *testing.T) {
	for _, revision := range []string{DefaultRevision, canary} {
		name := Named("istiod", revision)
		var selectors []any
		for _, version := range image.Istio.Versions {
			objects := rendered(t, control(t, version, revision))
			selectors = append(selectors, as[appsv1.Deployment](t, objects["Deployment/"+name]).Spec.Selector)
		}
		for _, s := range selectors {
			assert.Equal(t, selectors[0], s)
		}
	}
}

func TestTheDefinitionsAreAllInTheChartBase(t *testing.T) {
	for _, version := range image.Istio.Versions {
		o := control(t, version, canary)
		c, err := o.chart(t.Context(), "base")
		require.NoError(t, err)
		v := values(o)
		v[defaultRevisionValue] = o.Revision
		objects, err := render(t.Context(), baseRelease, c, v)
		require.NoError(t, err)
		base := byName(objects)
		assert.Contains(t, base, "CustomResourceDefinition/peerauthentications.security.istio.io")
		validator := as[admissionv1.ValidatingWebhookConfiguration](t, base["ValidatingWebhookConfiguration/istiod-default-validator"])
		assert.Equal(t, Named("istiod", o.Revision), validator.Webhooks[0].ClientConfig.Service.Name)
		for name := range rendered(t, o) {
			assert.NotContains(t, name, "CustomResourceDefinition/")
		}
	}
}

func TestATagConsistsOfWhatUntagRemoves(t *testing.T) {
	eachControlPlane(t, func(t *testing.T, o Options) {
		objects, err := tagObjects(t.Context(), o, "prod")
		require.NoError(t, err)
		tag := byName(objects)
		assert.Len(t, tag, 2)
		assert.Contains(t, tag, "Service/istiod-revision-tag-prod")
		hook := as[admissionv1.MutatingWebhookConfiguration](t, tag["MutatingWebhookConfiguration/istio-revision-tag-prod"])
		assert.Equal(t, "sidecar-injector", hook.Labels["app"], "by which the wait for its CA finds it")
		assert.Equal(t, o.Revision, hook.Labels[label.IoIstioRev.Name], "by which Remove finds it")
		assert.True(t, selects(hook, label.IoIstioRev.Name, "prod"))
		for _, w := range hook.Webhooks {
			assert.Equal(t, Named("istiod", o.Revision), w.ClientConfig.Service.Name)
		}
		assert.NotContains(t, rendered(t, o), "MutatingWebhookConfiguration/istio-revision-tag-prod", "the tag is no part of the release")
	})
}

func TestATagPointsToAControlPlaneAndNeverDoublesOne(t *testing.T) {
	for _, c := range []struct {
		standing           []string
		revision, tag, err string
	}{
		{[]string{DefaultRevision, canary}, canary, "prod", ""},
		{[]string{"1-30", canary}, canary, DefaultRevision, ""},
		{[]string{DefaultRevision, canary}, canary, DefaultRevision, "the tag default has the name of a revision"},
		{[]string{DefaultRevision, canary}, DefaultRevision, canary, "the tag 1-31 has the name of a revision"},
		{[]string{DefaultRevision}, canary, "prod", "there is no such control plane, only [default]"},
	} {
		err := checkTag(c.standing, c.revision, c.tag)
		if c.err == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorContains(t, err, c.err)
	}
}

func TestANamespaceNamesARevisionOrTheDefault(t *testing.T) {
	for revision, want := range map[string]map[string]any{
		canary:          {"istio-injection": nil, "istio.io/rev": canary},
		DefaultRevision: {"istio-injection": "enabled", "istio.io/rev": nil},
	} {
		var labels map[string]any
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case r.Method == http.MethodPatch:
				var patch struct {
					Metadata struct{ Labels map[string]any }
				}
				assert.NoError(t, json.NewDecoder(r.Body).Decode(&patch))
				assert.Equal(t, "/api/v1/namespaces/apps", r.URL.Path)
				labels = patch.Metadata.Labels
				_, _ = w.Write([]byte(`{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "apps"}}`))
			case r.URL.Path == "/api":
				_, _ = w.Write([]byte(`{"kind": "APIVersions", "versions": ["v1"]}`))
			case r.URL.Path == "/api/v1":
				_, _ = w.Write([]byte(`{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "namespaces", "kind": "Namespace"}]}`))
			default:
				_, _ = w.Write([]byte(`{"kind": "APIGroupList"}`))
			}
		}))
		t.Cleanup(server.Close)
		client, err := klient.New(&rest.Config{Host: server.URL})
		require.NoError(t, err)
		require.NoError(t, Inject(t.Context(), client, "apps", revision))
		assert.Equal(t, want, labels)
	}
}
