package cluster

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
)

// Permission is something beyond reading that the owner of a cluster may permit. Of
// neither is anything stored in the cluster, but Kubernetes counts both as creating.
type Permission string

// The permissions.
const (
	Exec        Permission = "exec"        // to run head, stat and grep in Prometheus' containers, and pilot-agent beside it
	PortForward Permission = "portforward" // to ask applications behind their proxies
)

// Permissions lists them all.
func Permissions() []Permission { return []Permission{Exec, PortForward} }

// ParsePermission reads the name of one.
func ParsePermission(s string) (Permission, error) {
	if p := Permission(s); slices.Contains(Permissions(), p) {
		return p, nil
	}
	return "", fmt.Errorf("there is no permission %q: use exec or portforward", s)
}

// ReadOnly returns a copy of a configuration by which nothing can be sent but reads.
// It is the one place that everything goes through, whoever asks: a mistake
// elsewhere ends in an error and not in somebody's cluster.
func ReadOnly(config *rest.Config, permitted ...Permission) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return reader{next, permitted} })
	return config
}

// reader lets reads pass.
type reader struct {
	next      http.RoundTripper
	permitted []Permission
}

// RoundTrip sends a request that reads, and refuses any other.
func (r reader) RoundTrip(request *http.Request) (*http.Response, error) {
	if !r.permits(request) {
		return nil, fmt.Errorf("%s %s is not sent: this run only reads", request.Method, request.URL.Path)
	}
	return r.next.RoundTrip(request)
}

// selfReview is what an API server is asked for somebody's own permissions. It is a
// POST that stores nothing, and everybody may send it.
const selfReview = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// permits goes by the path as well, since a pod's subresources for running programs
// can be asked for with GET.
func (r reader) permits(request *http.Request) bool {
	switch subresource(request.URL.Path) {
	case "exec":
		return slices.Contains(r.permitted, Exec)
	case "portforward":
		return slices.Contains(r.permitted, PortForward)
	case "attach":
		return false
	}
	return request.Method == http.MethodGet || request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, selfReview)
}

// subresource is that of a pod that a path names, as in .../pods/x/exec; empty if it
// names none. What comes after pods/x/proxy/ is the pod's own.
func subresource(path string) string {
	_, rest, ok := strings.Cut(path, "/api/v1/namespaces/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 4 || parts[1] != "pods" {
		return ""
	}
	return parts[3]
}
