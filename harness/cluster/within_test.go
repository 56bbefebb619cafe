package cluster

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

func TestNothingIsChangedOutsideOfItsNamespaces(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		sent         bool
	}{
		"reading anywhere":                     {http.MethodGet, "/api/v1/namespaces/other/pods/x", true},
		"making the namespace":                 {http.MethodPost, "/api/v1/namespaces", true},
		"removing the namespace":               {http.MethodDelete, "/api/v1/namespaces/own", true},
		"removing another":                     {http.MethodDelete, "/api/v1/namespaces/other", false},
		"labelling another":                    {http.MethodPatch, "/api/v1/namespaces/other", false},
		"making a pod":                         {http.MethodPost, "/api/v1/namespaces/own/pods", true},
		"making a pod in another":              {http.MethodPost, "/api/v1/namespaces/other/pods", false},
		"changing a Deployment":                {http.MethodPatch, "/apis/apps/v1/namespaces/own/deployments/x", true},
		"changing one in another":              {http.MethodPatch, "/apis/apps/v1/namespaces/other/deployments/x", false},
		"the same behind a path":               {http.MethodPatch, "/k8s/clusters/c-1/apis/apps/v1/namespaces/own/deployments/x", true},
		"one in another behind a path":         {http.MethodPatch, "/k8s/clusters/c-1/apis/apps/v1/namespaces/other/deployments/x", false},
		"a path of a pod in another":           {http.MethodPost, "/api/v1/namespaces/other/pods/x/proxy/api/v1/namespaces/own", false},
		"making one by way of a pod":           {http.MethodPost, "/api/v1/namespaces/other/pods/x/proxy/api/v1/namespaces", false},
		"changing what has no namespace":       {http.MethodPatch, "/apis/rbac.authorization.k8s.io/v1/clusterroles/x", false},
		"removing all of what has none":        {http.MethodDelete, "/apis/rbac.authorization.k8s.io/v1/clusterroles", false},
		"running a program":                    {http.MethodGet, "/api/v1/namespaces/own/pods/x/exec", true},
		"running a program in another":         {http.MethodGet, "/api/v1/namespaces/other/pods/x/exec", false},
		"asking what oneself may":              {http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", true},
		"asking what Prometheus may":           {http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", true},
		"asking for a token of another's":      {http.MethodPost, "/api/v1/namespaces/other/serviceaccounts/x/token", false},
		"a namespace that begins like its":     {http.MethodDelete, "/api/v1/namespaces/own-2", false},
		"a namespace named as a collection is": {http.MethodDelete, "/api/v1/namespaces/namespaces", false},
	} {
		t.Run(name, func(t *testing.T) {
			sent := false
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent = true }))
			t.Cleanup(server.Close)
			transport, err := rest.TransportFor(Within(&rest.Config{Host: server.URL}, "own"))
			require.NoError(t, err)
			request, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
			require.NoError(t, err)
			response, err := transport.RoundTrip(request)
			assert.Equal(t, c.sent, sent)
			if !c.sent {
				assert.EqualError(t, err, c.method+" "+c.path+" is not sent: this run changes nothing outside of own")
				return
			}
			require.NoError(t, err)
			response.Body.Close()
		})
	}
}

func TestWhatIsInNoNamespaceIsChangedOnlyByItsOwner(t *testing.T) {
	role := OwnedPath("rbac.authorization.k8s.io", "v1", "clusterroles", "own-role")
	for name, c := range map[string]struct {
		method, path string
		sent         bool
	}{
		"applying its role":                {http.MethodPatch, role, true},
		"removing its role":                {http.MethodDelete, role, true},
		"the same behind a path":           {http.MethodPatch, "/k8s/clusters/c-1" + role, true},
		"another role":                     {http.MethodPatch, "/apis/rbac.authorization.k8s.io/v1/clusterroles/other", false},
		"a role that begins like it":       {http.MethodDelete, role + "-2", false},
		"all roles":                        {http.MethodDelete, "/apis/rbac.authorization.k8s.io/v1/clusterroles", false},
		"making a role by any name":        {http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterroles", false},
		"a path of a pod that ends so":     {http.MethodPatch, "/api/v1/namespaces/other/pods/x/proxy" + role, false},
		"a path of a node that ends so":    {http.MethodPatch, "/api/v1/nodes/x/proxy" + role, false},
		"applying its namespace":           {http.MethodPatch, "/api/v1/namespaces/own", true},
		"making a Job in its namespace":    {http.MethodPatch, "/apis/batch/v1/namespaces/own/jobs/x", true},
		"making a Job in another":          {http.MethodPatch, "/apis/batch/v1/namespaces/other/jobs/x", false},
		"reading what is in another":       {http.MethodGet, "/api/v1/namespaces/other/pods", true},
		"running a program in another pod": {http.MethodGet, "/api/v1/namespaces/other/pods/x/exec", false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.sent, arrives(t, Owning(&rest.Config{}, "own", role), c.method, c.path))
		})
	}
}

// arrives reports whether a request gets past a guard.
func arrives(t *testing.T, guarded *rest.Config, method, path string) (arrived bool) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived = true }))
	defer server.Close()
	transport, err := rest.TransportFor(guarded)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	if err == nil {
		response.Body.Close()
	}
	return arrived
}
