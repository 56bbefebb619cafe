package image

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Mirror is a registry that is asked in place of every other, as the one of a
// network without access to the world. The zero value is none.
//
// It is asked as containerd asks a mirror: by upstream's repository, with
// upstream's host in the parameter ns. The registry's nodes and this process so
// find the same thing under the same name.
type Mirror struct {
	Scheme string // http or https
	Host   string // with its port
}

// ParseMirror reads a user's choice: host:port, or a URL of nothing but that.
// Without a scheme it is http for loopback and private addresses, which hardly
// have a certificate that a node trusts, and https for all others.
func ParseMirror(s string) (Mirror, error) {
	wrong := fmt.Errorf("MIRROR=%q is not the address of a registry: use host:port, or https://host:port", s)
	scheme, host, given := strings.Cut(s, "://")
	if !given {
		scheme, host = "", s
	}
	registry, err := name.NewRegistry(host)
	if err != nil || host == "" || strings.Contains(host, "@") {
		return Mirror{}, wrong
	}
	if !given {
		scheme = registry.Scheme()
	}
	if u, err := url.Parse(scheme + "://" + host); err != nil || u.Host != host || scheme != "http" && scheme != "https" {
		return Mirror{}, wrong
	}
	return Mirror{Scheme: scheme, Host: host}, nil
}

// URL is where it is reached.
func (m Mirror) URL() *url.URL { return &url.URL{Scheme: m.Scheme, Host: m.Host} }

// String is the URL as text, and empty if there is no mirror.
func (m Mirror) String() string {
	if m.Host == "" {
		return ""
	}
	return m.URL().String()
}

// Loopback reports whether only this machine reaches it: a node, which has a
// loopback of its own, does not.
func (m Mirror) Loopback() bool {
	hostname := m.URL().Hostname()
	return hostname == "localhost" || net.ParseIP(hostname).IsLoopback()
}

// Transport asks the mirror whatever a registry is asked. Without a mirror it is
// nil, which is everybody's default.
func (m Mirror) Transport() http.RoundTripper {
	if m.Host == "" {
		return nil
	}
	return throughMirror{m, http.DefaultTransport}
}

// throughMirror sends the requests of the registry protocol, whose paths all begin
// with /v2/, to the mirror. What a registry sends its client on to, such as a store
// of blobs, is asked as it is.
type throughMirror struct {
	mirror Mirror
	next   http.RoundTripper
}

func (t throughMirror) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == t.mirror.Host || !strings.HasPrefix(r.URL.Path, "/v2/") {
		return t.next.RoundTrip(r)
	}
	upstream := r.URL.Host
	if upstream == name.DefaultRegistry {
		upstream = "docker.io" // what containerd calls it
	}
	r = r.Clone(r.Context())
	query := r.URL.Query()
	query.Set("ns", upstream)
	r.URL.Scheme, r.URL.Host, r.Host, r.URL.RawQuery = t.mirror.Scheme, t.mirror.Host, "", query.Encode()
	return t.next.RoundTrip(r)
}
