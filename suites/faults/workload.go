package faults

import (
	_ "embed" // for the server

	"istio.io/api/annotation"
	"istio.io/api/label"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// server stands in for productpage where that is to do something wrong.
//
//go:embed server.py
var server string

// serves has a container of a workload run the server, with options.
func serves(deployment string, options ...string) Change {
	command := append([]string{"python3", "-c", server}, options...)
	c := Set("Deployment", deployment, command, "spec", "template", "spec", "containers", "0", "command")
	c.What = objectName("Deployment", deployment) + ": it runs a server with the options " + shown(options)
	return c
}

func productpageServes(options ...string) Change { return serves("productpage-v1", options...) }

const unmeshedName = "mtls-scrape-unmeshed"

// unmeshed adds the workload that the mesh does not have, and its monitor.
func unmeshed() Change {
	return Change{
		What: "there is Deployment " + unmeshedName + ", which has no sidecar, with a Service and a monitor",
		do: func(s *Subject) error {
			objects, err := manifests.Read(manifests.Unmeshed)
			if err == nil {
				s.add(manifests.Apply(objects, calm.Edits()...)...)
			}
			return err
		},
	}
}

// workloadFaults are about the target: its pod, its sidecar, its application. The
// ones without a sidecar are scraped beside it.
func workloadFaults() []Fault {
	beside := effect{red: []string{unmeshedScraped, targetsUp}, unclear: []string{metricsQueryable}}
	return []Fault{
		{
			ID: "target-not-injected", Title: "The target has no sidecar and is asked over TLS", Why: "field report 19",
			Change: []Change{ofWorkload("false", "metadata", "labels", label.SidecarInject.Name)},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "target-not-in-mesh",
		},
		{
			ID: "inbound-port-excluded", Title: "The target's sidecar leaves the port alone", Why: "field report 19",
			Change: []Change{ofWorkload("9080", "metadata", "annotations", annotation.SidecarTrafficExcludeInboundPorts.Name)},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "target-port-not-captured",
		},
		{
			ID: "target-does-not-start", Title: "The target's container waits for a Secret that there is none of", Why: "a target that is down for a reason of its own",
			Change: []Change{ofContainer([]map[string]any{{
				"name": "TOKEN", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "productpage-token", "key": "token"}},
			}}, "env")},
			Unready: true, Red: answered.red, Cause: "target-pod-not-ready",
		},
		{
			ID: "listens-on-localhost", Title: "The application listens on localhost only", Why: "the sidecar asks it at the pod's address",
			Change:  []Change{productpageServes("--address", "127.0.0.1")},
			Unready: true, Red: answered.red, Cause: "application-loopback-only",
		},
		{
			ID: "target-port-wrong", Title: "The Service leads to a port on which nobody listens", Why: "field report 14",
			Change: []Change{ofService(9081, "spec", "ports", "0", "targetPort")},
			Red:    answered.red, Cause: "application-not-listening",
		},
		{
			ID: "path-wrong", Title: "The monitor names a path that there is none of", Why: "step 3 of the guide",
			Change: []Change{ofEndpoint("/metricz", "path")},
			Red:    answered.red, Cause: "metrics-path-wrong",
		},
		{
			ID: "asks-for-credentials", Title: "The application itself asks for credentials", Why: "not to be taken for a policy of the mesh",
			Change: []Change{productpageServes("--status", "401")},
			Red:    answered.red, Cause: "application-denies",
		},
		{
			ID: "answers-500", Title: "The application fails", Why: "not to be taken for something of the mesh",
			Change: []Change{productpageServes("--status", "500")},
			Red:    answered.red, Cause: "application-error",
		},
		{
			ID: "answers-late", Title: "The application takes longer than a scrape may", Why: "not to be taken for something of the network",
			Change: []Change{productpageServes("--delay", "5")},
			Red:    answered.red, Cause: "application-slow",
		},
		{
			// Behind the redirection the port is that of the proxy.
			ID: "firewall", Title: "A firewall keeps Prometheus from the target", Why: "not to be taken for something of the application",
			Change: []Change{ofWorkload([]map[string]any{{
				"name": "firewall", "image": image.Find("proxyv2").Reference, "imagePullPolicy": "IfNotPresent",
				"command": []string{"iptables", "-I", "INPUT", "-p", "tcp", "--dport", "15006", "-j", "REJECT", "--reject-with", "icmp-host-prohibited"},
				"securityContext": map[string]any{
					"runAsUser": 0, "runAsNonRoot": false,
					"capabilities": map[string]any{"add": []string{"NET_ADMIN", "NET_RAW"}, "drop": []string{"ALL"}},
				},
			}}, "spec", "initContainers")},
			Red: cutOff.red, Unclear: cutOff.unclear, Cause: "network-blocked",
		},
		{
			ID: "content-type", Title: "The metrics come as HTML, and the monitor has no fallback", Why: "step 3 of the guide as it is printed, with Prometheus 3",
			Change: []Change{productpageServes("--type", "text/html; charset=utf-8"), Unset("ServiceMonitor", "productpage", "spec", "fallbackScrapeProtocol")},
			Red:    answered.red, Cause: "content-type-refused",
		},
		{
			ID: "page-instead-of-metrics", Title: "The monitor names the path of a page", Why: "step 3 of the guide",
			Change: []Change{ofEndpoint("/", "path")},
			Red:    answered.red, Cause: "not-metrics",
		},
		{
			ID: "sample-limit", Title: "The target serves more samples than the monitor allows", Why: "limits of the Prometheus object, which hold for every monitor",
			Change: []Change{ofMonitor(1, "spec", "sampleLimit")},
			Red:    answered.red, Cause: "scrape-limit-exceeded",
		},
		{
			ID: "unmeshed-port-wrong", Title: "The Service of a workload without a sidecar leads to a port on which nobody listens", Why: "field report 19: what is outside the mesh must go on",
			Change: []Change{unmeshed(), Set("Service", unmeshedName, 9081, "spec", "ports", "0", "targetPort")},
			Red:    beside.red, Unclear: beside.unclear, Cause: "application-not-listening",
		},
		{
			ID: "unmeshed-restarts", Title: "A workload without a sidecar ended once, and hangs since", Why: "not to be taken for something of the network",
			Change: []Change{unmeshed(), serves(unmeshedName, "--once", "/tmp/started", "--delay", "3600")},
			Red:    beside.red, Unclear: beside.unclear, Cause: "application-restarting",
		},
		{
			ID: "metrics-merged", Title: "The target's agent serves the application's metrics in plain text", Why: "facts 5.3: merging is on by itself",
			Change:   []Change{Unset("Deployment", "productpage-v1", "spec", "template", "metadata", "annotations", annotation.PrometheusMergeMetrics.Name)},
			Optional: []string{strictDoors},
			Red:      []string{strictDoors}, Cause: "side-door-open",
		},
	}
}
