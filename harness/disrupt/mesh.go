package disrupt

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// PermissiveMesh changes the policy of the whole mesh.
func PermissiveMesh(client klient.Client) Disruption {
	ref := ObjectRef{
		GroupVersionKind: schema.GroupVersionKind{Group: "security.istio.io", Version: "v1", Kind: "PeerAuthentication"},
		Namespace:        mesh.RootNamespace, Name: "default",
	}
	return Patch(client, "mesh-permissive", "the mesh is made PERMISSIVE", ref, func(map[string]any) (map[string]any, error) {
		return map[string]any{"spec": map[string]any{"mtls": map[string]any{"mode": "PERMISSIVE"}}}, nil
	})
}

// WithoutWebhooks empties a configuration of Istio's injector, by its name.
func WithoutWebhooks(client klient.Client, configuration string) Disruption {
	ref := ObjectRef{
		GroupVersionKind: schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"},
		Name:             configuration,
	}
	return Patch(client, "webhooks-removed", "no webhook injects sidecars", ref, func(map[string]any) (map[string]any, error) {
		return map[string]any{"webhooks": []any{}}, nil
	})
}
