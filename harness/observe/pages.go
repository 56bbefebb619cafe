package observe

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
)

// pageSize is how many objects one request of a list asks for: what kubectl takes. A
// large cluster in one piece would be held three times, as bytes, decoded and kept.
const pageSize = 500

// listTries is how often a list is begun anew whose pages the API server no longer
// has, which it keeps for five minutes or so.
const listTries = 2

// listPages reads a whole collection as it was at one moment. Of a kind of the
// Operator's that the cluster does not know there are none.
func (p *pass) listPages(ctx context.Context, into k8s.ObjectList, opts []resources.ListOption) (err error) {
	for range listTries {
		if err = p.listOnce(ctx, into, opts); !apierrors.IsResourceExpired(err) {
			break
		}
	}
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		if p.isOperators(into) {
			return nil
		}
		if p.mesh == nil {
			return fmt.Errorf("the cluster does not know this kind: where somebody else runs the control plane, name its own kubeconfig with MESH_KUBECONFIG=, or have its objects reached through this cluster (on ASM: access Istio resources via data-plane KubeAPI): %w", err)
		}
		return fmt.Errorf("neither this cluster nor that of the mesh knows this kind: %w", err)
	}
	return err
}

func (p *pass) listOnce(ctx context.Context, into k8s.ObjectList, opts []resources.ListOption) error {
	var raw metav1.ListOptions
	for _, o := range opts {
		o(&raw)
	}
	all := itemsOf(into)
	all.SetZero()
	for next := ""; ; {
		page, ok := reflect.New(reflect.TypeOf(into).Elem()).Interface().(k8s.ObjectList)
		if !ok {
			return fmt.Errorf("%T is no list", into)
		}
		err := p.clientFor(into).Resources().GetControllerRuntimeClient().List(ctx, page, &client.ListOptions{Raw: &raw, Limit: pageSize, Continue: next})
		if err == nil {
			err = meta.EachListItem(page, dropBookkeeping)
			p.slim(page)
		}
		if err != nil {
			return err
		}
		all.Set(reflect.AppendSlice(all, itemsOf(page)))
		if next = page.GetContinue(); next == "" {
			return nil
		}
	}
}

// slim drops what nobody asks of the pods of a subject that is not ours, which may be
// ten thousand. Those of Prometheus are kept whole.
func (p *pass) slim(page runtime.Object) {
	pods, ok := page.(*corev1.PodList)
	if !ok || p.o.Attached == nil {
		return
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Namespace != p.namespace || pod.Labels[PrometheusLabel] != p.prometheus {
			p.texts.slim(pod)
		}
	}
}

// itemsOf is the field Items, which every list has.
func itemsOf(list runtime.Object) reflect.Value {
	return reflect.ValueOf(list).Elem().FieldByName("Items")
}

// isOperators reports whether a list is of a kind of the Prometheus Operator.
func (p *pass) isOperators(list runtime.Object) bool {
	kinds, _, err := p.client.Resources().GetScheme().ObjectKinds(list)
	return err == nil && strings.HasPrefix(kinds[0].Group, "monitoring.")
}
