package observe

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// release is that of Prometheus, as far as the derivation depends on it.
type release struct {
	major, minor int
	bare         bool // 2, told by its feature flag to add no ports
}

// since reports whether it is as new as another.
func (r release) since(major, minor int) bool {
	return r.major > major || r.major == major && r.minor >= minor
}

// releaseOf is that of the replicas, which are asked first, or that in the spec,
// or the newest.
func releaseOf(o Observation) release {
	r := release{major: 3, minor: 1 << 10, bare: slices.Contains(o.Prometheus.Spec.EnableFeatures, "no-default-scrape-port")}
	var texts []string
	for _, x := range o.Replicas {
		texts = append(texts, x.Version)
	}
	for _, t := range append(texts, o.Prometheus.Spec.Version) {
		var major, minor int
		if n, _ := fmt.Sscanf(strings.TrimPrefix(t, "v"), "%d.%d", &major, &minor); n == 2 {
			r.major, r.minor = major, minor
			break
		}
	}
	return r
}

// withPort is the address as Prometheus asks it. Release 3 takes it as it is,
// release 2 adds the port of the scheme, or takes it away.
func (r release) withPort(scheme, address string) string {
	if r.major >= 3 || address == "" {
		return address
	}
	port := schemePort(scheme)
	host, has, err := net.SplitHostPort(address)
	switch {
	case r.bare && err == nil && has == port:
		return host
	case r.bare || err == nil || port == "":
		return address
	}
	if _, _, err := net.SplitHostPort(address + ":1234"); err != nil {
		return address
	}
	return address + ":" + port
}

// schemePort is the port of an address that names none.
func schemePort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}
