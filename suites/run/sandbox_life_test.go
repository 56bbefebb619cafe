package run

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// foreign is as much of an API server as a sandbox is made and removed by. It keeps
// namespaces and Leases, and gives empty lists of all else but what was left in it.
type foreign struct {
	mu      sync.Mutex
	objects map[string]map[string]any // by path
	roles   []any                     // the ClusterRoles that it lists
	log     []string                  // what changed something, and what read pods
}

func (f *foreign) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, parts := r.URL.Path, strings.Split(r.URL.Path, "/")
	kept := strings.HasPrefix(path, "/api/v1/namespaces") && len(parts) <= 5 || strings.Contains(path, "/leases")
	named := kept && (len(parts) == 5 || strings.Contains(path, "/leases/"))
	if r.Method != http.MethodGet || strings.HasSuffix(path, "/pods") && strings.Contains(path, sandbox.Namespace) {
		f.log = append(f.log, r.Method+" "+parts[len(parts)-1])
	}
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch {
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		var o map[string]any
		body, _ := io.ReadAll(r.Body)
		if json.Unmarshal(body, &o) != nil {
			answer(http.StatusBadRequest, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": string(body)})
			return
		}
		metadata := o["metadata"].(map[string]any)
		metadata["uid"] = "uid-" + metadata["name"].(string)
		if r.Method == http.MethodPost {
			path += "/" + metadata["name"].(string)
		}
		f.objects[path] = o
		answer(http.StatusCreated, o)
	case named && f.objects[path] == nil, strings.HasPrefix(path, "/apis/extensions"):
		answer(http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": path})
	case r.Method == http.MethodDelete:
		delete(f.objects, path)
		answer(http.StatusOK, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	case named:
		answer(http.StatusOK, f.objects[path])
	case len(parts) == 4 && parts[1] == "apis":
		answer(http.StatusOK, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": parts[2] + "/" + parts[3], "resources": []any{}})
	default:
		list := map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{}, "items": []any{}}
		if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
			list["kind"], list["apiVersion"] = "PartialObjectMetadataList", "meta.k8s.io/v1"
		} else if strings.HasSuffix(path, "/pods") {
			list["kind"] = "PodList"
		}
		if strings.HasSuffix(path, "/clusterroles") {
			list["items"] = f.roles
		}
		answer(http.StatusOK, list)
	}
}

// claimed is a run that has made its namespace.
func claimed(t *testing.T) (*Run, *foreign) {
	t.Helper()
	f := &foreign{objects: map[string]map[string]any{}, roles: []any{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	r, _ := testRun(t)
	r.Mode = Sandbox
	var err error
	r.Sandbox, err = sandbox.Open(sandbox.Options{
		Config: &rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, RunID: r.ID,
	})
	require.NoError(t, err)
	_, err = r.Sandbox.Claim(t.Context(), func(err error) { t.Error(err) })
	require.NoError(t, err)
	require.Contains(t, f.objects, "/api/v1/namespaces/"+sandbox.Namespace)
	f.log = nil
	return r, f
}

func TestASandboxIsRemovedHoweverTheRunEnds(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*Run, *foreign)
		phases  []string
		code    reports.ExitCode
	}{
		"well":        {func(r *Run, _ *foreign) { r.Add(check("a", reports.Pass, reports.Core)) }, []string{"clean-up"}, reports.ExitConformant},
		"with a fail": {func(r *Run, _ *foreign) { r.Add(check("a", reports.Fail, reports.Core)) }, []string{"evidence", "clean-up"}, reports.ExitCheckFailed},
		"interrupted": {func(r *Run, _ *foreign) { r.cancel() }, []string{"evidence", "clean-up"}, reports.ExitInterrupted},
		"with something left": {func(r *Run, f *foreign) {
			r.Add(check("a", reports.Pass, reports.Core))
			f.roles = append(f.roles, map[string]any{"metadata": map[string]any{"name": "left", "uid": "7", "labels": map[string]any{sandbox.ManagedByLabel: sandbox.ManagedBy}}})
		}, []string{"clean-up"}, reports.ExitLeftovers},
	} {
		t.Run(name, func(t *testing.T) {
			r, f := claimed(t)
			c.happens(r, f)
			err := r.finish()
			assert.Equal(t, c.code == reports.ExitLeftovers, err != nil, "%v", err)
			assert.Equal(t, c.phases, phaseNames(r))
			assert.NotContains(t, f.objects, "/api/v1/namespaces/"+sandbox.Namespace)
			assert.Equal(t, "DELETE "+sandbox.Namespace, f.log[len(f.log)-1], "after the evidence")
			assert.Equal(t, len(c.phases) == 2, len(f.log) > 1, "which is of the namespace")
			assert.Equal(t, int(c.code), r.conclude())
			if err != nil {
				assert.Equal(t, []string{"clusterrole left"}, r.Report.Leftovers)
			}
		})
	}
}

func TestASandboxThatIsKeptIsHeldByNobody(t *testing.T) {
	r, f := claimed(t)
	r.Keep = true
	r.Add(check("a", reports.Pass, reports.Core))
	require.NoError(t, r.finish())
	assert.Contains(t, f.objects, "/api/v1/namespaces/"+sandbox.Namespace)
	assert.Equal(t, []string{"PUT mtls-scrape-run"}, f.log)
	removed, err := sandbox.Clean(t.Context(), r.Sandbox.Config)
	require.NoError(t, err, "so that clean need not wait")
	assert.Empty(t, removed, "the fake lists none")
}
