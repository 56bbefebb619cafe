package faults

import (
	"istio.io/api/annotation"
)

// captureFaults are about Prometheus' traffic passing its own sidecar.
func captureFaults() []Fault {
	return []Fault{
		{
			ID: "outbound-captured", Title: "What Prometheus asks passes its own sidecar", Why: "field report 23; an older edition of the guide",
			Change: []Change{noPrometheus("spec", "podMetadata", "annotations", annotation.SidecarTrafficIncludeOutboundIPRanges.Name)},
			Red:    []string{notIntercepted}, Cause: "prometheus-outbound-captured",
		},
		{
			ID: "inbound-captured", Title: "Who asks Prometheus meets its own sidecar", Why: "field report 25; an older edition of the guide",
			Change: []Change{noPrometheus("spec", "podMetadata", "annotations", annotation.SidecarTrafficIncludeInboundPorts.Name)},
			Red:    []string{notIntercepted}, Unclear: without(unreachable.unclear, notIntercepted), Cause: "prometheus-inbound-captured",
		},
	}
}
