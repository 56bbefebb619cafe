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
