package faults

const (
	inboundAnnotation  = "traffic.sidecar.istio.io/includeInboundPorts"
	outboundAnnotation = "traffic.sidecar.istio.io/includeOutboundIPRanges"
)

// captureFaults are about Prometheus' traffic passing its own sidecar.
func captureFaults() []Fault {
	return []Fault{
		{
			ID: "outbound-captured", Title: "What Prometheus asks passes its own sidecar", Why: "field report 23; an older edition of the guide",
			Change: []Change{noPrometheus("spec", "podMetadata", "annotations", outboundAnnotation)},
			Red:    []string{notIntercepted}, Cause: "prometheus-outbound-captured",
		},
		{
			ID: "inbound-captured", Title: "Who asks Prometheus meets its own sidecar", Why: "field report 25; an older edition of the guide",
			Change: []Change{noPrometheus("spec", "podMetadata", "annotations", inboundAnnotation)},
			Red:    []string{notIntercepted}, Unclear: without(unreachable.unclear, notIntercepted), Cause: "prometheus-inbound-captured",
		},
	}
}
