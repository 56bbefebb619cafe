package disrupt

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/e2e-framework/klient"
)

// absentService is the name of a Service that nobody has.
const absentService = "mtls-scrape-no-such-istiod"

// WebhooksAstray points the webhooks in a configuration of Istio's injector, by its name,
// at a Service that is not there. The API server then refuses every pod that they select.
func WebhooksAstray(client klient.Client, configuration string) Disruption {
	ref := ObjectRef{
		GroupVersionKind: schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"},
		Name:             configuration,
	}
	return Patch(client, "webhooks-astray", "the webhooks that inject sidecars cannot be reached", ref, astray)
}

// astray is the patch for a configuration of webhooks. A merge patch has lists whole.
func astray(object map[string]any) (map[string]any, error) {
	webhooks, _, err := unstructured.NestedSlice(object, "webhooks") // a copy of its own
	if err != nil {
		return nil, err
	}
	if len(webhooks) == 0 {
		return nil, errors.New("it has no webhooks that could go astray")
	}
	for _, w := range webhooks {
		m, ok := w.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("a webhook in it is no object but %T", w)
		}
		if _, found, _ := unstructured.NestedMap(m, "clientConfig", "service"); !found {
			return nil, fmt.Errorf("the webhook %v calls no Service, so it cannot be pointed at another", m["name"])
		}
		if err := unstructured.SetNestedField(m, absentService, "clientConfig", "service", "name"); err != nil {
			return nil, err
		}
		m["failurePolicy"] = "Fail"
	}
	return map[string]any{"webhooks": webhooks}, nil
}
