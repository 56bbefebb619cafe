// Package simulated is an API server, a Prometheus and the sidecars behind it, made of
// an observation: what was seen of a real cluster is served as that cluster would, so
// that looking at it again needs none.
//
// Nothing but tests imports it. It serves what is read of a subject that is not ours,
// and refuses whatever would change one.
//
// Read [New] first.
package simulated

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// Cluster is a simulated cluster while it serves.
type Cluster struct {
	observation observe.Observation
	collections map[string]collection // by group and resource, as in "apps/deployments"
	server      *httptest.Server

	// Forbidden are the permissions that whoever asks does not have.
	Forbidden func(r observe.Rule) bool
	// Before is called before each request, which is done with if it returns true.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// NoTelemetry has sidecars that do not count whom they served.
	NoTelemetry bool

	mu      sync.Mutex
	changes []string // requests that were no reads
	asked   int      // of sidecars
}

// New serves what was observed until the test ends.
func New(t testing.TB, o observe.Observation) *Cluster {
	c := Start(o)
	t.Cleanup(c.Close)
	return c
}

// Start serves what was observed until it is closed.
func Start(o observe.Observation) *Cluster {
	c := &Cluster{observation: o, collections: collections(o)}
	c.server = httptest.NewServer(c)
	return c
}

// Close ends it, after the last request.
func (c *Cluster) Close() { c.server.Close() }

// Without takes the kinds of an API group away, as in a cluster whose mesh has its API
// elsewhere.
func (c *Cluster) Without(group string) {
	maps.DeleteFunc(c.collections, func(_ string, x collection) bool { return x.group == group })
}

// Config is how to reach the cluster.
func (c *Cluster) Config() *rest.Config {
	return &rest.Config{Host: c.server.URL, QPS: -1}
}

// Changes are the requests that were no reads. None of them was carried out.
func (c *Cluster) Changes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// ServeHTTP answers as an API server does.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.Before != nil && c.Before(w, r) {
		return
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
		c.review(w, r)
		return
	}
	if r.Method != http.MethodGet {
		c.mu.Lock()
		c.changes = append(c.changes, r.Method+" "+r.URL.Path)
		c.mu.Unlock()
		refuse(w, http.StatusForbidden, "this cluster is only read")
		return
	}
	if c.discover(w, r.URL.Path) {
		return
	}
	a, ok := parse(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound, "the server could not find the requested resource")
		return
	}
	if c.Forbidden != nil && c.Forbidden(a.rule()) {
		refuse(w, http.StatusForbidden, fmt.Sprintf("%s is forbidden: User cannot %s resource %q in API group %q", a.resource, a.rule().Verb, a.rule().Resource, a.group))
		return
	}
	switch a.subresource {
	case "proxy":
		c.proxy(w, r, a)
	case "log":
		c.log(w, a)
	default:
		c.object(w, r, a)
	}
}

// review says what whoever asks may do. Nothing is stored by it.
func (c *Cluster) review(w http.ResponseWriter, r *http.Request) {
	var review authorizationv1.SelfSubjectAccessReview
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, &review)
	}
	if err != nil || review.Spec.ResourceAttributes == nil {
		refuse(w, http.StatusBadRequest, "the review cannot be read")
		return
	}
	a := review.Spec.ResourceAttributes
	rule := observe.Rule{Verb: a.Verb, Group: a.Group, Resource: strings.TrimSuffix(a.Resource+"/"+a.Subresource, "/")}
	review.Status.Allowed = c.Forbidden == nil || !c.Forbidden(rule)
	review.SetGroupVersionKind(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"))
	encode(w, r, &review)
}

// address is what a path of the API names.
type address struct {
	group, version, namespace, resource, name, subresource, rest string
}

// parse reads a path such as /apis/apps/v1/namespaces/a/deployments/b.
func parse(path string) (address, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var a address
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		a.version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		a.group, a.version, parts = parts[1], parts[2], parts[3:]
	default:
		return a, false
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		a.namespace, parts = parts[1], parts[2:]
	}
	a.resource = parts[0]
	if len(parts) > 1 {
		a.name = parts[1]
	}
	if len(parts) > 2 {
		a.subresource = parts[2]
	}
	if len(parts) > 3 {
		a.rest = "/" + strings.Join(parts[3:], "/")
	}
	return a, true
}

// rule is what it takes to read it.
func (a address) rule() observe.Rule {
	r := observe.Rule{Verb: "list", Group: a.group, Resource: a.resource}
	if a.name != "" {
		r.Verb, r.Name = "get", a.name
	}
	if a.subresource != "" {
		r.Resource, r.Name = a.resource+"/"+a.subresource, ""
	}
	return r
}
