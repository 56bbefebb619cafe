package conformance

import (
	"time"

	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// The disruptions that the resilience profile needs, by name.
const (
	ControlPlaneOutage = "control-plane-outage"
	OperatorRestart    = "operator-restart"
	SidecarRestart     = "sidecar-restart"
	PrometheusRestart  = "prometheus-restart"
	WorkloadRollout    = "workload-rollout"
)

// The disruptions that other checks need, by name.
const (
	OnlyPrometheus = "only-prometheus"
	WithoutCA      = "mtls-scrape-without-ca-file" // also the job of its targets
	RootRotation   = "root-rotation"
)

// How the timeline and the plot of a report name them.
const (
	onlyPrometheusTitle = "a policy admits only Prometheus"
	withoutCATitle      = "a monitor without caFile"
)

// Disruptions lists them in the order in which they are brought about. The outage is
// how long the control plane is away.
func Disruptions(client klient.Client, namespace string, outage time.Duration) []disrupt.Disruption {
	return []disrupt.Disruption{
		disrupt.Rollout(client, OperatorRestart, "the Prometheus Operator is restarted", namespace, "prometheus-operator"),
		disrupt.SidecarRestart(client, SidecarRestart, "the sidecar of the first replica is ended", namespace, "prometheus-default-0"),
		disrupt.Outage(client, ControlPlaneOutage, "istiod is taken away", "istio-system", "istiod", outage),
		disrupt.Rollout(client, WorkloadRollout, "productpage is rolled out anew", namespace, "productpage-v1"),
		disrupt.PodRestart(client, PrometheusRestart, "the first replica is deleted", namespace, "prometheus-default-0"),
	}
}

// OnlyPrometheusAdmitted is the policy for which identity-authorized asks.
func OnlyPrometheusAdmitted(client klient.Client) (disrupt.Disruption, error) {
	return objectOf(client, manifests.Policy, OnlyPrometheus, "a policy admits only Prometheus to productpage")
}

// WithoutCAFile is the monitor for which rotation-without-ca-file asks.
func WithoutCAFile(client klient.Client) (disrupt.Disruption, error) {
	return objectOf(client, manifests.Rotation, WithoutCA, "a second monitor of productpage has no caFile")
}

// objectOf adds the one object of a folder of manifests for a time.
func objectOf(client klient.Client, folder, name, title string) (disrupt.Disruption, error) {
	objects, err := manifests.Read(folder)
	if err != nil {
		return disrupt.Disruption{}, err
	}
	return disrupt.Object(client, name, title, objects[0]), nil
}
