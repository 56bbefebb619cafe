package cluster

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
)

// Within returns a copy of a configuration by which nothing can be changed but some
// namespaces and what is in them. As with [ReadOnly], everything goes through this one
// place: a mistake elsewhere ends in an error and not in somebody's cluster.
func Within(config *rest.Config, namespaces ...string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return writer{next, namespaces, nil} })
	return config
}

// Owning is [Within] one namespace for a run that also has objects of its own which are
// in none. Objects are their paths in the API, as [OwnedPath] gives them.
func Owning(config *rest.Config, namespace string, objects ...string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return writer{next, []string{namespace}, objects} })
	return config
}

// OwnedPath is the path of an object of no namespace.
func OwnedPath(group, version, resource, name string) string {
	return "/apis/" + group + "/" + version + "/" + resource + "/" + name
}

// writer lets reads pass, and changes of some namespaces.
type writer struct {
	next       http.RoundTripper
	namespaces []string
	objects    []string // paths of objects that are in none
}

// RoundTrip sends a request that reads or stays within the namespaces, and refuses
// any other.
func (w writer) RoundTrip(request *http.Request) (*http.Response, error) {
	if !w.permits(request) {
		return nil, fmt.Errorf("%s %s is not sent: this run changes nothing outside of %s", request.Method, request.URL.Path, strings.Join(w.namespaces, ", "))
	}
	return w.next.RoundTrip(request)
}

const (
	// allNamespaces is where a namespace is made. Which, only the body says; the API
	// server refuses the name of one that is there.
	allNamespaces = "/api/v1/namespaces"
	// review is asked for what somebody else may do. As selfReview, it is a POST that
	// stores nothing.
	review = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
)

func (w writer) permits(request *http.Request) bool {
	path := request.URL.Path
	if slices.Contains(w.namespaces, namespaceOf(path)) {
		return true
	}
	switch subresource(path) {
	case "exec", "attach", "portforward": // can be asked for with GET as well
		return false
	}
	switch {
	case request.Method == http.MethodGet, w.owns(path):
		return true
	case request.Method == http.MethodPost && namespaceOf(path) == "":
		return strings.HasSuffix(path, allNamespaces) || strings.HasSuffix(path, selfReview) || strings.HasSuffix(path, review)
	}
	return false
}

// owns reports whether a path is that of an object of the run, and not one behind a
// proxy that only ends like it.
func (w writer) owns(path string) bool {
	own := slices.ContainsFunc(w.objects, func(o string) bool { return strings.HasSuffix(path, o) })
	return own && namespaceOf(path) == "" && !strings.Contains(path, "/proxy/")
}

// namespaceOf is the namespace that a path is in, or is of; empty if it is in none. An
// API server may itself be behind a path, but what is behind a pod's proxy/ comes later.
func namespaceOf(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		core := i >= 2 && parts[i-2] == "api"
		grouped := i >= 3 && parts[i-3] == "apis"
		if part == "namespaces" && (core || grouped) && i+1 < len(parts) {
			return parts[i+1]
		}
	}
	return ""
}
