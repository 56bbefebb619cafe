package diagnosis

import (
	"slices"
	"strings"
)

// Layer is a part of the way from the operator's selectors to the application's
// socket.
type Layer string

// The layers, in the order of that way.
const (
	LayerOperator      Layer = "operator"      // the Prometheus object, its operator, its pods
	LayerControlPlane  Layer = "control plane" // istiod and its webhooks
	LayerInjection     Layer = "injection"     // the proxy in the Prometheus pod
	LayerFiles         Layer = "files"         // the certificates on their way into the Prometheus container
	LayerTrust         Layer = "trust"         // whose certificate it is and who believes it
	LayerMonitors      Layer = "monitors"      // selected, accepted
	LayerDiscovery     Layer = "discovery"     // Services, ports, endpoints, access
	LayerConfiguration Layer = "configuration" // what Prometheus made of the monitors
	LayerClient        Layer = "client"        // how Prometheus asks, and which version asks
	LayerTarget        Layer = "target"        // the target's pod and its proxy
	LayerPolicy        Layer = "policy"        // PeerAuthentication and AuthorizationPolicy
	LayerProtocol      Layer = "protocol"      // what Istio takes the port for
	LayerCapture       Layer = "capture"       // traffic that passes Prometheus' own proxy
	LayerApplication   Layer = "application"   // behind the target's proxy
	LayerRotation      Layer = "rotation"      // how certificates are renewed
	LayerOutage        Layer = "outage"        // what was taken away for too long
	LayerDoors         Layer = "side doors"    // ports that serve metrics without mTLS
	LayerError         Layer = "error"         // what the error text alone says
)

// setupChecks look at one stretch of the way only: what lies elsewhere cannot
// explain them. Every check that is not listed needs the whole way.
var setupChecks = map[string][]Layer{
	"prometheus-sidecar-injected": {LayerOperator, LayerControlPlane, LayerInjection},
	"certificates-mounted":        {LayerOperator, LayerControlPlane, LayerInjection, LayerFiles, LayerMonitors},
	"certificate-identity":        {LayerOperator, LayerControlPlane, LayerInjection, LayerFiles, LayerTrust, LayerMonitors},
	"traffic-not-intercepted":     {LayerOperator, LayerControlPlane, LayerInjection, LayerCapture},
	"monitors-accepted":           {LayerOperator, LayerControlPlane, LayerInjection, LayerFiles, LayerMonitors, LayerConfiguration},
	"targets-complete":            {LayerOperator, LayerControlPlane, LayerInjection, LayerFiles, LayerMonitors, LayerDiscovery, LayerConfiguration, LayerClient},
	"strict-side-doors":           {LayerDoors},
}

// concerns reports whether something wrong in a layer can explain a check.
func concerns(check string, l Layer) bool {
	if layers, ok := setupChecks[check]; ok {
		return slices.Contains(layers, l)
	}
	switch l {
	case LayerCapture: // a scrape that passes Prometheus' own proxy mostly works: what it does harm to is whose data it is
		return check == "metrics-queryable" || check == "mutual-tls-on-the-wire"
	case LayerRotation:
		return strings.Contains(check, "rotat")
	case LayerOutage:
		return check == controlPlaneOutage+"-survived"
	case LayerDoors:
		return false // only what is asked for it
	}
	return true
}
