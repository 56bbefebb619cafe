package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
)

// webhookReady reports whether every injection webhook has its CA.
func webhookReady(ctx context.Context, client klient.Client) (bool, string, error) {
	var hooks admissionv1.MutatingWebhookConfigurationList
	if err := client.Resources().List(ctx, &hooks, resources.WithLabelSelector("app=sidecar-injector")); err != nil {
		return false, "istiod is ready", err
	}
	for _, h := range hooks.Items {
		for _, w := range h.Webhooks {
			if len(w.ClientConfig.CABundle) == 0 {
				return false, "istiod is ready, the injection webhook " + w.Name + " has no CA yet", nil
			}
		}
	}
	return len(hooks.Items) > 0, fmt.Sprintf("istiod is ready, %d injection webhooks", len(hooks.Items)), nil
}

// podStates says in one line how the pods of a selector are doing.
func podStates(ctx context.Context, client klient.Client, namespace, selector string) (string, error) {
	var pods corev1.PodList
	if err := client.Resources(namespace).List(ctx, &pods, resources.WithLabelSelector(selector)); err != nil {
		return "", err
	}
	if len(pods.Items) == 0 {
		return "no pod with " + selector + " in " + namespace, nil
	}
	return describe(pods.Items), nil
}

func describe(pods []corev1.Pod) string {
	var states []string
	for _, p := range pods {
		state := string(p.Status.Phase)
		for _, s := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if w := s.State.Waiting; w != nil && w.Reason != "PodInitializing" {
				state += strings.TrimRight(fmt.Sprintf(", %s: %s %s", s.Name, w.Reason, w.Message), " ")
			}
		}
		states = append(states, p.Name+" "+state)
	}
	return strings.Join(states, "; ")
}

// accessLogFormat is the fields as the JSON text that Istio's mesh configuration wants.
func accessLogFormat() string {
	b, err := json.Marshal(AccessLogFields)
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}

// TLSCounters selects the counters of the inbound listener's TLS: handshakes, and
// handshakes refused by reason.
const TLSCounters = `listener\.0\.0\.0\.0_15006\.ssl\.(handshake|connection_error|fail_verify_.*|no_certificate)`
