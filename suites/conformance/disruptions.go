package conformance

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
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

// Parts are where a subject has what is disrupted.
type Parts struct {
	Namespace              string // of the Prometheus and its targets
	Operator, ControlPlane types.NamespacedName
}

// OwnParts are those of a cluster that the suite made.
func OwnParts(namespace string) Parts {
	return Parts{
		Namespace: namespace, Operator: types.NamespacedName{Namespace: namespace, Name: "prometheus-operator"},
		ControlPlane: types.NamespacedName{Namespace: mesh.RootNamespace, Name: "istiod"},
	}
}

// Disruptions lists them in the order in which they are brought about. The outage is
// how long the control plane is away.
func Disruptions(client klient.Client, parts Parts, outage time.Duration) []disrupt.Disruption {
	namespace := parts.Namespace
	return []disrupt.Disruption{
		disrupt.Rollout(client, OperatorRestart, "the Prometheus Operator is restarted", parts.Operator.Namespace, parts.Operator.Name),
		disrupt.SidecarRestart(client, SidecarRestart, "the sidecar of the first replica is ended", namespace, "prometheus-default-0"),
		disrupt.Outage(client, ControlPlaneOutage, "istiod is taken away", parts.ControlPlane.Namespace, parts.ControlPlane.Name, outage),
		disrupt.Rollout(client, WorkloadRollout, "productpage is rolled out anew", namespace, "productpage-v1"),
		disrupt.PodRestart(client, PrometheusRestart, "the first replica is deleted", namespace, "prometheus-default-0"),
	}
}

// OnlyPrometheusAdmitted is the policy for which identity-authorized asks: it admits
// the Prometheus of a namespace, by its name in a trust domain.
func OnlyPrometheusAdmitted(client klient.Client, namespace, trustDomain string) (disrupt.Disruption, error) {
	return objectOf(client, manifests.Policy, OnlyPrometheus, "a policy admits only Prometheus to productpage", namespace, admitting(namespace, trustDomain))
}

// admitting puts the subject's own names into what the manifest has for those of the
// suite's cluster. A trust domain that is not known is left as it is there.
func admitting(namespace, trustDomain string) manifests.Edit {
	from, to := "cluster.local/ns/default/", cmp.Or(trustDomain, "cluster.local")+"/ns/"+namespace+"/"
	return func(u *unstructured.Unstructured) {
		rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
		manifests.Set(manifests.Replace(rules, from, to), "spec", "rules")(u)
	}
}

// WithoutCAFile is the monitor for which rotation-without-ca-file asks.
func WithoutCAFile(client klient.Client, namespace string) (disrupt.Disruption, error) {
	return objectOf(client, manifests.Rotation, WithoutCA, "a second monitor of productpage has no caFile", namespace)
}

// objectOf adds the one object of a folder of manifests to a namespace for a time.
func objectOf(client klient.Client, folder, name, title, namespace string, edits ...manifests.Edit) (disrupt.Disruption, error) {
	objects, err := manifests.Read(folder)
	if err != nil {
		return disrupt.Disruption{}, err
	}
	manifests.Apply(objects, append(edits, manifests.InNamespace(namespace))...)
	return disrupt.Object(client, name, title, objects[0]), nil
}
