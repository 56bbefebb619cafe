package faults

// protocolFaults are about how Prometheus asks, and what the target's proxy takes
// the port for.
func protocolFaults() []Fault {
	return []Fault{
		{
			ID: "scheme-http", Title: "The monitor asks in plain text", Why: "step 3 of the guide, a line left out",
			Change: []Change{ofEndpoint("http", "scheme")},
			Red:    []string{targetsUp, metricsQueryable}, Unclear: with(refusals, notIntercepted, mutualTLS, doorsKnown), Cause: "scheme-http-on-strict",
		},
		{
			ID: "no-client-certificate", Title: "The monitor names no client certificate", Why: "step 3 of the guide, two lines left out",
			Change: []Change{noEndpoint("tlsConfig", "certFile"), noEndpoint("tlsConfig", "keyFile")},
			Red:    with(answered.red, certificatesMounted), Unclear: with(cutOff.unclear, certificateOwn), Cause: "client-certificate-not-configured",
		},
		{
			ID: "no-skip-verify", Title: "Prometheus is to verify the target's certificate", Why: "step 3 of the guide, a line left out",
			Change: []Change{noEndpoint("tlsConfig", "insecureSkipVerify")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "insecure-skip-verify-missing",
		},
		{
			ID: "server-name", Title: "Prometheus is to verify the target's certificate by a host name", Why: "step 3 of the guide, improved upon",
			Change: []Change{ofEndpoint("productpage."+own+".svc", "tlsConfig", "serverName"), noEndpoint("tlsConfig", "insecureSkipVerify")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "server-name-cannot-match",
		},
		{
			ID: "tls-too-old", Title: "Prometheus is to use a version of TLS that nobody offers any more", Why: "an error that no rule knows: where to look is all that can be said",
			Change: []Change{ofEndpoint("TLS11", "tlsConfig", "maxVersion")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "unexplained-error",
		},
		{
			ID: "port-named-metrics", Title: "The name of the port says nothing about HTTP", Why: "field report 15",
			Change: []Change{ofService("metrics", "spec", "ports", "0", "name"), ofEndpoint("metrics", "port")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "port-not-http",
		},
		{
			ID: "app-protocol-tcp", Title: "The Service says that its port is TCP", Why: "field report 15",
			Change: []Change{ofService("tcp", "spec", "ports", "0", "appProtocol")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "port-not-http",
		},
		{
			// The oldest Service decides, and of those of one second the first by name.
			ID: "older-service-tcp", Title: "An older Service leads to the same pods and calls the port TCP", Why: "field report 15; Istio goes by the oldest Service",
			Change: []Change{Add(`
apiVersion: v1
kind: Service
metadata:
  name: bookinfo-tcp
spec:
  selector:
    app: productpage
  ports:
  - name: tcp-9080
    port: 9080
`)},
			Red: cutOff.red, Unclear: cutOff.unclear, Cause: "services-disagree-on-protocol",
		},
	}
}
