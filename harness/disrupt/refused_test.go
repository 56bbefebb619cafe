package disrupt

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const unreachable = `Error creating: Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post "https://istiod.istio-system.svc:443/inject?timeout=10s": service "istiod" not found`

func TestPodsAreHopelessWhileTheirWebhookCannotBeCalled(t *testing.T) {
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	from := began.Add(refusalPatience)
	event := func(message string, last time.Time) corev1.Event {
		return corev1.Event{Message: message, LastTimestamp: metav1.NewTime(last)}
	}
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
		"by the webhook itself":      {[]corev1.Event{event(`Error creating: admission webhook "x" denied the request`, from)}, false},
	} {
		_, hopeless := lastRefusal(c.events, from)
		assert.Equal(t, c.hopeless, hopeless, name)
	}
	last, _ := lastRefusal([]corev1.Event{event(unreachable+" 1", from), event(unreachable+" 2", from.Add(time.Minute))}, from)
	assert.Equal(t, unreachable+" 2", last.Message)
}

// Events tell whole seconds: one that came in the second in which patience ended counts.
func TestAnEventIsNotMissedForItsWholeSeconds(t *testing.T) {
	from := time.Date(2026, 11, 25, 12, 0, 0, 999e6, time.UTC)
	_, hopeless := lastRefusal([]corev1.Event{{Message: unreachable, LastTimestamp: metav1.NewTime(from.Truncate(time.Second))}}, from)
	assert.True(t, hopeless)
}

func TestBeforeItsTimeNobodyIsAskedWhatIsRefused(t *testing.T) {
	assert.NoError(t, refusalsIn(nil, "default").hopeless(t.Context()), "without a client")
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
