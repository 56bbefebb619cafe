package cluster

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

func TestNothingButReadsIsSent(t *testing.T) {
	const (
		pods   = "/api/v1/namespaces/a/pods"
		review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	)
	for name, c := range map[string]struct {
		method, path string
		permitted    []Permission
		sent         bool
	}{
		"reading an object":                    {http.MethodGet, pods + "/x", nil, true},
		"asking a pod":                         {http.MethodGet, pods + "/http:x:9090/proxy/api/v1/query", nil, true},
		"asking a pod for a path named exec":   {http.MethodGet, pods + "/http:x:9090/proxy/exec", nil, true},
		"posting to a pod":                     {http.MethodPost, pods + "/http:x:9090/proxy/api/v1/query", nil, false},
		"making an object":                     {http.MethodPost, pods, nil, false},
		"changing an object":                   {http.MethodPatch, pods + "/x", nil, false},
		"replacing an object":                  {http.MethodPut, pods + "/x", nil, false},
		"removing an object":                   {http.MethodDelete, pods + "/x", nil, false},
		"removing all objects":                 {http.MethodDelete, pods, nil, false},
		"asking what oneself may":              {http.MethodPost, review, nil, true},
		"asking what another may":              {http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", nil, false},
		"running a program":                    {http.MethodPost, pods + "/x/exec", nil, false},
		"running a program by GET":             {http.MethodGet, pods + "/x/exec", nil, false},
		"running a program below a path":       {http.MethodGet, "/k8s/clusters/c-1" + pods + "/x/exec", nil, false},
		"running a program that is permitted":  {http.MethodPost, pods + "/x/exec", []Permission{Exec}, true},
		"forwarding a port":                    {http.MethodPost, pods + "/x/portforward", []Permission{Exec}, false},
		"forwarding a port where it may":       {http.MethodPost, pods + "/x/portforward", []Permission{PortForward}, true},
		"attaching, whatever is permitted":     {http.MethodGet, pods + "/x/attach", Permissions(), false},
		"changing one, whatever is permitted":  {http.MethodPatch, pods + "/x", Permissions(), false},
		"making an eviction, whatever may be":  {http.MethodPost, pods + "/x/eviction", Permissions(), false},
		"asking for a token, whatever may be":  {http.MethodPost, "/api/v1/namespaces/a/serviceaccounts/x/token", Permissions(), false},
		"changing the scale, whatever may be":  {http.MethodPut, "/apis/apps/v1/namespaces/a/deployments/x/scale", Permissions(), false},
		"a pod whose name is that of a verb":   {http.MethodGet, pods + "/exec", nil, true},
		"a namespace of the name of a verb":    {http.MethodGet, "/api/v1/namespaces/exec", nil, true},
		"a collection of every namespace":      {http.MethodGet, "/api/v1/pods", nil, true},
		"the log of a pod":                     {http.MethodGet, pods + "/x/log", nil, true},
		"a request with a method of its owner": {"BREW", pods, Permissions(), false},
	} {
		t.Run(name, func(t *testing.T) {
			sent := false
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent = true }))
			t.Cleanup(server.Close)
			transport, err := rest.TransportFor(ReadOnly(&rest.Config{Host: server.URL}, c.permitted...))
			require.NoError(t, err)
			request, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
			require.NoError(t, err)
			response, err := transport.RoundTrip(request)
			assert.Equal(t, c.sent, sent)
			if !c.sent {
				assert.EqualError(t, err, c.method+" "+c.path+" is not sent: this run only reads")
				return
			}
			require.NoError(t, err)
			response.Body.Close()
		})
	}
}

func TestTheConfigurationThatItIsMadeOfIsLeftAsItIs(t *testing.T) {
	config := &rest.Config{Host: "http://x"}
	ReadOnly(config)
	assert.Nil(t, config.WrapTransport)
}

func TestAPermissionIsOneOfThose(t *testing.T) {
	for _, p := range Permissions() {
		parsed, err := ParsePermission(string(p))
		assert.NoError(t, err)
		assert.Equal(t, p, parsed)
	}
	_, err := ParsePermission("everything")
	assert.EqualError(t, err, `there is no permission "everything": use exec or portforward`)
}
