package cluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// FieldOwner is the name under which this project applies objects.
const FieldOwner = "mtls-scrape-conformance"

// Apply applies objects server-side, in order. An object whose kind the API
// server does not know yet, because its definition was applied a moment ago, is
// tried again.
func Apply(ctx context.Context, client klient.Client, objects ...*unstructured.Unstructured) error {
	c := client.Resources().GetControllerRuntimeClient()
	for _, u := range objects {
		what := fmt.Sprintf("%s %s to be accepted", u.GetKind(), crclient.ObjectKeyFromObject(u))
		err := wait.For(ctx, what, func(ctx context.Context) (bool, string, error) {
			applied := u.DeepCopy() // the answer is decoded into it
			err := c.Apply(ctx, crclient.ApplyConfigurationFromUnstructured(applied), crclient.FieldOwner(FieldOwner), crclient.ForceOwnership)
			if err != nil && !meta.IsNoMatchError(err) && !retriable(err) {
				err = wait.Stop(err)
			}
			return err == nil, "", err
		})
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", u.GetKind(), crclient.ObjectKeyFromObject(u), err)
		}
	}
	return nil
}
