package disrupt

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const unreachable = `Error creating: Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post "https://istiod.istio-system.svc:443/inject?timeout=10s": service "istiod" not found`

func TestPodsAreHopelessWhileTheirWebhookCannotBeCalled(t *testing.T) {
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	from := began.Add(refusalPatience)
	event := func(message string, last time.Time) corev1.Event {
		return corev1.Event{Message: message, LastTimestamp: metav1.NewTime(last), InvolvedObject: corev1.ObjectReference{Name: "shop-5c9"}}
	}
	other, set := event(unreachable, from), event(unreachable, from)
	other.InvolvedObject.Name, set.InvolvedObject.Name = "shopping-5c9", "shop"
	series := event(unreachable, began)
	series.Series = &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(from)}
	for name, c := range map[string]struct {
		events   []corev1.Event
		hopeless bool
	}{
		"nothing is refused":         {nil, false},
		"at once, and then no more":  {[]corev1.Event{event(unreachable, began)}, false},
		"still, when patience ends":  {[]corev1.Event{event(unreachable, from)}, true},
		"still, told as a series":    {[]corev1.Event{series}, true},
		"in an earlier upgrade":      {[]corev1.Event{event(unreachable, began.Add(-time.Hour))}, false},
		"for a quota, which may end": {[]corev1.Event{event(`Error creating: pods "x" is forbidden: exceeded quota`, from)}, false},
		"of a StatefulSet":           {[]corev1.Event{set}, true},
		"of another workload":        {[]corev1.Event{other}, false},
		"by the webhook itself":      {[]corev1.Event{event(`Error creating: admission webhook "x" denied the request`, from)}, false},
	} {
		_, hopeless := lastRefusal(c.events, "shop", from)
		assert.Equal(t, c.hopeless, hopeless, name)
	}
	last, _ := lastRefusal([]corev1.Event{event(unreachable+" 1", from), event(unreachable+" 2", from.Add(time.Minute))}, "shop", from)
	assert.Equal(t, unreachable+" 2", last.Message)
}

// Events tell whole seconds: one that came in the second in which patience ended counts.
func TestAnEventIsNotMissedForItsWholeSeconds(t *testing.T) {
	from := time.Date(2026, 11, 25, 12, 0, 0, 999e6, time.UTC)
	_, hopeless := lastRefusal([]corev1.Event{{Message: unreachable, LastTimestamp: metav1.NewTime(from.Truncate(time.Second))}}, "", from)
	assert.True(t, hopeless)
}

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
// its time-out.
func TestAWaitForPodsThatCannotComeEnds(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case "/api/v1":
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "events", "kind": "Event", "namespaced": true}]}`)
		case "/api/v1/namespaces/apps/events":
			asked = append(asked, r.URL.Query().Get("fieldSelector"))
			fmt.Fprintf(w, `{"kind": "EventList", "apiVersion": "v1", "items": [{"metadata": {"name": "e"}, "reason": "FailedCreate", "message": %q,
				"lastTimestamp": %q, "involvedObject": {"kind": "ReplicaSet", "namespace": "apps", "name": "shop-5c9"}}]}`, unreachable, time.Now().UTC().Format(time.RFC3339))
		default:
			fmt.Fprint(w, `{"kind": "APIGroupList"}`)
		}
	}))
	t.Cleanup(server.Close)
	client, err := klient.New(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	r := refusalsOf(client, "apps", "shop")
	r.began = r.began.Add(-time.Minute)
	err = wait.For(t.Context(), "every replica of apps/shop to be ready", func(ctx context.Context) (bool, string, error) {
		return false, "1 of 2 ready", r.hopeless(ctx)
	})
	var ended *wait.Error
	require.ErrorAs(t, err, &ended)
	assert.Equal(t, 1, ended.Attempts)
	assert.Contains(t, err.Error(), "no pod is created for the ReplicaSet apps/shop-5c9: "+unreachable)
	assert.Contains(t, err.Error(), "last state: 1 of 2 ready")
	assert.Equal(t, []string{"reason=FailedCreate"}, asked)
}
