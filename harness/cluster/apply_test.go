package cluster

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"
)

// apiServer is as much of an API server as applying a ServiceMonitor needs. It
// knows the kind from the given look at it on, and then answers with status.
type apiServer struct {
	knownFrom int32
	status    int
	looks     atomic.Int32
	patches   atomic.Int32
	owner     atomic.Value
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	version := metav1.GroupVersionForDiscovery{GroupVersion: "monitoring.coreos.com/v1", Version: "v1"}
	group := metav1.APIGroup{Name: "monitoring.coreos.com", Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}
	switch {
	case r.Method == http.MethodPatch:
		a.patches.Add(1)
		a.owner.Store(r.URL.Query().Get("fieldManager"))
		if a.status == http.StatusOK {
			answer(a.status, serviceMonitor().Object)
			return
		}
		answer(a.status, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(a.status), Reason: reasons[a.status], Message: "this is why"})
	case r.URL.Path == "/api":
		answer(http.StatusOK, metav1.APIVersions{})
	case r.URL.Path == "/apis" && a.looks.Add(1) < a.knownFrom:
		answer(http.StatusOK, metav1.APIGroupList{})
	case r.URL.Path == "/apis":
		answer(http.StatusOK, metav1.APIGroupList{Groups: []metav1.APIGroup{group}})
	case a.looks.Add(1) < a.knownFrom:
		answer(http.StatusNotFound, notFound)
	case r.URL.Path == "/apis/monitoring.coreos.com":
		answer(http.StatusOK, group)
	case r.URL.Path == "/apis/monitoring.coreos.com/v1":
		answer(http.StatusOK, metav1.APIResourceList{GroupVersion: version.GroupVersion, APIResources: []metav1.APIResource{{Name: "servicemonitors", Kind: "ServiceMonitor", Namespaced: true}}})
	default:
		answer(http.StatusNotFound, notFound)
	}
}

var notFound = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound}

var reasons = map[int]metav1.StatusReason{
	http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
}

func serviceMonitor() *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor"}}
	u.SetName("productpage")
	u.SetNamespace("default")
	return u
}

func clientOf(t *testing.T, a *apiServer) klient.Client {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client, err := klient.New(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	return client
}

func TestApplyIsDoneUnderTheProjectsName(t *testing.T) {
	a := &apiServer{status: http.StatusOK}
	u := serviceMonitor()
	require.NoError(t, Apply(t.Context(), clientOf(t, a), u))
	assert.Equal(t, FieldOwner, a.owner.Load())
	assert.Equal(t, serviceMonitor(), u, "the object can be applied again")
}

// Its definition was applied a moment ago.
func TestApplyWaitsForAKindThatIsNotKnownYet(t *testing.T) {
	a := &apiServer{status: http.StatusOK, knownFrom: 4}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, Apply(ctx, clientOf(t, a), serviceMonitor()))
	assert.EqualValues(t, 1, a.patches.Load())
}

func TestApplyGivesUpAtOnceWhereTryingIsPointless(t *testing.T) {
	a := &apiServer{status: http.StatusForbidden}
	start := time.Now()
	err := Apply(t.Context(), clientOf(t, a), serviceMonitor())
	require.ErrorContains(t, err, "applying ServiceMonitor default/productpage")
	require.ErrorContains(t, err, "this is why")
	assert.EqualValues(t, 1, a.patches.Load())
	assert.Less(t, time.Since(start), 10*time.Second)
}
