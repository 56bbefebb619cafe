package disrupt

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// refusalPatience is how long the API server may refuse pods for a webhook that cannot
// be called until nothing is hoped for any more. One that is being replaced is reached
// again within a second or two. Controllers try again after 5 ms and then after twice as
// long each time (client-go's DefaultTypedControllerRateLimiter), so the try that decides
// comes 10 s after the first.
const refusalPatience = 8 * time.Second

// refusals are what the API server says against pods that a wait is for.
type refusals struct {
	client    klient.Client
	namespace string
	workload  string    // a Deployment or a StatefulSet
	began     time.Time // the wait
}

func refusalsOf(client klient.Client, namespace, workload string) refusals {
	return refusals{client: client, namespace: namespace, workload: workload, began: time.Now()}
}

// setOf is the name of the StatefulSet of a pod, which has its ordinal behind it.
func setOf(pod string) string { return pod[:max(0, strings.LastIndex(pod, "-"))] }

// hopeless is nil as long as the pods may still come, and else the error that ends the
// wait. It costs nothing before its time has come. That events cannot be read is no
// reason to end a wait.
func (r refusals) hopeless(ctx context.Context) error {
	if time.Since(r.began) < refusalPatience {
		return nil
	}
	var events corev1.EventList
	if err := r.client.Resources(r.namespace).List(ctx, &events, resources.WithFieldSelector("reason=FailedCreate")); err != nil {
		return nil //nolint:nilerr // the wait has a time-out
	}
	e, ok := lastRefusal(events.Items, r.workload, r.began.Add(refusalPatience))
	if !ok {
		return nil
	}
	return wait.Stop(fmt.Errorf("no pod is created for the %s %s/%s: %s (repair the webhook configuration that calls it, or what it calls)",
		e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Message))
}

// uncallable is what the API server says of a webhook that it could not call, in
// apiserver/pkg/admission/plugin/webhook/errors. What a webhook, a quota or a policy
// itself refuses may be over when an old pod is gone; this is not.
const uncallable = "failed calling webhook"

// lastRefusal is the last event at a time or later that tells of pods of a workload which
// were refused for a webhook that could not be called. What makes the pods of a
// Deployment has a hash behind its name.
func lastRefusal(events []corev1.Event, workload string, from time.Time) (last corev1.Event, found bool) {
	from = from.Truncate(time.Second) // as events tell it
	for _, e := range events {
		at, maker := lastSeen(e), e.InvolvedObject.Name
		if maker != workload && !strings.HasPrefix(maker, workload+"-") {
			continue
		}
		if strings.Contains(e.Message, uncallable) && !at.Before(from) && (!found || at.After(lastSeen(last))) {
			last, found = e, true
		}
	}
	return last, found
}

// lastSeen is when an event happened last, by whichever way of telling it.
func lastSeen(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}
