package mesh

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"
)

func TestAControlPlaneWithACAOfItsOwnLooksForItElsewhere(t *testing.T) {
	eachControlPlane(t, func(t *testing.T, o Options) {
		parts := func(o Options) (env, volumes []string, injector string) {
			objects := rendered(t, o)
			pod := as[appsv1.Deployment](t, objects["Deployment/"+Named("istiod", o.Revision)]).Spec.Template.Spec
			for _, e := range pod.Containers[0].Env {
				env = append(env, e.Name+"="+e.Value)
			}
			for _, v := range pod.Volumes {
				if v.Secret != nil {
					volumes = append(volumes, v.Secret.SecretName)
				}
			}
			for _, m := range pod.Containers[0].VolumeMounts {
				volumes = append(volumes, m.MountPath)
			}
			return env, volumes, as[corev1.ConfigMap](t, objects["ConfigMap/"+Named("istio-sidecar-injector", o.Revision)]).Data["values"]
		}
		env, volumes, injector := parts(o)
		assert.NotContains(t, strings.Join(append(env, injector), "\n"), ownCAName)
		assert.NotContains(t, volumes, ownCAName)

		o.OwnCA = "default"
		env, volumes, injector = parts(o)
		assert.Contains(t, env, "ROOT_CA_DIR="+ownCADir)
		assert.Contains(t, env, "ISTIO_MULTIROOT_MESH=true", "all else stays")
		assert.Subset(t, volumes, []string{ownCAName, ownCADir, CASecret}, "the shared one stays where it is")
		second := o.Revision != DefaultRevision
		assert.Equal(t, second, strings.Contains(injector, `"trustBundleName": "`+ownCAName+`"`), "in place istiod publishes its root where the other was")
		assert.Equal(t, second, strings.Contains(strings.Join(env, "\n"), "PILOT_CA_CERT_CONFIGMAP="+ownCAName))
	})
}

// api is an API server with a few objects, of which it notes who was changed.
type api struct {
	mu      sync.Mutex
	objects map[string]any // by path
	changes []string
	on      func(a *api, request string) // before each answer
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := func(code int, body any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	resources := []map[string]any{{"name": "configmaps", "kind": "ConfigMap", "namespaced": true}, {"name": "secrets", "kind": "Secret", "namespaced": true}, {"name": "pods", "kind": "Pod", "namespaced": true}}
	switch {
	case r.URL.Path == "/api":
		answer(http.StatusOK, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
		return
	case r.URL.Path == "/api/v1":
		answer(http.StatusOK, map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": resources})
		return
	case !strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/"):
		answer(http.StatusOK, map[string]any{"kind": "APIGroupList"})
		return
	}
	request := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/")
	if a.on != nil {
		a.on(a, request)
	}
	object, found := a.objects[strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/")]
	if r.Method != http.MethodGet {
		a.changes = append(a.changes, request)
	}
	if !found {
		answer(http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound})
		return
	}
	answer(http.StatusOK, object)
}

func (a *api) client(t *testing.T) klient.Client {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client, err := klient.New(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	return client
}

func trust(name, root string) map[string]any {
	return map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "metadata": map[string]any{"name": name, "namespace": "apps"}, "data": map[string]any{RootCert: root}}
}

func TestTheSharedRootIsWaitedForAndBroughtToThePods(t *testing.T) {
	const own, shared = "apps/configmaps/" + ownCAName, "apps/configmaps/" + sharedTrust
	pod := map[string]any{"kind": "Pod", "apiVersion": "v1", "metadata": map[string]any{"name": "x", "namespace": "apps"}}
	asked := 0
	a := &api{
		objects: map[string]any{
			own: trust(ownCAName, "new"), shared: trust(sharedTrust, "new"), "apps/pods/x": pod,
			"apps/pods": map[string]any{"kind": "PodList", "apiVersion": "v1", "items": []any{pod}},
		},
		on: func(a *api, request string) {
			if request == "GET "+shared {
				if asked++; asked == 2 { // istiod has published it by now
					a.objects[shared] = trust(sharedTrust, "old")
				}
			}
		},
	}
	require.NoError(t, LeaveOwnCA(t.Context(), a.client(t), "apps"))
	assert.Equal(t, 2, asked)
	assert.Equal(t, []string{"PATCH apps/pods/x", "DELETE istio-system/secrets/" + ownCAName, "DELETE " + own}, a.changes)
}

func TestWhereNoControlPlaneHadACAOfItsOwnNothingIsLeft(t *testing.T) {
	a := &api{}
	require.NoError(t, LeaveOwnCA(t.Context(), a.client(t), "apps"))
	assert.Empty(t, a.changes)
}

func TestACAOfItsOwnIsMadeAnew(t *testing.T) {
	a := &api{objects: map[string]any{"istio-system/secrets": map[string]any{"kind": "Secret", "apiVersion": "v1"}, "apps/configmaps": trust(ownCAName, "")}}
	require.NoError(t, giveOwnCA(t.Context(), a.client(t), "apps"))
	assert.Equal(t, []string{
		"DELETE istio-system/secrets/" + ownCAName, "DELETE apps/configmaps/" + ownCAName, // of a killed run
		"POST istio-system/secrets", "POST apps/configmaps",
	}, a.changes)
}
