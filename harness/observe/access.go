package observe

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// need is a resource that Prometheus' service account must be able to read.
type need struct{ namespace, group, resource string } // in all namespaces if it names none

// roleResources are what Prometheus lists and watches to discover by a role:
// discovery/kubernetes/kubernetes.go, Run.
var roleResources = map[string][]need{
	rolePod:           {{resource: "pods"}},
	roleService:       {{resource: "services"}},
	roleEndpoints:     {{resource: "services"}, {resource: "pods"}, {resource: "endpoints"}},
	roleEndpointSlice: {{resource: "services"}, {resource: "pods"}, {group: "discovery.k8s.io", resource: "endpointslices"}},
	roleNode:          {{resource: "nodes"}},
	roleIngress:       {{group: "networking.k8s.io", resource: "ingresses"}},
}

// needs lists what the selected monitors make Prometheus read of this cluster,
// each once, by namespace and resource.
func needs(o Observation) []need {
	if o.Prometheus == nil {
		return nil
	}
	var all []need
	for _, m := range Monitors(o) {
		if !m.Selected {
			continue
		}
		for _, j := range scrapeJobs(o, m) {
			for _, q := range j.queries {
				all = append(all, q.needs()...)
			}
		}
	}
	slices.SortFunc(all, func(a, b need) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.resource, b.resource), cmp.Compare(a.group, b.group))
	})
	return slices.Compact(all)
}

func (q query) needs() []need {
	if q.server != "" {
		return nil
	}
	namespaces := q.namespaces
	if len(namespaces) == 0 || q.role == roleNode {
		namespaces = []string{""}
	}
	var all []need
	for _, n := range namespaces {
		for _, r := range roleResources[q.role] {
			all = append(all, need{n, r.group, r.resource})
		}
	}
	if q.nodes {
		all = append(all, roleResources[roleNode]...)
	}
	return all
}

// accessReads ask the API server what Prometheus' service account may do where
// its monitors look. Nothing is stored by asking, but it is a permission that a guest
// does not have: to ask what others may do.
func (p *pass) accessReads() []func(context.Context) {
	if p.o.Attached != nil {
		return nil
	}
	var reads []func(context.Context)
	for _, n := range needs(p.o) {
		reads = append(reads, func(ctx context.Context) { p.readAccess(ctx, n) })
	}
	return reads
}

func (p *pass) readAccess(ctx context.Context, n need) {
	account := cmp.Or(p.o.Prometheus.Spec.ServiceAccountName, "default")
	review, err := p.kubernetes.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: fmt.Sprintf("system:serviceaccount:%s:%s", p.namespace, account),
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: n.namespace, Verb: "list", Group: n.group, Resource: n.resource,
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		p.unread("what Prometheus may read", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.Access = append(p.o.Access, Access{Namespace: n.namespace, Resource: n.resource, Allowed: review.Status.Allowed, Reason: review.Status.Reason})
}
