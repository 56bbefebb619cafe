package faults

// discoveryFaults are about the way from the monitor to the endpoints. Nothing fails
// in them: what nobody finds is not missed, so that the checks can only say that
// they saw nothing to judge.
func discoveryFaults() []Fault {
	return []Fault{
		{
			ID: "service-label-typo", Title: "The monitor selects a label that no Service has", Why: "field report 13",
			Change:  []Change{ofMonitor("product-page", "spec", "selector", "matchLabels", "app")},
			Unclear: noTargets.unclear, Cause: "service-labels-not-matched",
		},
		{
			ID: "monitor-looks-elsewhere", Title: "The monitor looks for Services in another namespace", Why: "field report 13",
			Change:  []Change{ofMonitor([]string{"bookinfo"}, "spec", "namespaceSelector", "matchNames")},
			Unclear: noTargets.unclear, Cause: "service-namespace-not-selected",
		},
		{
			ID: "port-named-as-in-the-sample", Title: "The Service calls its port http, as Istio's sample does, and the monitor http-9080", Why: "step 3 of the guide; field report 14",
			Change:  []Change{ofService("http", "spec", "ports", "0", "name")},
			Unclear: noTargets.unclear, Cause: "service-port-missing",
		},
		{
			ID: "service-selects-nothing", Title: "The Service selects no pod", Why: "field report 14",
			Change:  []Change{ofService("product-page", "spec", "selector", "app")},
			Unclear: noTargets.unclear, Cause: "service-without-endpoints",
		},
		{
			ID: "relabelings-keep-nothing", Title: "A relabeling of the monitor keeps no target", Why: "field report 19: keep by a label that the pods do not have",
			Change: []Change{ofEndpoint([]map[string]any{{
				"action": "keep", "sourceLabels": []string{"__meta_kubernetes_pod_label_mesh"}, "regex": "istio",
			}}, "relabelings")},
			Unclear: noTargets.unclear, Cause: "targets-dropped",
		},
	}
}
