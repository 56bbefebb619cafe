package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
)

// outside are the collections that belong to no namespace and in which a run could
// leave something. They are listed whole, since what is left may lack a label.
var outside = []schema.GroupVersionResource{
	{Version: "v1", Resource: "namespaces"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
}

// inside are the kinds that a run makes in its namespace. They are listed by label in
// every namespace.
var inside = []schema.GroupVersionResource{
	{Version: "v1", Resource: "pods"},
	{Version: "v1", Resource: "services"},
	{Version: "v1", Resource: "serviceaccounts"},
	{Version: "v1", Resource: "resourcequotas"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	{Group: "monitoring.coreos.com", Version: "v1", Resource: "prometheuses"},
	{Group: "monitoring.coreos.com", Version: "v1", Resource: "servicemonitors"},
	{Group: "security.istio.io", Version: "v1", Resource: "peerauthentications"},
	{Group: "security.istio.io", Version: "v1", Resource: "authorizationpolicies"},
	{Group: "networking.istio.io", Version: "v1alpha3", Resource: "envoyfilters"},
}

// thing is an object, by what describes it.
type thing struct {
	resource string
	metav1.ObjectMeta
}

func (t thing) String() string {
	name := t.Name
	if t.Namespace != "" {
		name = t.Namespace + "/" + name
	}
	return strings.TrimSuffix(t.resource, "s") + " " + name
}

// ours reports whether a run of this project made it: by its label, by the name under
// which we apply, or by the name of our namespace in its own.
func (t thing) ours() bool {
	return t.Labels[ManagedByLabel] == ManagedBy || t.Labels[RunLabel] != "" || t.Namespace == Namespace || t.Name == Namespace ||
		slices.ContainsFunc(t.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == cluster.FieldOwner })
}

// listing is what a cluster has of what a run could leave.
type listing map[types.UID]thing

// list looks at what describes objects, never at what they hold. A kind that the
// cluster does not know has none.
func list(ctx context.Context, m metadata.Interface) (listing, error) {
	all := listing{}
	look := func(r schema.GroupVersionResource, selector string) error {
		found, err := m.Resource(r).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing %s, to know afterwards that nothing is left: %w (manifests/certify/sandbox-rbac.yaml has all that a run needs)", r.Resource, err)
		}
		for _, o := range found.Items {
			all[o.UID] = thing{r.Resource, o.ObjectMeta}
		}
		return nil
	}
	for _, r := range outside {
		if err := look(r, ""); err != nil {
			return nil, err
		}
	}
	for _, r := range inside {
		if err := look(r, ManagedByLabel+"="+ManagedBy); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// added are the things that were not there before: those that are of a run, and those of
// others, who go on working beside it. Another run of this project is one of them: it may
// take the namespace as soon as this one gives it away. Objects are told apart by their
// UID.
func added(before, after listing, run string) (ours, others []string) {
	for uid, t := range after {
		if _, was := before[uid]; was {
			continue
		}
		if another := t.Labels[RunLabel] != "" && t.Labels[RunLabel] != run; t.ours() && !another {
			ours = append(ours, t.String())
		} else {
			others = append(others, t.String())
		}
	}
	slices.Sort(ours)
	slices.Sort(others)
	return ours, others
}

// Remove takes the namespace away, waits until it is gone, and compares what the
// cluster has with what it had before. The note names what others made meanwhile. The
// error has a line for each thing that is left, and it can be called again.
func (s *Sandbox) Remove(ctx context.Context) (note string, err error) {
	if !s.Stands() {
		return "nothing was made", nil
	}
	s.letGo() // the Lease goes with the namespace, which nobody can take while it ends
	if err := RemoveNamespace(ctx, s.kubernetes, Namespace, s.uid); err != nil {
		return "", fmt.Errorf("%w\n`make clean CONTEXT=` removes it", err)
	}
	after, err := list(ctx, s.metadata)
	if err != nil {
		return "", err
	}
	left, others := added(s.before, after, s.RunID)
	var failures []error
	for _, l := range left {
		failures = append(failures, errors.New(l))
	}
	note = "nothing is left"
	if len(others) > 0 {
		note += "; others made meanwhile " + strings.Join(others, ", ")
	}
	return note, errors.Join(failures...)
}
