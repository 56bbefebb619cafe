package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// reachable asks a replica of the Prometheus. That it does not answer is no reason not
// to judge: why it does not may be what a check finds, or a rule that is missing.
func reachable(ctx context.Context, s *Subject) (State, string) {
	version, err := s.version(ctx)
	if err != nil {
		return Warn, err.Error()
	}
	return OK, "it answers, as version " + version
}

// version is that of the first replica.
func (s *Subject) version(ctx context.Context) (string, error) {
	if len(s.pods) == 0 {
		return "", fmt.Errorf("no pod of Prometheus %s was found", s.Prometheus)
	}
	web, err := observe.WebOf(ctx, s.Config, s.Prometheus)
	if err != nil {
		return "", err
	}
	replica, err := monitoring.NewReplica(s.Config, s.Prometheus.Namespace, s.pods[0].Name, web)
	if err != nil {
		return "", err
	}
	_, version, err := replica.SelfMetrics(ctx)
	return version, err
}

// versions looks for what is known not to work.
func versions(ctx context.Context, s *Subject) (State, string) {
	prometheus, err := s.version(ctx)
	if err != nil {
		return Warn, "the version of Prometheus is not known"
	}
	mesh := ""
	for i := range s.pods {
		if sidecar, ok := observe.SidecarOf(&s.pods[i]); ok {
			mesh = sidecar.Version()
		}
	}
	if found := knownBad(prometheus, mesh); len(found) > 0 {
		return Warn, strings.Join(found, "; ")
	}
	return OK, fmt.Sprintf("nothing is known against Prometheus %s with sidecar %s", prometheus, mesh)
}

// bad is a range of versions with which somebody had trouble.
type bad struct {
	mesh      bool    // of the sidecar, else of Prometheus
	from      release // the first one with it
	to        release // the first one without it
	text      string
	reference string
}

type release [3]int

// reports are those of which the versions are known.
var reports = []bad{
	{false, release{0}, release{2, 31}, "Prometheus before 2.31 does not come to terms with Envoy about HTTP/2 over mutual TLS", "prometheus/prometheus#9068"},
	{false, release{3, 3}, release{3, 8}, "Prometheus 3.3 to 3.7 ends at the first renewal of a certificate if a monitor has no caFile", "prometheus/prometheus#16622"},
	{false, release{3, 8}, release{3, 13}, "Prometheus 3.8 to 3.12 stops scraping at the first renewal of a certificate if a monitor has no caFile", "prometheus/common#908"},
	{true, release{1, 0}, release{1, 9, 4}, "Istio before 1.9.4 writes keys that only its own user can read", "istio/istio#31726"},
	{true, release{1, 21}, release{1, 24}, "Istio 1.21 to 1.23 may write certificates only at the start where istio-csr signs and PROV_CERT is OUTPUT_CERTS", "istio/istio#53118"},
}

// knownBad lists what is known against two versions; one that cannot be read has
// nothing against it.
func knownBad(prometheus, mesh string) []string {
	var found []string
	for _, b := range reports {
		text := prometheus
		if b.mesh {
			text = mesh
		}
		if v, ok := parse(text); ok && !before(v, b.from) && before(v, b.to) {
			found = append(found, fmt.Sprintf("%s: it is %s (%s)", b.text, text, b.reference))
		}
	}
	return found
}

func parse(text string) (v release, ok bool) {
	n, _ := fmt.Sscanf(strings.TrimPrefix(text, "v"), "%d.%d.%d", &v[0], &v[1], &v[2])
	return v, n >= 2
}

func before(a, b release) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
