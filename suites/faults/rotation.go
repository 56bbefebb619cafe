package faults

import (
	"istio.io/api/annotation"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// rotationFaults are about certificates that should be renewed. A connection that
// stands outlives its certificate, so that all but the files may look well for long;
// how long it stands is not foretold.
func rotationFaults() []Fault {
	stale := effect{red: []string{certificatesMounted, scraperRotated}, unclear: with(ofTargets, targetRotated)}
	return []Fault{
		{
			ID: "account-removed", Title: "The service account of Prometheus is removed while it runs", Why: "field report 5: the CSR is refused from then on",
			Later: []Change{Remove("ServiceAccount", "prometheus-full-access")},
			Watch: true, Expires: true,
			Red: stale.red, Unclear: stale.unclear, Cause: "certificate-expired",
		},
		{
			ID: "volume-too-small", Title: "The volume for the certificates has no room for a new one beside the old", Why: "field report 5: the proxy has a certificate that the files do not",
			Change: []Change{ofPrometheus("12Ki", "spec", "volumes", "0", "emptyDir", "sizeLimit")},
			Watch:  true, Expires: true,
			Red: stale.red, Unclear: stale.unclear, Cause: "rotated-not-written",
		},
		{
			ID: "nobody-subscribes", Title: "Nothing in the sidecar asks for the certificate a second time", Why: "field report 5 and facts 1.2: interception mode NONE",
			Change: []Change{
				ofPrometheus("NONE", "spec", "podMetadata", "annotations", annotation.SidecarInterceptionMode.Name),
				Add(`
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata:
  name: prometheus-asks-nobody
spec:
  workloadSelector:
    labels:
      app.kubernetes.io/name: prometheus
  egress:
  - hosts: ["~/*"]
`),
			},
			Watch: true, Expires: true,
			Red: stale.red, Unclear: stale.unclear, Cause: "rotation-without-subscriber",
		},
		{
			ID: "ttl-in-days", Title: "The lifetime of certificates is given in days, which Istio does not read", Why: "field report 51",
			Change: []Change{prometheusVariable("SECRET_TTL", "3d")},
			Watch:  true,
			Red:    []string{scraperRotated}, Unclear: []string{targetRotated}, Cause: "secret-ttl-invalid",
		},
		{
			ID: "ttl-beyond-limit", Title: "The sidecar asks for longer certificates than istiod signs", Why: "facts 2.2: a request beyond the limit is an error",
			Change:  []Change{prometheusVariable("SECRET_TTL", "2161h")},
			Unready: true, Red: proxyWaits.red, Unclear: proxyWaits.unclear, Cause: "secret-ttl-too-long",
		},
		{
			ID: "lifetime-of-the-guide", Title: "Certificates last for a day, as in the guide, and somebody watches for half a minute", Why: "field report 51",
			Change: []Change{prometheusVariable("SECRET_TTL", "24h")},
			Watch:  true,
			Red:    []string{scraperRotated}, Unclear: []string{targetRotated}, Cause: "watch-shorter-than-rotation",
		},
		{
			ID: "target-lifetime-of-the-guide", Title: "The same, of the target's certificates", Why: "field report 51",
			Change: []Change{proxyVariable("Deployment", "productpage-v1", "SECRET_TTL", "24h", "spec", "template", "metadata")},
			Watch:  true,
			Red:    []string{targetRotated}, Cause: "watch-shorter-than-rotation",
		},
		{
			ID: "renewed-without-end", Title: "The certificate is due for renewal as soon as it is there", Why: "facts 2.1: a ratio of 1",
			Change: []Change{
				prometheusVariable("SECRET_GRACE_PERIOD_RATIO", "1"),
				// What it renews without end must not take the machine from those beside it.
				ofPrometheus("200m", "spec", "podMetadata", "annotations", annotation.SidecarProxyCPULimit.Name),
			},
			Watch:   true,
			Red:     []string{scraperRotated},
			Unclear: append([]string{targetRotated, certificatesMounted, certificateOwn, targetsUp, metricsQueryable, mutualTLS, notIntercepted}, refusals...),
			Cause:   "grace-ratio-out-of-range",
		},
		{
			ID: "istiod-away-too-long", Title: "istiod is away for longer than the certificates last", Why: "facts 6: a renewal that is due then is retried, and comes too late",
			Mesh: &MeshChange{Late: true, Make: func(client klient.Client) (disrupt.Disruption, error) {
				return disrupt.Outage(client, "istiod-away-too-long", "istiod is taken away until certificates end", mesh.RootNamespace, "istiod", 0), nil
			}},
			Watch: true, Expires: true,
			Red: with(stale.red, targetRotated), Cause: "control-plane-down",
		},
	}
}
