package evidence

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

func TestSecretsAreNoEvidence(t *testing.T) {
	for _, r := range resources {
		assert.NotContains(t, []string{"secrets", "configmaps", "serviceaccounts/token"}, r.Resource)
	}
}

func TestWhatAPersonNeedsIsKept(t *testing.T) {
	var kept []string
	for _, r := range resources {
		kept = append(kept, r.Resource)
	}
	for _, needed := range []string{"pods", "events", "services", "endpointslices", "prometheuses", "servicemonitors", "peerauthentications"} {
		assert.Contains(t, kept, needed)
	}
}

func TestHideValues(t *testing.T) {
	for name, c := range map[string]struct{ was, is string }{
		"of containers of every sort": {
			`spec: {initContainers: [{env: [{name: A, value: secret}]}], containers: [{env: [{name: B, value: secret}]}], ephemeralContainers: [{env: [{name: C, value: secret}]}]}`,
			`spec: {initContainers: [{env: [{name: A, value: (not kept)}]}], containers: [{env: [{name: B, value: (not kept)}]}], ephemeralContainers: [{env: [{name: C, value: (not kept)}]}]}`,
		},
		"at any depth": {
			`spec: {template: {spec: {containers: [{env: [{name: A, value: secret}]}]}}}`,
			`spec: {template: {spec: {containers: [{env: [{name: A, value: (not kept)}]}]}}}`,
		},
		"but not where a value comes from": {
			`env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]`,
			`env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]`,
		},
		"but not other values": {
			`tolerations: [{key: a, value: b}]`,
			`tolerations: [{key: a, value: b}]`,
		},
		"whatever they are": {
			`env: [{name: A, value: 5}, {name: B, value: ""}, word, {name: C}]`,
			`env: [{name: A, value: (not kept)}, {name: B, value: (not kept)}, word, {name: C}]`,
		},
		"where env is something else": {`env: production`, `env: production`},
	} {
		t.Run(name, func(t *testing.T) {
			var was, is map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(c.was), &was))
			require.NoError(t, yaml.Unmarshal([]byte(c.is), &is))
			hideValues(was)
			assert.Equal(t, is, was)
		})
	}
	u := &unstructured.Unstructured{Object: map[string]any{"env": []any{map[string]any{"name": "A", "value": "secret"}}}}
	hideValues(u)
	assert.NotContains(t, u.Object["env"].([]any)[0], "secret")
	assert.NotPanics(t, func() { hideValues(nil); hideValues("word") })
}

// apiServer answers lists and logs, and remembers what it was asked for.
type apiServer struct {
	objects map[string][]any  // by resource; one that is absent is not known
	status  map[string]int    // by resource or container, if it is not to succeed
	logs    map[string]string // by container
	mu      sync.Mutex
	asked   []string
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, r.URL.Path)
	a.mu.Unlock()
	refuse := func(status int, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(status), Message: message, Reason: map[int]metav1.StatusReason{403: metav1.StatusReasonForbidden, 404: metav1.StatusReasonNotFound, 400: metav1.StatusReasonBadRequest}[status]})
	}
	if container := r.URL.Query().Get("container"); container != "" {
		switch a.status[container] {
		case 0:
			_, _ = w.Write([]byte(a.logs[container]))
		case http.StatusBadRequest:
			refuse(http.StatusBadRequest, `container "`+container+`" in pod "p" is waiting to start: PodInitializing`)
		default:
			refuse(a.status[container], "the kubelet does not answer for "+container)
		}
		return
	}
	resource := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	items, known := a.objects[resource]
	switch {
	case a.status[resource] != 0:
		refuse(a.status[resource], resource+" is forbidden")
	case !known:
		refuse(http.StatusNotFound, "the server could not find the requested resource")
	default:
		w.Header().Set("Content-Type", "application/json")
		kind := "List"
		if resource == "pods" { // which is also read by its type
			kind = "PodList"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": "v1", "items": items})
	}
}

func pod(name string, annotations map[string]any, containers ...string) map[string]any {
	var list []any
	for _, c := range containers {
		list = append(list, map[string]any{"name": c, "env": []any{map[string]any{"name": "PASSWORD", "value": "hunter2"}}})
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "namespace": "default", "annotations": annotations, "managedFields": []any{map[string]any{"manager": "somebody"}}},
		"spec":     map[string]any{"containers": list, "initContainers": []any{map[string]any{"name": "istio-init"}}},
	}
}

// everything has all that is collected, with one pod.
func everything() *apiServer {
	a := &apiServer{objects: map[string][]any{}, status: map[string]int{}, logs: map[string]string{"istio-init": "init\n", "prometheus": "level=info\n", "istio-proxy": "{}\n"}}
	for _, r := range resources {
		a.objects[r.Resource] = []any{}
	}
	a.objects["pods"] = []any{pod("p", map[string]any{"kept": "yes", "kubectl.kubernetes.io/last-applied-configuration": `{"env":[{"name":"PASSWORD","value":"hunter2"}]}`}, "prometheus", "istio-proxy")}
	return a
}

func collect(t *testing.T, a *apiServer) (dir string, err error) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	dir = filepath.Join(t.TempDir(), "evidence")
	return dir, Collect(t.Context(), &rest.Config{Host: server.URL, QPS: 1000, Burst: 1000}, dir, "")
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(b)
}

func TestCollectWritesAFileForEveryKindAndEveryLog(t *testing.T) {
	dir, err := collect(t, everything())
	require.NoError(t, err)
	for _, r := range resources {
		assert.FileExists(t, filepath.Join(dir, "objects", r.Resource+".yaml"))
	}
	assert.Equal(t, "level=info\n", content(t, dir, "logs", "default_p_prometheus.log"))
	assert.Equal(t, "init\n", content(t, dir, "logs", "default_p_istio-init.log"))
}

func TestNothingSecretIsAskedForOrKept(t *testing.T) {
	a := everything()
	dir, err := collect(t, a)
	require.NoError(t, err)
	for _, path := range a.asked {
		assert.NotContains(t, path, "secrets")
		assert.NotContains(t, path, "token")
	}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			assert.NotContains(t, content(t, p), "hunter2", p)
		}
		return err
	}))
	pods := content(t, dir, "objects", "pods.yaml")
	assert.Contains(t, pods, "kept: \"yes\"", "the other annotations stay")
	assert.NotContains(t, pods, "managedFields")
}

func TestAKindThatTheClusterDoesNotKnowIsNoFailure(t *testing.T) {
	a := everything()
	delete(a.objects, "servicemonitors") // the run failed before they were installed
	dir, err := collect(t, a)
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(dir, "objects", "servicemonitors.yaml"))
}

func TestWhatCannotBeCollectedIsNamedAndTheRestIsKept(t *testing.T) {
	a := everything()
	a.status["nodes"], a.status["services"] = http.StatusForbidden, http.StatusForbidden
	a.status["prometheus"], a.status["istio-proxy"] = http.StatusInternalServerError, http.StatusInternalServerError
	dir, err := collect(t, a)
	for _, named := range []string{"listing nodes", "listing services", "default/p, container prometheus", "default/p, container istio-proxy"} {
		require.ErrorContains(t, err, named)
	}
	assert.FileExists(t, filepath.Join(dir, "objects", "pods.yaml"))
	assert.FileExists(t, filepath.Join(dir, "logs", "default_p_istio-init.log"))
}

func TestAContainerThatHasNotStartedHasNoLog(t *testing.T) {
	a := everything()
	a.status["prometheus"] = http.StatusBadRequest
	dir, err := collect(t, a)
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(dir, "logs", "default_p_prometheus.log"))
}

func TestALogIsBounded(t *testing.T) {
	a := everything()
	a.logs["prometheus"] = strings.Repeat("x", logBytes+1000)
	dir, err := collect(t, a)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "logs", "default_p_prometheus.log"))
	require.NoError(t, err)
	assert.EqualValues(t, logBytes, info.Size())
}

func TestAFolderThatCannotBeMadeIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	err := Collect(t.Context(), &rest.Config{Host: "http://127.0.0.1:1"}, file, "")
	assert.ErrorContains(t, err, "making room for evidence")
}

// In a cluster that is not ours, nobody else's objects and logs are any of our business.
func TestOfOneNamespaceNothingElseIsAskedFor(t *testing.T) {
	a := everything()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	dir := filepath.Join(t.TempDir(), "evidence")
	require.NoError(t, Collect(t.Context(), &rest.Config{Host: server.URL, QPS: 1000, Burst: 1000}, dir, "own"))
	require.NotEmpty(t, a.asked)
	for _, path := range a.asked {
		assert.True(t, strings.Contains(path, "/namespaces/own/") || strings.Contains(path, "/namespaces/default/pods/p/log"), "%s (the fake's pod says that it is of default)", path)
	}
	assert.FileExists(t, filepath.Join(dir, "objects", "pods.yaml"))
	assert.NoFileExists(t, filepath.Join(dir, "objects", "nodes.yaml"))
}
