package mesh

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// A control plane can have a CA of its own beside the one that all others share, which
// stays where it is, so that the way back needs nobody's key: istiod takes its CA from
// the folder in ROOT_CA_DIR (pilot/pkg/bootstrap/istio_ca.go), and the chart mounts what
// it is told to.
const (
	ownCAName = "mtls-scrape-own-ca" // of the Secret with it, and of the ConfigMap with its root
	ownCADir  = "/etc/own-cacerts"
)

// sharedTrust is the ConfigMap by which the sidecars of a namespace trust their control
// plane. The oldest control plane writes it; a second one never does
// (NewLeaderElectionMulticluster in pilot/pkg/serviceregistry/kube/controller).
const sharedTrust = "istio-ca-root-cert"

// withOwnCA changes Helm's values so that istiod signs with a CA of its own. Sidecars of
// a second revision find its root in a ConfigMap of its own; in place, istiod publishes
// it where the other was.
func withOwnCA(v map[string]any, revision string) {
	pilot, _ := v["pilot"].(map[string]any)
	global, _ := v["global"].(map[string]any)
	env, _ := pilot["env"].(map[string]any)
	env["ROOT_CA_DIR"] = ownCADir
	pilot["volumes"] = []any{map[string]any{"name": ownCAName, "secret": map[string]any{"secretName": ownCAName}}}
	pilot["volumeMounts"] = []any{map[string]any{"name": ownCAName, "mountPath": ownCADir, "readOnly": true}}
	if revision != DefaultRevision {
		global["trustBundleName"] = ownCAName
	}
}

// giveOwnCA makes a CA for the control plane that comes, and tells its root to the
// sidecars of a namespace.
func giveOwnCA(ctx context.Context, client klient.Client, namespace string) error {
	if err := removeOwnCA(ctx, client, namespace); err != nil {
		return err
	}
	ca, err := NewCA()
	if err != nil {
		return err
	}
	data, err := ca.SignerData()
	if err != nil {
		return err
	}
	data[RootCert] = PEM(ca.Root)
	for _, o := range []k8s.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: ownCAName, Namespace: RootNamespace}, Data: data},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ownCAName, Namespace: namespace}, Data: map[string]string{RootCert: string(PEM(ca.Root))}},
	} {
		if err := client.Resources(o.GetNamespace()).Create(ctx, o); err != nil {
			return fmt.Errorf("giving a control plane a CA of its own, %s/%s: %w", o.GetNamespace(), o.GetName(), err)
		}
	}
	return nil
}

// LeaveOwnCA ends that a control plane had a CA of its own, when that is gone, or is back
// with the one that all share: it waits until the sidecars of the namespace can learn
// the shared root again, has them learn it at once, and removes the other. Where there
// never was one, it does nothing.
func LeaveOwnCA(ctx context.Context, client klient.Client, namespace string) error {
	var own corev1.ConfigMap
	err := client.Resources(namespace).Get(ctx, ownCAName, namespace, &own)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for a root that an upgrade brought, in the ConfigMap %s/%s: %w", namespace, ownCAName, err)
	}
	err = wait.For(ctx, "the mesh's former root to be published in "+namespace, func(ctx context.Context) (bool, string, error) {
		var shared corev1.ConfigMap
		if err := client.Resources(namespace).Get(ctx, sharedTrust, namespace, &shared); err != nil {
			return false, "", err
		}
		published := shared.Data[RootCert]
		return published != "" && published != own.Data[RootCert], "the ConfigMap " + sharedTrust + " has the root of the upgrade", nil
	}, wait.Timeout(readyTimeout))
	if err != nil {
		return err
	}
	// The kubelet would take a minute or two, in which certificates end.
	if err := cluster.Refresh(ctx, client, namespace, ""); err != nil {
		return err
	}
	return removeOwnCA(ctx, client, namespace)
}

func removeOwnCA(ctx context.Context, client klient.Client, namespace string) error {
	meta := metav1.ObjectMeta{Name: ownCAName}
	secret, root := &corev1.Secret{ObjectMeta: meta}, &corev1.ConfigMap{ObjectMeta: meta}
	secret.Namespace, root.Namespace = RootNamespace, namespace
	// The ConfigMap comes last: by it, a run that was killed meanwhile is known.
	for _, o := range []k8s.Object{secret, root} {
		if err := client.Resources(o.GetNamespace()).Delete(ctx, o); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing a CA that only one control plane had, %s/%s: %w", o.GetNamespace(), o.GetName(), err)
		}
	}
	return nil
}
