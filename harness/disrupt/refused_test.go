package disrupt

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const unreachable = `Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post "https://istiod.istio-system.svc:443/inject?timeout=10s": service "istiod" not found`

func TestBeforeItsTimeNobodyIsAskedWhatIsRefused(t *testing.T) {
	assert.NoError(t, refusalsOf(nil, "default", "shop").hopeless(t.Context()), "without a client")
}

func TestTheSetOfAPodIsItsNameWithoutTheOrdinal(t *testing.T) {
	assert.Equal(t, "prometheus-default", setOf("prometheus-default-0"))
	assert.Empty(t, setOf("alone"))
}

func TestWebhooksGoAstrayAndBack(t *testing.T) {
	webhook := func(service, policy string) map[string]any {
		return map[string]any{
			"name": "rev.namespace.sidecar-injector.istio.io", "failurePolicy": policy,
			"clientConfig": map[string]any{"caBundle": "Zm9v", "service": map[string]any{"name": service, "namespace": "istio-system", "path": "/inject"}},
		}
	}
	object := map[string]any{"webhooks": []any{webhook("istiod", "Ignore"), webhook("istiod", "Fail")}}
	patch, err := astray(object)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"webhooks": []any{webhook(absentService, "Fail"), webhook(absentService, "Fail")}}, patch, "all but where they are is kept")
	assert.Equal(t, map[string]any{"webhooks": []any{webhook("istiod", "Ignore"), webhook("istiod", "Fail")}}, reverse(object, patch))

	_, err = astray(map[string]any{})
	require.ErrorContains(t, err, "no webhooks that could go astray")
	_, err = astray(map[string]any{"webhooks": []any{map[string]any{"name": "x", "clientConfig": map[string]any{"url": "https://elsewhere"}}}})
	assert.ErrorContains(t, err, "the webhook x calls no Service")
}

// A wait for a pod that cannot come ends with what the API server says of it, long before
// its time-out. What is refused for another reason may come yet.
func TestAWaitForPodsThatCannotComeEnds(t *testing.T) {
	for name, c := range map[string]struct {
		workload string
		refusal  string // empty if the pod is taken
		ends     bool
	}{
		"of a Deployment":            {"deployments", unreachable, true},
		"of a StatefulSet":           {"statefulsets", unreachable, true},
		"of nothing that is there":   {"", unreachable, false},
		"that is taken by now":       {"deployments", "", false},
		"for a quota, which may end": {"deployments", `pods "x" is forbidden: exceeded quota`, false},
		"by the webhook itself":      {"deployments", `admission webhook "x" denied the request`, false},
	} {
		t.Run(name, func(t *testing.T) {
			api := &podsRefused{workload: c.workload, refusal: c.refusal}
			server := httptest.NewServer(api)
			t.Cleanup(server.Close)
			client, err := klient.New(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
			require.NoError(t, err)
			r := refusalsOf(client, "apps", "shop")
			r.next = time.Now()
			err = wait.For(t.Context(), "every replica of apps/shop to be ready", func(ctx context.Context) (bool, string, error) {
				return false, "1 of 2 ready", r.hopeless(ctx)
			}, wait.Timeout(300*time.Millisecond), wait.Interval(20*time.Millisecond))
			var ended *wait.Error
			require.ErrorAs(t, err, &ended)
			assert.Equal(t, c.ends, ended.Attempts == 1, err.Error())
			if c.workload != "" {
				assert.Equal(t, []string{"dryRun=All app=shop"}, api.asked, "once in two seconds, and nothing is stored")
			}
			if c.ends {
				assert.Contains(t, err.Error(), "no pod can be created for apps/shop: "+unreachable)
				assert.Contains(t, err.Error(), "last state: 1 of 2 ready")
			}
		})
	}
}

// podsRefused is an API server with one workload that may get no pods.
type podsRefused struct {
	workload, refusal string
	asked             []string
}

func (p *podsRefused) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/api":
		fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
	case "/apis":
		fmt.Fprint(w, `{"kind": "APIGroupList", "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}]}`)
	case "/api/v1":
		fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "pods", "kind": "Pod", "namespaced": true}]}`)
	case "/apis/apps/v1":
		fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [
			{"name": "deployments", "kind": "Deployment", "namespaced": true}, {"name": "statefulsets", "kind": "StatefulSet", "namespaced": true}]}`)
	case "/apis/apps/v1/namespaces/apps/" + p.workload + "/shop":
		fmt.Fprint(w, `{"apiVersion": "apps/v1", "spec": {"template": {"metadata": {"labels": {"app": "shop"}}}}}`)
	case "/api/v1/namespaces/apps/pods":
		var pod corev1.Pod
		if err := json.NewDecoder(r.Body).Decode(&pod); err != nil {
			panic(err)
		}
		p.asked = append(p.asked, "dryRun="+r.URL.Query().Get("dryRun")+" app="+pod.Labels["app"])
		if p.refusal != "" {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": %q}`, p.refusal)
			return
		}
		fmt.Fprint(w, `{"kind": "Pod", "apiVersion": "v1"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`)
	}
}
