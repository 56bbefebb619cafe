package sandbox

import (
	"slices"
	"strings"

	"istio.io/api/annotation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

const quotaName = "mtls-scrape-sandbox"

// quota bounds what a run can take of the cluster. It counts objects and not cpu or
// memory, which would need requests on every container, sidecars included. The set-up
// has 13 pods; a rollout and pods that are ending come on top.
func quota() *unstructured.Unstructured {
	return object("v1", "ResourceQuota", quotaName, map[string]any{
		"hard": map[string]any{
			"pods":                    "30",
			"services":                "12",
			"services.loadbalancers":  "0",
			"services.nodeports":      "0",
			"persistentvolumeclaims":  "0",
			"count/deployments.apps":  "12",
			"count/statefulsets.apps": "2",
			"count/replicasets.apps":  "40",
			"count/jobs.batch":        "0",
			"count/secrets":           "30",
			"count/configmaps":        "20",
		},
	})
}

// accessLog has the sidecars of the namespace log who came with which certificate, as
// the suite's own mesh has all of them do. Whatever else they log they go on to log.
func accessLog() *unstructured.Unstructured {
	const extensions = "type.googleapis.com/envoy.extensions."
	return object("networking.istio.io/v1alpha3", "EnvoyFilter", "mtls-scrape-access-log", map[string]any{
		"configPatches": []any{map[string]any{
			"applyTo": "NETWORK_FILTER",
			"match": map[string]any{
				"context": "SIDECAR_INBOUND",
				"listener": map[string]any{"filterChain": map[string]any{"filter": map[string]any{
					"name": "envoy.filters.network.http_connection_manager",
				}}},
			},
			"patch": map[string]any{
				"operation": "MERGE",
				"value": map[string]any{"typed_config": map[string]any{
					"@type": extensions + "filters.network.http_connection_manager.v3.HttpConnectionManager",
					"access_log": []any{map[string]any{
						"name": "envoy.access_loggers.file",
						"typed_config": map[string]any{
							"@type":      extensions + "access_loggers.file.v3.FileAccessLog",
							"path":       "/dev/stdout",
							"log_format": map[string]any{"json_format": fields()},
						},
					}},
				}},
			},
		}},
	})
}

// fields is a copy: what is put into an object must not be shared.
func fields() map[string]any {
	all := map[string]any{}
	for name, command := range mesh.AccessLogFields {
		all[name] = command
	}
	return all
}

func object(version, kind, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": kind, "spec": spec}}
	u.SetName(name)
	u.SetNamespace(Namespace)
	return u
}

// namespaced makes a Role of a ClusterRole and a RoleBinding of its binding: all that
// the guide's monitors discover is beside Prometheus. What a Role cannot give, nodes and
// URLs of the API server itself, is left out.
func namespaced(u *unstructured.Unstructured) {
	switch u.GetKind() {
	case "ClusterRole":
		rules, _, _ := unstructured.NestedSlice(u.Object, "rules")
		var kept []any
		for _, r := range rules {
			rule, ok := r.(map[string]any)
			if !ok || rule["nonResourceURLs"] != nil {
				continue
			}
			resources, _, _ := unstructured.NestedStringSlice(rule, "resources")
			resources = slices.DeleteFunc(resources, func(r string) bool { return r == "nodes" || strings.HasPrefix(r, "nodes/") })
			if len(resources) > 0 {
				manifests.Set(anys(resources), "resources")(&unstructured.Unstructured{Object: rule})
				kept = append(kept, rule)
			}
		}
		manifests.Set(kept, "rules")(u)
		u.SetKind("Role")
		u.SetNamespace(Namespace)
	case "ClusterRoleBinding":
		manifests.Set("Role", "roleRef", "kind")(u)
		u.SetKind("RoleBinding")
		u.SetNamespace(Namespace)
	}
}

func anys(texts []string) []any {
	all := make([]any, len(texts))
	for i, t := range texts {
		all[i] = t
	}
	return all
}

// counting has the sidecars of the targets keep the counters that tell why a handshake
// was refused, which Istio does only if asked. The suite's own mesh asks all of them.
func counting(u *unstructured.Unstructured) {
	if u.GetKind() != "Deployment" {
		return
	}
	path := []string{"spec", "template", "metadata", "annotations", annotation.ProxyConfig.Name}
	config, _, _ := unstructured.NestedString(u.Object, path...)
	manifests.Set(config+"proxyStatsMatcher:\n  inclusionRegexps:\n  - '"+mesh.TLSCounters+"'\n", path...)(u)
}

// labelled marks an object as of this run, and the pods that come of it. Theirs is the
// run alone: the Operator has them say that it manages them.
func (s *Sandbox) labelled(u *unstructured.Unstructured) {
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	for k, v := range s.labels() {
		labels[k] = v
	}
	u.SetLabels(labels)
	switch u.GetKind() {
	case "Deployment":
		manifests.Set(s.RunID, "spec", "template", "metadata", "labels", RunLabel)(u)
	case "Prometheus":
		manifests.Set(s.RunID, "spec", "podMetadata", "labels", RunLabel)(u)
	}
}

// restricted gives pods what the level "restricted" of the Pod Security Standards
// demands of them. Sidecars are the mesh's to make so.
func restricted(u *unstructured.Unstructured) {
	switch u.GetKind() {
	case "Pod":
		restrictPod(u, "spec")
	case "Deployment":
		restrictPod(u, "spec", "template", "spec")
	case "Prometheus": // its containers are the Operator's, which restricts them itself
		setAt(u, podSecurity(), "spec", "securityContext")
		// Its image names its user, nobody, and a kubelet cannot tell by a name that it is
		// not root.
		manifests.Set(nobody, "spec", "securityContext", "runAsUser")(u)
	}
}

// nobody is the number of that user in Prometheus' image.
const nobody int64 = 65534

func podSecurity() map[string]any {
	return map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}}
}

func restrictPod(u *unstructured.Unstructured, path ...string) {
	setAt(u, podSecurity(), append(slices.Clone(path), "securityContext")...)
	at := append(slices.Clone(path), "containers")
	containers, _, _ := unstructured.NestedSlice(u.Object, at...)
	for _, c := range containers {
		if container, ok := c.(map[string]any); ok {
			setAt(&unstructured.Unstructured{Object: container}, map[string]any{
				"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}},
			}, "securityContext")
		}
	}
	manifests.Set(containers, at...)(u)
}

// setAt sets some fields of an object at a path and leaves its others.
func setAt(u *unstructured.Unstructured, values map[string]any, path ...string) {
	for k, v := range values {
		manifests.Set(v, append(slices.Clone(path), k)...)(u)
	}
}
