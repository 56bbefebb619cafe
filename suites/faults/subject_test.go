package faults

import (
	"encoding/json"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// typed has an empty object of every kind that a subject may have.
func typed() map[string]any {
	return map[string]any{
		"Namespace": &corev1.Namespace{}, "Service": &corev1.Service{}, "ServiceAccount": &corev1.ServiceAccount{},
		"Secret": &corev1.Secret{}, "ResourceQuota": &corev1.ResourceQuota{}, "Deployment": &appsv1.Deployment{},
		"ClusterRole": &rbacv1.ClusterRole{}, "ClusterRoleBinding": &rbacv1.ClusterRoleBinding{},
		"MutatingWebhookConfiguration": &admissionv1.MutatingWebhookConfiguration{},
		"Prometheus":                   &monitoringv1.Prometheus{}, "ServiceMonitor": &monitoringv1.ServiceMonitor{},
		"PodMonitor": &monitoringv1.PodMonitor{}, "Probe": &monitoringv1.Probe{}, "ScrapeConfig": &monitoringv1alpha1.ScrapeConfig{},
		"PeerAuthentication": &securityv1.PeerAuthentication{}, "AuthorizationPolicy": &securityv1.AuthorizationPolicy{},
		"Sidecar": &networkingv1.Sidecar{},
	}
}

// strictly reads an object into its type: a field that it does not have is an error.
func strictly(t *testing.T, id string, u *unstructured.Unstructured) {
	t.Helper()
	object, ok := typed()[u.GetKind()]
	require.True(t, ok, "%s has a %s, of which the test knows no type", id, u.GetKind())
	text, err := json.Marshal(u.Object)
	require.NoError(t, err)
	assert.NoError(t, yaml.UnmarshalStrict(text, object), "%s: %s %s", id, u.GetKind(), u.GetName())
}

func good(t *testing.T) *Subject {
	t.Helper()
	s, err := NewSubject(Fault{ID: "x"})
	require.NoError(t, err)
	return s
}

func kinds(all []*unstructured.Unstructured) (names []string) {
	for _, u := range all {
		names = append(names, u.GetKind()+" "+u.GetNamespace()+"/"+u.GetName())
	}
	return names
}

func TestTheGoodSetUpIsTheGuidesAndSmall(t *testing.T) {
	applied := good(t).Manifests("run-1", map[string]string{"quay.io/prometheus/prometheus:v3.16.0": "other@sha256:1"})
	assert.Equal(t, []string{
		"Namespace /fault-x",
		"ServiceAccount fault-x/bookinfo-productpage", "Service fault-x/productpage",
		"ServiceAccount fault-x/prometheus-full-access",
		"ClusterRole /prometheus-full-access-fault-x", "ClusterRoleBinding /prometheus-full-access-fault-x",
		"ServiceMonitor fault-x/productpage",
		"Deployment fault-x/productpage-v1",
		"Prometheus fault-x/default",
	}, kinds(applied))
	by := map[string]*unstructured.Unstructured{}
	for _, u := range applied {
		by[u.GetKind()] = u
		assert.Equal(t, "run-1", u.GetLabels()[runLabel], u.GetKind())
	}
	field := func(kind string, path ...string) any {
		v, _, err := unstructured.NestedFieldNoCopy(by[kind].Object, path...)
		require.NoError(t, err)
		return v
	}
	assert.Equal(t, "prometheus-full-access-fault-x", field("ClusterRoleBinding", "roleRef", "name"))
	assert.Equal(t, "fault-x", field("ClusterRoleBinding", "subjects").([]any)[0].(map[string]any)["namespace"])
	assert.Equal(t, int64(1), field("Prometheus", "spec", "replicas"))
	assert.Equal(t, "other@sha256:1", field("Prometheus", "spec", "image"))
	assert.Equal(t, int64(1), field("Deployment", "spec", "replicas"))
	assert.Equal(t, "2s", field("ServiceMonitor", "spec", "endpoints").([]any)[0].(map[string]any)["interval"])
	assert.Equal(t, "enabled", by["Namespace"].GetLabels()["istio-injection"])
	assert.Contains(t, field("Prometheus", "spec", "podMetadata", "annotations", "proxy.istio.io/config"), "SECRET_TTL: 1h0m0s")
}

func TestTheCertificatesOfOneThatIsWatchedAreShortLived(t *testing.T) {
	s, err := NewSubject(Fault{ID: "x", Watch: true})
	require.NoError(t, err)
	for _, u := range s.Objects {
		if u.GetKind() == "Prometheus" || u.GetKind() == "Deployment" {
			assert.Contains(t, shownWhole(u.Object), "SECRET_TTL: 20s", u.GetKind())
		}
	}
}

func shownWhole(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

func TestTheSameSubjectIsAppliedTheSameWay(t *testing.T) {
	s := good(t)
	assert.Equal(t, s.Manifests("r", nil), s.Manifests("r", nil))
}

func TestLongIDsMakeNamesOfNamespacesThatDiffer(t *testing.T) {
	long := "a-fault-with-an-identifier-that-is-much-longer-than-any-namespace-may-be"
	a, b := namespaceOf(long+"-1"), namespaceOf(long+"-2")
	assert.NotEqual(t, a, b)
	assert.Len(t, a, longestName)
	assert.Equal(t, "fault-short", namespaceOf("short"))
}
