package faults

import (
	"istio.io/api/label"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// ownLabels are the labels of the namespace, instead of the one that has sidecars
// injected.
func ownLabels(labels map[string]string) Change {
	return Set("Namespace", own, labels, "metadata", "labels")
}

// podLabel is a label of the pods of Prometheus.
func podLabel(value string) Change {
	return ofPrometheus(value, "spec", "podMetadata", "labels", label.SidecarInject.Name)
}

// targetInjected keeps the target in the mesh where its namespace is not.
var targetInjected = ofWorkload("true", "metadata", "labels", label.SidecarInject.Name)

// injectionFaults are about how the sidecar comes, or does not come, into the pod of
// Prometheus.
func injectionFaults() []Fault {
	return []Fault{
		{
			ID: "injection-switched-off", Title: "A label of Prometheus' pods switches the injection off", Why: "field report 32; many charts set it",
			Change: []Change{podLabel("false")},
			Red:    noProxy.red, Unclear: noProxy.unclear, Cause: "injection-disabled",
		},
		{
			ID: "namespace-disabled", Title: "The namespace is taken out of the mesh, and the pods' label is to overrule that", Why: "field report 32",
			Change: []Change{ownLabels(map[string]string{mesh.InjectionLabel: "disabled"}), podLabel("true")},
			Red:    noMesh.red, Unclear: noMesh.unclear, Cause: "injection-disabled",
		},
		{
			ID: "host-network", Title: "Prometheus uses the network of its node", Why: "field report 32",
			Change: []Change{ofPrometheus(true, "spec", "hostNetwork")},
			Red:    noProxy.red, Unclear: noProxy.unclear, Cause: "injection-host-network",
		},
		{
			ID: "system-namespace", Title: "Everything is in a namespace that Istio ignores", Why: "field report 32",
			Namespace: "local-path-storage",
			Red:       noMesh.red, Unclear: noMesh.unclear, Cause: "injection-system-namespace",
		},
		{
			ID: "revision-unknown", Title: "The namespace asks for a revision that there is none of", Why: "field reports 34 and 35",
			Change: []Change{ownLabels(map[string]string{label.IoIstioRev.Name: "1-28-4"})},
			Red:    noMesh.red, Unclear: noMesh.unclear, Cause: "injection-revision-unknown",
		},
		{
			ID: "label-as-annotation", Title: "The wish for a sidecar is an annotation where only a label counts", Why: "field report 32",
			Change: []Change{ownLabels(nil), targetInjected, ofPrometheus("true", "spec", "podMetadata", "annotations", label.SidecarInject.Name)},
			Red:    noProxy.red, Unclear: noProxy.unclear, Cause: "injection-label-as-annotation",
		},
		{
			ID: "injection-not-requested", Title: "Nobody asks for a sidecar of Prometheus", Why: "field report 32: only the applications are in the mesh",
			Change: []Change{ownLabels(nil), targetInjected},
			Red:    noProxy.red, Unclear: noProxy.unclear, Cause: "injection-not-requested",
		},
		{
			ID: "namespace-labelled-late", Title: "The namespace came into the mesh after the pods of Prometheus had started", Why: "field reports 32 and 34",
			Change: []Change{ownLabels(nil), targetInjected},
			Later:  []Change{ownLabels(map[string]string{mesh.InjectionLabel: "enabled"})},
			Red:    noProxy.red, Unclear: noProxy.unclear, Cause: "injection-pod-older",
		},
		{
			ID: "pod-security", Title: "Pod Security refuses what the sidecar needs", Why: "step 2 of the guide, in a namespace with the baseline enforced",
			Change:  []Change{Set("Namespace", own, "baseline", "metadata", "labels", "pod-security.kubernetes.io/enforce")},
			Unready: true, Red: nothing.red, Unclear: nothing.unclear, Cause: "pod-security-refused",
		},
		{
			ID: "webhook-left-behind", Title: "The webhook of a removed revision still wants to inject", Why: "field report 35",
			Change: []Change{Add(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: istio-sidecar-injector-1-29-0
  labels:
    app: sidecar-injector
    istio.io/rev: 1-29-0
webhooks:
- name: namespace.sidecar-injector.istio.io
  admissionReviewVersions: ["v1"]
  sideEffects: None
  failurePolicy: Fail
  clientConfig:
    service:
      namespace: istio-system
      name: istiod-1-29-0
      path: /inject
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: ` + own + `
  objectSelector:
    matchLabels:
      app.kubernetes.io/name: prometheus
  rules:
  - apiGroups: [""]
    apiVersions: ["v1"]
    operations: ["CREATE"]
    resources: ["pods"]
`)},
			Unready: true, Red: noPods.red, Cause: "injector-unreachable",
		},
		{
			ID: "istiod-stopped", Title: "istiod does not run when the pods are to be made", Why: "field report 35",
			Mesh:    &MeshChange{Make: outage("istiod-stopped", "istiod is taken away before the pods are made", mesh.RootNamespace, "istiod")},
			Unready: true, Red: nothing.red, Unclear: nothing.unclear, Cause: "injector-unreachable",
		},
		{
			ID: "webhooks-removed", Title: "The cluster has no injection webhook", Why: "field report 34: a tag that was never made, an uninstallation half done",
			Mesh: &MeshChange{Make: withoutWebhooks},
			Red:  noMesh.red, Unclear: noMesh.unclear, Cause: "injector-missing",
		},
	}
}

// withoutWebhooks empties the configuration of Istio's injector.
func withoutWebhooks(client klient.Client) (disrupt.Disruption, error) {
	return disrupt.WithoutWebhooks(client, "istio-sidecar-injector"), nil
}
