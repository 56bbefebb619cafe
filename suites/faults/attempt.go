package faults

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// attempt is a fault being tried.
type attempt struct {
	*Runner
	fault   Fault
	subject *Subject
	applied []*unstructured.Unstructured // what the cluster has of the subject
	stood   bool                         // it was made to stand already
	remark  string

	observes *observe.Observer // made when it is first asked for
}

// observe brings the fault about and looks at it.
func (a *attempt) observe(ctx context.Context) (o observe.Observation, err error) {
	look := func(ctx context.Context) (err error) {
		if err = a.later(ctx); err == nil {
			o, err = a.look(ctx)
		}
		return err
	}
	whole := func(ctx context.Context) error {
		if err := a.stand(ctx); err != nil {
			return err
		}
		return look(ctx)
	}
	if a.fault.Mesh == nil {
		err = whole(ctx)
		return o, err
	}
	d, err := a.fault.Mesh.Make(a.Client)
	if err != nil {
		return o, err
	}
	if !a.fault.Mesh.Late {
		err = disrupt.While(ctx, d, func(string) {}, whole)
	} else if err = a.stand(ctx); err == nil {
		err = disrupt.While(ctx, d, func(string) {}, look)
	}
	return o, err
}

// stand applies the set-up and waits until it stands, as far as it will. What stands
// already is left as it is.
func (a *attempt) stand(ctx context.Context) error {
	if a.stood {
		return nil
	}
	a.stood = true
	if err := a.apply(ctx); err != nil {
		return err
	}
	if err := a.awaitWorkloads(ctx); err != nil {
		return err
	}
	limit := faultSettle
	if len(a.fault.Change) == 0 && (a.fault.Mesh == nil || a.fault.Mesh.Late) {
		limit = a.Settle // it is good, and what comes later comes to a good one
	}
	return a.settle(ctx, limit)
}

// apply brings the cluster to what the subject is now.
func (a *attempt) apply(ctx context.Context) error {
	wanted := a.subject.Manifests(a.RunID, a.Images)
	changed, gone := difference(a.applied, wanted)
	// Whatever is applied in part must be removed in whole.
	a.applied = slices.Concat(gone, wanted)
	if err := cluster.Apply(ctx, a.Client, changed...); err != nil {
		return err
	}
	if err := a.remove(ctx, gone); err != nil {
		return err
	}
	a.applied = wanted
	return nil
}

// difference is what has to be applied, and what removed, to get from some objects
// to others: changes of what is there before what is new, so that nobody acts on the
// one without the other.
func difference(from, to []*unstructured.Unstructured) (changed, gone []*unstructured.Unstructured) {
	var added []*unstructured.Unstructured
	for _, u := range to {
		if i := place(from, u); i < 0 {
			added = append(added, u)
		} else if !reflect.DeepEqual(from[i], u) {
			changed = append(changed, u)
		}
	}
	changed = append(changed, added...)
	for _, u := range from {
		if place(to, u) < 0 {
			gone = append(gone, u)
		}
	}
	return changed, gone
}

func place(all []*unstructured.Unstructured, u *unstructured.Unstructured) int {
	return slices.IndexFunc(all, func(x *unstructured.Unstructured) bool {
		return x.GroupVersionKind() == u.GroupVersionKind() && crclient.ObjectKeyFromObject(x) == crclient.ObjectKeyFromObject(u)
	})
}

// workloads lists those of the subject. Events tell why nothing comes where that is
// meant to be; they are the dearest to list, since the API server has no cache of them.
func (a *attempt) workloads(ctx context.Context) (w workloads, err error) {
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	var pods corev1.PodList
	var warnings corev1.EventList
	c, in := a.client(), crclient.InNamespace(a.subject.Namespace)
	err = errors.Join(c.List(ctx, &deployments, in), c.List(ctx, &sets, in), c.List(ctx, &pods, in))
	if a.fault.Unready {
		err = errors.Join(err, c.List(ctx, &warnings, in, crclient.MatchingFields{"type": corev1.EventTypeWarning}))
	}
	return workloads{deployments.Items, sets.Items, pods.Items, warnings.Items}, err
}

// look observes the subject as it is now, and over a time if its fault is about
// rotation.
func (a *attempt) look(ctx context.Context) (observe.Observation, error) {
	o, err := a.observer()
	if err != nil {
		return observe.Observation{}, err
	}
	w, err := a.workloads(ctx)
	if err != nil {
		return observe.Observation{}, fmt.Errorf("looking at the pods in %s: %w", a.subject.Namespace, err)
	}
	if w.running() != nil {
		o.Rescraped(ctx, rescrapeLimit)
	}
	seen, err := o.Observe(ctx)
	if err != nil || !a.fault.Watch {
		return seen, err
	}
	limit := watchLimit
	if a.fault.Expires {
		limit = endedLimit
	}
	return o.Watch(ctx, seen, limit)
}
