package faults

import (
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
)

// secondMonitor asks for the same targets once more, by a job of its own.
const secondMonitor = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: productpage-second
  labels:
    team: bookinfo
spec:
  selector:
    matchLabels:
      app: productpage
  fallbackScrapeProtocol: PrometheusText0.0.4
  endpoints:
  - port: http-9080
    interval: 2s
    path: /metrics
    scheme: https
    tlsConfig:
      caFile: /etc/prom-certs/root-cert.pem
      certFile: /etc/prom-certs/cert-chain.pem
      keyFile: /etc/prom-certs/key.pem
      insecureSkipVerify: true
`

// otherOperator hands a Prometheus to an Operator that is not there.
var otherOperator = Annotate("Prometheus", "default", "operator.prometheus.io/controller-id", "monitoring")

// operatorFaults are about what the Operator makes of the objects: it does not act,
// it does not select, it rejects.
func operatorFaults() []Fault {
	return []Fault{
		{
			ID: "operator-stopped", Title: "The Operator does not run when the Prometheus is applied", Why: "step 1 of the guide",
			Mesh:    &MeshChange{Make: outage("operator-stopped", "the Prometheus Operator is taken away", stack.Namespace, "prometheus-operator")},
			Unready: true, Red: noPods.red, Cause: "operator-not-running",
		},
		{
			ID: "prometheus-paused", Title: "The Prometheus is paused", Why: "step 2 of the guide: a pause for maintenance that was forgotten",
			Change:  []Change{ofPrometheus(true, "spec", "paused")},
			Unready: true, Red: noPods.red, Cause: "prometheus-paused",
		},
		{
			ID: "prometheus-named-otherwise", Title: "The Prometheus to be judged has another name", Why: "step 2 of the guide, with a name of one's own",
			Change:  []Change{ofPrometheus("main", "metadata", "name")},
			Unclear: with(noPods.red, unmeshedScraped), Cause: "prometheus-not-found",
		},
		{
			ID: "version-not-a-version", Title: "The version of the Prometheus is no version", Why: "step 2 of the guide: version latest, as of an image",
			Change:  []Change{ofPrometheus("latest", "spec", "version")},
			Unready: true, Red: noPods.red, Cause: "prometheus-not-reconciled",
		},
		{
			ID: "other-operator", Title: "The Prometheus belongs to an Operator that is not there", Why: "several Operators in one cluster, told apart by controller-id",
			Change:  []Change{otherOperator},
			Unready: true, Red: noPods.red, Cause: "pods-missing",
		},
		{
			ID: "other-operator-later", Title: "The Prometheus was handed to an Operator that is not there, and then came a monitor", Why: "the same, of a Prometheus that runs",
			Later: []Change{otherOperator, Add(secondMonitor)},
			Red:   []string{monitorsAccepted, targetsComplete, targetsUp}, Unclear: []string{metricsQueryable}, Cause: "configuration-outdated",
		},
		{
			ID: "quota-without-requests", Title: "A quota of the namespace asks for what the pods of Prometheus do not say", Why: "step 2 of the guide, in a namespace with a ResourceQuota",
			Change: []Change{Add(`
apiVersion: v1
kind: ResourceQuota
metadata:
  name: compute
spec:
  hard:
    requests.cpu: "2"
`)},
			Unready: true, Red: noPods.red, Cause: "pod-creation-refused",
		},
		{
			ID: "selector-unset", Title: "The Prometheus has no selector for monitors", Why: "field report 13",
			Change: []Change{noPrometheus("spec", "serviceMonitorSelector")},
			Red:    notSelected.red, Unclear: notSelected.unclear, Cause: "monitor-selector-unset",
		},
		{
			ID: "label-not-selected", Title: "The monitor does not have the label that the Prometheus selects", Why: "field report 13 and step 3 of the guide",
			Change: []Change{ofMonitor("books", "metadata", "labels", "team")},
			Red:    notSelected.red, Unclear: notSelected.unclear, Cause: "monitor-labels-not-selected",
		},
		{
			ID: "monitor-in-other-namespace", Title: "The monitor is in a namespace in which the Prometheus does not look", Why: "field report 13",
			Change: []Change{
				Move("ServiceMonitor", "productpage"),
				ofMonitor([]string{own}, "spec", "namespaceSelector", "matchNames"),
			},
			Red: notSelected.red, Unclear: notSelected.unclear, Cause: "monitor-namespace-not-selected",
		},
		{
			ID: "file-access-denied", Title: "The Prometheus forbids monitors to name files", Why: "field report 11",
			Change: []Change{ofPrometheus(true, "spec", "arbitraryFSAccessThroughSMs", "deny")},
			Red:    noJob.red, Unclear: noJob.unclear, Cause: "monitor-rejected-file-access",
		},
		{
			ID: "scrape-class-missing", Title: "The monitor names a scrape class that the Prometheus does not have", Why: "field report 11: the hardened way, half done",
			Change: []Change{ofMonitor("mesh", "spec", "scrapeClass")},
			Red:    noJob.red, Unclear: noJob.unclear, Cause: "scrape-class-missing",
		},
		{
			ID: "certificate-without-key", Title: "The monitor names a certificate and no key", Why: "field report 4",
			Change: []Change{noEndpoint("tlsConfig", "keyFile")},
			Red:    noJob.red, Unclear: noJob.unclear, Cause: "monitor-rejected",
		},
		{
			ID: "binding-missing", Title: "Nobody binds the ClusterRole to the account of Prometheus", Why: "step 2 of the guide as it is printed",
			Change: []Change{Remove("ClusterRoleBinding", "prometheus-full-access")},
			Red:    notFound.red, Unclear: notFound.unclear, Cause: "discovery-forbidden",
		},
		{
			ID: "endpointslices-forbidden", Title: "The ClusterRole has no rule for EndpointSlices", Why: "step 2 of the guide as it is printed",
			Change: []Change{Set("ClusterRole", "prometheus-full-access", []string{"endpoints"}, "rules", "1", "resources")},
			Red:    notFound.red, Unclear: notFound.unclear, Cause: "discovery-forbidden",
		},
	}
}

// outage takes a Deployment away for as long as a fault is looked at.
func outage(name, title, namespace, deployment string) func(klient.Client) (disrupt.Disruption, error) {
	return func(client klient.Client) (disrupt.Disruption, error) {
		return disrupt.Outage(client, name, title, namespace, deployment, 0), nil
	}
}
