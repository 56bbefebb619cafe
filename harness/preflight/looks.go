package preflight

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// skewLimit is how far our clock may be from the API server's. How old a scrape is gets
// measured by both; at the Operator's interval of 30 s, two intervals leave room for
// this. The header has whole seconds.
const skewLimit = 5 * time.Second

// clock compares the API server's clock with ours.
func clock(ctx context.Context, s *Subject) (State, string) {
	transport, err := rest.TransportFor(s.Config)
	if err != nil {
		return Warn, err.Error()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(s.Config.Host, "/")+"/version", nil)
	if err != nil {
		return Warn, err.Error()
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Warn, "the API server's clock was not read: " + err.Error()
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return Warn, "the API server does not say what time it is"
	}
	return skew(time.Since(theirs))
}

func skew(off time.Duration) (State, string) {
	if off.Abs() > skewLimit {
		return Fail, fmt.Sprintf("our clock is %s off that of the API server: how old a scrape is cannot be told; set the clock", off.Round(time.Second))
	}
	return OK, fmt.Sprintf("our clock and the API server's differ by less than %s", skewLimit)
}

// permissions asks what we may do in the cluster. What is read at the mesh's own API, if
// that is elsewhere, is asked there.
func permissions(ctx context.Context, s *Subject) (State, string) {
	return allowed(ctx, s.client, s.Config.Host, func(r observe.Rule) bool { return s.mesh == nil || !r.AtTheMesh() })
}

// meshPermissions asks the same of the mesh's own API.
func meshPermissions(ctx context.Context, s *Subject) (State, string) {
	if s.mesh == nil {
		return OK, "the mesh's API is the cluster's, which was asked"
	}
	return allowed(ctx, s.mesh, s.Mesh.Host, observe.Rule.AtTheMesh)
}

// allowed asks an API for the rules that are of that API. It is a POST by which nothing is
// stored, and that everybody may send: the list of one's rules is not complete with every
// authorizer.
func allowed(ctx context.Context, client kubernetes.Interface, host string, here func(observe.Rule) bool) (State, string) {
	var missing []string
	for _, r := range observe.Rules() {
		if r.Name != "" || !here(r) { // a name is asked for in the namespace of Prometheus or of the mesh
			continue
		}
		resource, sub, _ := strings.Cut(r.Resource, "/")
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: sub,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return Warn, fmt.Sprintf("what this user may do could not be asked of %s: %v", host, err)
		}
		if !review.Status.Allowed {
			missing = append(missing, r.String())
		}
	}
	if len(missing) > 0 {
		return Warn, fmt.Sprintf("checks will be inconclusive without: %s, as %s says; manifests/certify/rbac.yaml, applied there, grants them", strings.Join(missing, ", "), host)
	}
	return OK, fmt.Sprintf("%s grants every rule of manifests/certify that is needed there", host)
}

// ours selects the pods of the clients and of the workload that a run of the suite adds
// to its own cluster.
const ours = "app in (" + observe.StrangerApp + "," + observe.MemberApp + ",mtls-scrape-unmeshed)"

// leftovers looks for pods that a run of the suite made.
func leftovers(ctx context.Context, s *Subject) (State, string) {
	pods, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: ours})
	if err != nil {
		return Warn, "pods of earlier runs were not looked for: " + err.Error()
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Namespace+"/"+p.Name)
	}
	if len(names) > 0 {
		return Warn, "an earlier run of the suite left or keeps: " + strings.Join(names, ", ")
	}
	return OK, "no pod of an earlier run is there"
}
