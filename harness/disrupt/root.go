package disrupt

import (
	"context"
	"crypto/x509"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// RootStep is one of the steps by which a mesh changes its root of trust. Each
// must have reached every workload before the next is made: whoever lags behind
// trusts too little, or shows what nobody trusts any more.
type RootStep struct {
	Name   string
	Roots  []*x509.Certificate // what every workload trusts in the end
	Signer *x509.Certificate   // what issues certificates from then on
	data   map[string][]byte   // of the Secret
	settle []byte              // the roots to go back, or on, to if nothing more comes
}

// RootRotation gives the steps from the present root to a new one, in the order
// that Istio accepts: it takes a bundle of roots only if that contains the present
// one or is contained in it (pemBundleHasSubsetRelation in Istio's
// pilot/pkg/bootstrap). The present roots are public; the keys are not looked at.
func RootRotation(present []*x509.Certificate, next *mesh.CA) ([]RootStep, error) {
	if len(present) != 1 {
		return nil, fmt.Errorf("the mesh trusts %d roots; a rotation begins with one", len(present))
	}
	signer, err := next.SignerData()
	if err != nil {
		return nil, err
	}
	both := append(append([]*x509.Certificate{}, present...), next.Root)
	from, to := mesh.PEM(present...), mesh.PEM(next.Root)
	signer[mesh.RootCert] = mesh.PEM(both...)
	return []RootStep{
		{Name: "both-roots", Roots: both, data: map[string][]byte{mesh.RootCert: mesh.PEM(both...)}, settle: from},
		{Name: "new-signer", Roots: both, Signer: next.Signer, data: signer, settle: to},
		{Name: "new-root", Roots: []*x509.Certificate{next.Root}, Signer: next.Signer, data: map[string][]byte{mesh.RootCert: to}},
	}, nil
}

// Apply makes the step: istiod gets the new files.
func (s RootStep) Apply(ctx context.Context, client klient.Client) error {
	if err := patchCA(ctx, client, s.data, s.settle); err != nil {
		return fmt.Errorf("giving istiod its new CA (%s): %w", s.Name, err)
	}
	return nil
}

// patchCA changes the Secret of the mesh's CA. Only what describes it comes back: its
// content is none of our business.
func patchCA(ctx context.Context, client klient.Client, data map[string][]byte, settle []byte) error {
	var undo any // null removes the annotation
	if settle != nil {
		undo = string(settle)
	}
	secret := &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: mesh.CASecret, Namespace: mesh.RootNamespace},
	}
	if err := mergeInto(ctx, client.Resources().GetControllerRuntimeClient(), secret, map[string]any{"data": data}, undo); err != nil {
		return err
	}
	return cluster.Refresh(ctx, client, mesh.RootNamespace, "app=istiod")
}

// restoreRoots brings a rotation that a killed run left half way to where it was
// last complete.
func restoreRoots(ctx context.Context, client klient.Client) (restored []string, err error) {
	// Only what describes the Secret is asked for: its content is none of our business.
	secret := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
	err = client.Resources(mesh.RootNamespace).Get(ctx, mesh.CASecret, mesh.RootNamespace, secret)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a rotation of the root that an earlier run left half way: %w", err)
	}
	settle, ok := secret.Annotations[undoAnnotation]
	if !ok {
		return nil, nil
	}
	if err := patchCA(ctx, client, map[string][]byte{mesh.RootCert: []byte(settle)}, nil); err != nil {
		return nil, fmt.Errorf("ending a rotation of the root that an earlier run left half way: %w", err)
	}
	return []string{"the mesh's root, of which a rotation was half way"}, nil
}
