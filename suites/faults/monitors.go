package faults

// The kinds of monitor that cannot name files themselves: they get them by a scrape
// class of the Prometheus.

// scrapeClass gives the Prometheus a class with the files of the sidecar.
func scrapeClass() Change {
	return ofPrometheus([]map[string]any{{
		"name": "mesh",
		"tlsConfig": map[string]any{
			"caFile": "/etc/prom-certs/root-cert.pem", "certFile": "/etc/prom-certs/cert-chain.pem", "keyFile": "/etc/prom-certs/key.pem",
			"insecureSkipVerify": true,
		},
	}}, "spec", "scrapeClasses")
}

// podMonitor is there instead of the ServiceMonitor, with a scrape class and
// settings of its endpoint, as YAML.
func podMonitor(class, settings string) []Change {
	return []Change{
		Remove("ServiceMonitor", "productpage"),
		scrapeClass(),
		selects("podMonitorSelector"),
		Add(`
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: productpage
  labels:
    team: bookinfo
spec:
  selector:
    matchLabels:
      app: productpage
  fallbackScrapeProtocol: PrometheusText0.0.4
` + class + `
  podMetricsEndpoints:
  - port: http-9080
    interval: 2s
    path: /metrics
` + settings),
	}
}

// selects has the Prometheus select another kind of monitor as it selects
// ServiceMonitors.
func selects(selector string) Change {
	return ofPrometheus(map[string]string{"team": "bookinfo"}, "spec", selector, "matchLabels")
}

const (
	meshClass  = "  scrapeClass: mesh"
	overHTTPS  = "    scheme: https\n"
	unverified = overHTTPS + "    tlsConfig:\n      insecureSkipVerify: true\n"
)

// monitorFaults are about the monitors other than ServiceMonitors.
func monitorFaults() []Fault {
	// A monitor that is rejected keeps the others' targets from being judged, where its
	// own cannot be worked out.
	lost := effect{red: []string{monitorsAccepted}, unclear: ofTargets}
	return []Fault{
		{
			ID: "pod-monitor-without-class", Title: "A PodMonitor has no scrape class, and so no certificate", Why: "facts 4: PodMonitors cannot name files",
			Change: podMonitor("", unverified),
			Red:    cutOff.red, Unclear: with(cutOff.unclear, certificatesMounted, certificateOwn), Cause: "client-certificate-not-configured",
		},
		{
			ID: "pod-monitor-class-missing", Title: "A PodMonitor names a scrape class that there is none of", Why: "facts 4",
			Change: podMonitor("  scrapeClass: istio", unverified),
			Red:    noJob.red, Unclear: with(noJob.unclear, certificatesMounted, certificateOwn), Cause: "scrape-class-missing",
		},
		{
			ID: "pod-monitor-own-settings", Title: "A PodMonitor has TLS settings of its own, so that only files come from its class", Why: "facts 4: insecureSkipVerify is not merged",
			Change: podMonitor(meshClass, overHTTPS+"    tlsConfig:\n      minVersion: TLS12\n"),
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "insecure-skip-verify-missing",
		},
		{
			ID: "pod-monitor-scheme-missing", Title: "A PodMonitor leaves the scheme to its class, which has none", Why: "facts 4: scheme must be on the monitor",
			Change: podMonitor(meshClass, ""),
			Red:    []string{targetsUp, metricsQueryable}, Unclear: with(refusals, notIntercepted, mutualTLS, doorsKnown), Cause: "scheme-http-on-strict",
		},
		{
			ID: "pod-monitor-without-service", Title: "A PodMonitor asks at a port that no Service declares", Why: "field report 15 and facts 3.3",
			Change: append(podMonitor(meshClass, overHTTPS), Remove("Service", "productpage")),
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "port-not-http",
		},
		{
			ID: "class-path-typo", Title: "A scrape class names the root's file with a typing error", Why: "field reports 4 and 11",
			Change: append(podMonitor(meshClass, overHTTPS),
				ofPrometheus("/etc/prom-cert/root-cert.pem", "spec", "scrapeClasses", "0", "tlsConfig", "caFile")),
			Red: noFiles.red, Unclear: noFiles.unclear, Cause: "certificate-path-elsewhere",
		},
		{
			ID: "scrape-config-class-missing", Title: "A ScrapeConfig names a scrape class that there is none of", Why: "facts 4",
			Change: []Change{selects("scrapeConfigSelector"), Add(`
apiVersion: monitoring.coreos.com/v1alpha1
kind: ScrapeConfig
metadata:
  name: productpage
  labels:
    team: bookinfo
spec:
  scrapeClass: istio
  scheme: HTTPS
  staticConfigs:
  - targets: ["productpage.` + own + `.svc:9080"]
`)},
			Red: lost.red, Unclear: lost.unclear, Cause: "scrape-class-missing",
		},
		{
			ID: "probe-rejected", Title: "A Probe names its prober with a scheme", Why: "facts 4: rejected without a word to the one who applied it",
			Change: []Change{selects("probeSelector"), Add(`
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata:
  name: productpage
  labels:
    team: bookinfo
spec:
  prober:
    url: http://blackbox.monitoring.svc:9115
  targets:
    staticConfig:
      static: ["productpage.` + own + `.svc:9080"]
`)},
			Red: lost.red, Unclear: lost.unclear, Cause: "monitor-rejected",
		},
	}
}
