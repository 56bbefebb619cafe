package disrupt

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
)

// temporaryLabel marks an object that is there only while a disruption lasts.
const temporaryLabel = "mtls-scrape-conformance/temporary"

// temporaryKinds are the kinds of which objects may be there for a time.
var temporaryKinds = []schema.GroupVersionKind{
	{Group: "security.istio.io", Version: "v1", Kind: "AuthorizationPolicy"},
	{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"},
}

// Object adds an object for a time. Its kind must be one of those that Restore
// looks for; any other is a mistake in this program.
func Object(client klient.Client, name, title string, object *unstructured.Unstructured) Disruption {
	if !slices.Contains(temporaryKinds, object.GroupVersionKind()) {
		panic(fmt.Sprintf("disrupt.Object: nobody would remove a %s that a killed run left", object.GroupVersionKind()))
	}
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[temporaryLabel] = name
	object.SetLabels(labels)
	return Disruption{
		Name: name, Title: title,
		Apply: func(ctx context.Context) error { return cluster.Apply(ctx, client, object) },
		Undo: func(ctx context.Context) error {
			err := client.Resources().GetControllerRuntimeClient().Delete(ctx, object)
			return crclient.IgnoreNotFound(err)
		},
	}
}

// removeObjects removes what a killed run added for a time.
func removeObjects(ctx context.Context, client klient.Client) (removed []string, err error) {
	where := func(schema.GroupVersionKind) []crclient.ListOption {
		return []crclient.ListOption{crclient.HasLabels{temporaryLabel}}
	}
	return putRight(ctx, client, temporaryKinds, where, func(c crclient.Client, u *unstructured.Unstructured) (bool, error) {
		return true, crclient.IgnoreNotFound(c.Delete(ctx, u))
	})
}
