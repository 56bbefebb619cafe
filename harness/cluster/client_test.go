package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// Each list has the name of the namespace that was asked for.
func namespacedServer(t *testing.T) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, in, listed := strings.Cut(r.URL.Path, "/api/v1/namespaces/")
		switch namespace := strings.TrimSuffix(in, "/pods"); {
		case listed:
			fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"p","namespace":%q}}]}`, namespace)
		case r.URL.Path == "/api/v1/pods":
			fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","items":[]}`)
		case r.URL.Path == "/api/v1":
			fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod","namespaced":true}]}`)
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
		default:
			fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
		}
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

func TestOneClientListsSeveralNamespacesAtATime(t *testing.T) {
	c, err := NewClient(namespacedServer(t))
	require.NoError(t, err)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			namespace := fmt.Sprintf("n%d", n)
			in := c.Resources(namespace)
			for range 20 {
				c.Resources() // somebody else asks for another
				var pods corev1.PodList
				if assert.NoError(t, in.List(t.Context(), &pods)) && assert.Len(t, pods.Items, 1) {
					assert.Equal(t, namespace, pods.Items[0].Namespace)
				}
			}
		})
	}
	all.Wait()
	var pods corev1.PodList
	require.NoError(t, c.Resources().List(t.Context(), &pods))
	assert.Empty(t, pods.Items, "without a namespace all are asked for")
	assert.Panics(t, func() { c.Resources("a", "b") })
}
