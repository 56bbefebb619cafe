package faults

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// peerAuthentication is a policy of the namespace; spec is indented as below it.
func peerAuthentication(spec string) Change {
	return Add(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: productpage
spec:
` + spec)
}

// authorization is a policy for productpage.
func authorization(spec string) Change {
	return Add(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: productpage
spec:
  selector:
    matchLabels:
      app: productpage
` + spec)
}

// admits is a policy that admits one principal.
func admits(principal string) Change {
	return authorization(`
  action: ALLOW
  rules:
  - from:
    - source:
        principals: ["` + principal + `"]
`)
}

// policyFaults are about the mode of mutual TLS, authorization and the trust domain.
func policyFaults() []Fault {
	denied := effect{red: with(answered.red, identityAuthorized)}
	return []Fault{
		{
			ID: "namespace-permissive", Title: "The namespace is PERMISSIVE", Why: "field report 18",
			Change: []Change{peerAuthentication("  mtls:\n    mode: PERMISSIVE\n")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "mtls-permissive",
		},
		{
			ID: "port-permissive", Title: "The one port is PERMISSIVE", Why: "field report 18",
			Change: []Change{peerAuthentication("  selector:\n    matchLabels:\n      app: productpage\n  portLevelMtls:\n    9080:\n      mode: PERMISSIVE\n")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "mtls-permissive",
		},
		{
			ID: "workload-disabled", Title: "Mutual TLS is switched off for the workload", Why: "field report 18",
			Change: []Change{peerAuthentication("  selector:\n    matchLabels:\n      app: productpage\n  mtls:\n    mode: DISABLE\n")},
			Red:    cutOff.red, Unclear: cutOff.unclear, Cause: "mtls-disabled",
		},
		{
			ID: "mesh-permissive", Title: "The whole mesh is PERMISSIVE, as Istio is by itself", Why: "field report 18",
			Mesh: &MeshChange{Make: permissiveMesh}, // a connection from before would go on for as long as Envoy drains it, which is 45 s
			Red:  cutOff.red, Unclear: cutOff.unclear, Cause: "mtls-permissive",
		},
		{
			ID: "policy-other-principal", Title: "A policy admits another Prometheus", Why: "field report 21",
			Change: []Change{admits("cluster.local/ns/monitoring/sa/prometheus")},
			Red:    denied.red, Cause: "authorization-denies-prometheus",
		},
		{
			ID: "policy-with-scheme", Title: "A policy names Prometheus with spiffe:// before its name", Why: "field report 21: principals are without the scheme",
			Change: []Change{admits("spiffe://cluster.local/ns/" + own + "/sa/prometheus-full-access")},
			Red:    denied.red, Cause: "authorization-denies-prometheus",
		},
		{
			ID: "policy-deny-all", Title: "A policy without a rule denies everybody", Why: "field report 21",
			Change: []Change{authorization("  action: ALLOW\n")},
			Red:    denied.red, Cause: "authorization-denies-prometheus",
		},
		{
			ID: "policy-denies-namespace", Title: "A policy denies everybody of Prometheus' namespace", Why: "field report 21",
			Change: []Change{authorization(`
  action: DENY
  rules:
  - from:
    - source:
        namespaces: ["` + own + `"]
`)},
			Red: denied.red, Cause: "authorization-denies-prometheus",
		},
		{
			ID: "policy-path-on-tcp", Title: "A policy admits Prometheus to a path, at a port that Istio takes for TCP", Why: "field report 21",
			Change: []Change{
				ofService("tcp-9080", "spec", "ports", "0", "name"), ofEndpoint("tcp-9080", "port"), ofEndpoint(false, "enableHttp2"),
				authorization(`
  action: ALLOW
  rules:
  - from:
    - source:
        principals: ["cluster.local/ns/` + own + `/sa/prometheus-full-access"]
    to:
    - operation:
        paths: ["/metrics"]
`),
			},
			Red: cutOff.red, Unclear: with(cutOff.unclear, identityAuthorized), Cause: "authorization-http-rule-on-tcp-port",
		},
		{
			ID: "trust-domain-changed", Title: "The mesh got another trust domain, and Prometheus' certificate is from before", Why: "field report 39",
			Mesh: &MeshChange{Late: true, Make: otherTrustDomain},
			Red:  []string{certificateOwn}, Unclear: with(answered.red, notIntercepted, mutualTLS), Cause: "trust-domain-mismatch",
		},
	}
}

// permissiveMesh changes the policy of the whole mesh.
func permissiveMesh(client klient.Client) (disrupt.Disruption, error) {
	return disrupt.PermissiveMesh(client), nil
}

// otherTrustDomain changes the configuration of the mesh.
func otherTrustDomain(client klient.Client) (disrupt.Disruption, error) {
	ref := disrupt.ObjectRef{
		GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
		Namespace:        mesh.RootNamespace, Name: "istio",
	}
	return disrupt.Patch(client, "trust-domain-changed", "the mesh gets another trust domain", ref, func(object map[string]any) (map[string]any, error) {
		data, _ := object["data"].(map[string]any)
		text, _ := data["mesh"].(string)
		config := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &config); err != nil || len(config) == 0 {
			return nil, fmt.Errorf("its field data.mesh is not the configuration of a mesh: %w", err)
		}
		config["trustDomain"] = "another.example"
		changed, err := yaml.Marshal(config)
		return map[string]any{"data": map[string]any{"mesh": string(changed)}}, err
	}), nil
}
