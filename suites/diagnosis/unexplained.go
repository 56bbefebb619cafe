package diagnosis

import (
	"fmt"
	"slices"

	"istio.io/api/annotation"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// doorRules are about ports that serve metrics to anybody.
var doorRules = []Rule{{
	Code: "side-door-open", Layer: LayerDoors,
	Title:   "A port beside the scraped one serves metrics in plain text to everybody",
	Explain: sideDoorOpen,
}}

func sideDoorOpen(f *facts) []finding {
	var found []finding
	for _, p := range f.o.Probes {
		if p.Kind != observe.SideDoor || !slices.ContainsFunc(p.Attempts, func(a observe.Attempt) bool { return a.Answered && a.Code == 200 }) {
			continue
		}
		change := "close port " + p.Port + " with a NetworkPolicy"
		switch p.Port {
		case "15020":
			change = `set METRICS_LOCALHOST_ACCESS_ONLY to "true" in proxyMetadata`
			if pod := f.pods[p.Pod]; f.o.Mesh.MetricsMerging && (pod == nil || pod.Annotations[annotation.PrometheusMergeMetrics.Name] != "false") {
				change += `, or the pods' annotation prometheus.istio.io/merge-metrics to "false" so that at least the application's metrics are not among what it serves`
			}
		case "15090":
			change = `set METRICS_LOCALHOST_ACCESS_ONLY to "true" in proxyMetadata, or close port 15090 with a NetworkPolicy`
		case "9090":
			change = "close port 9090 of Prometheus with a NetworkPolicy, or set spec.web.tlsConfig of " + firstOf(f.prometheus, "the Prometheus") + ": the guide takes it out of the mesh on purpose"
		}
		found = append(found, certain([]string{"door " + p.Pod + ":" + p.Port}, fmt.Sprintf("%s was answered with 200 by pod %s at port %s, path %s", p.Via, p.Pod, p.Port, p.Path), change))
	}
	return found
}

// unexplained is the last resort: the error of a target about which no other rule
// knows anything better than possible.
var unexplained = Rule{
	Code: "unexplained-error", Layer: LayerError,
	Title: "No setting that was observed explains the error",
	Proof: "the logs of Prometheus and of the target's proxy at the time of a scrape",
	Explain: func(f *facts) []finding {
		var found []finding
		for _, t := range f.targets {
			if t.class == NoError {
				continue
			}
			found = append(found, finding{about: t.aboutScrape(), confidence: reports.Possible,
				seen: fmt.Sprintf("%s (%s)", t.says(), t.class), change: "look first at " + lookFirst(t.class)})
		}
		return found
	},
}
