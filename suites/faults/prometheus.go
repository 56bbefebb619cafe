package faults

import (
	"istio.io/api/annotation"
)

// prometheusFaults are about the pod of Prometheus: what it mounts, what it is
// started with, what it loads.
func prometheusFaults() []Fault {
	return []Fault{
		{
			ID: "volume-missing", Title: "The volume for the certificates is mounted and not defined", Why: "field report 2",
			Change:  []Change{noPrometheus("spec", "volumes")},
			Unready: true, Red: noPods.red, Cause: "volume-not-defined",
		},
		{
			ID: "proxy-mounts-other-name", Title: "The sidecar's mount names a volume that there is none of", Why: "field report 2, one of the two names misspelt",
			Change: []Change{ofPrometheus(`[{"name": "istio-cert", "mountPath": "/etc/istio-output-certs"}]`,
				"spec", "podMetadata", "annotations", annotation.SidecarUserVolumeMount.Name)},
			Unready: true, Red: noPods.red, Cause: "volume-not-defined",
		},
		{
			ID: "user-volume-mount-yaml", Title: "The annotation for the sidecar's mount is YAML, not JSON", Why: "field report 2, a relative of it",
			Change: []Change{ofPrometheus(`[{name: istio-certs, mountPath: /etc/istio-output-certs}]`,
				"spec", "podMetadata", "annotations", annotation.SidecarUserVolumeMount.Name)},
			Unready: true, Red: noPods.red, Cause: "user-volume-mount-malformed",
		},
		{
			ID: "proxy-config-number", Title: "A variable of the sidecar is a number, not a text", Why: "facts 2.1: proxyMetadata takes texts only",
			Change:  []Change{prometheusVariable("SECRET_TTL", 3600)},
			Unready: true, Red: noPods.red, Cause: "proxy-config-malformed",
		},
		{
			ID: "output-certs-missing", Title: "The sidecar is not told to write its certificates", Why: "step 2 of the guide, an annotation left out",
			Change: []Change{prometheusVariable("OUTPUT_CERTS", nil)},
			Red:    noFiles.red, Unclear: noFiles.unclear, Cause: "output-certs-not-set",
		},
		{
			ID: "user-volume-mount-missing", Title: "The sidecar does not mount the volume that it is to write to", Why: "step 2 of the guide, an annotation left out",
			Change:  []Change{noPrometheus("spec", "podMetadata", "annotations", annotation.SidecarUserVolumeMount.Name)},
			Unready: true, Red: proxyWaits.red, Unclear: proxyWaits.unclear, Cause: "user-volume-mount-missing",
		},
		{
			ID: "output-certs-elsewhere", Title: "The sidecar writes beside the volume", Why: "step 2 of the guide: two paths that must be the same",
			Change:  []Change{prometheusVariable("OUTPUT_CERTS", "/etc/istio-certs")},
			Unready: true, Red: proxyWaits.red, Unclear: proxyWaits.unclear, Cause: "output-certs-elsewhere",
		},
		{
			ID: "volume-mounts-missing", Title: "Prometheus does not mount the volume", Why: "field report 2",
			Change: []Change{noPrometheus("spec", "volumeMounts")},
			Red:    noFiles.red, Unclear: noFiles.unclear, Cause: "prometheus-volume-mount-missing",
		},
		{
			ID: "volumes-differ", Title: "Prometheus and its sidecar mount different volumes", Why: "field report 2",
			Change: []Change{
				ofPrometheus(map[string]any{"name": "prom-certs", "emptyDir": map[string]any{"medium": "Memory"}}, "spec", "volumes", "1"),
				ofPrometheus("prom-certs", "spec", "volumeMounts", "0", "name"),
			},
			Red: noFiles.red, Unclear: noFiles.unclear, Cause: "volumes-differ",
		},
		{
			ID: "mounted-elsewhere", Title: "Prometheus mounts the volume where no monitor looks", Why: "the note at the end of the guide: paths of the monitor and of the mount must match",
			Change: []Change{ofPrometheus("/etc/certs-of-prometheus/", "spec", "volumeMounts", "0", "mountPath")},
			Red:    noFiles.red, Unclear: noFiles.unclear, Cause: "certificate-path-elsewhere",
		},
		{
			ID: "unknown-argument", Title: "Prometheus is started with an argument that it does not know", Why: "step 2 of the guide, with an argument of one's own",
			Change:  []Change{ofPrometheus([]map[string]any{{"name": "storage.tsdb.no-such-flag"}}, "spec", "additionalArgs")},
			Unready: true, Unclear: notRunning.unclear, Cause: "prometheus-pod-not-ready",
		},
		{
			ID: "route-prefix", Title: "Prometheus serves its API below a path", Why: "a Prometheus behind an ingress",
			Change:  []Change{ofPrometheus("/prometheus", "spec", "routePrefix")},
			Unclear: unreachable.unclear, Cause: "prometheus-not-reachable",
		},
		{
			ID: "reload-refused", Title: "Prometheus refuses a change of its configuration", Why: "facts 3.2: two remote writes of one name",
			Later: []Change{ofPrometheus([]map[string]any{
				{"name": "store", "url": "http://127.0.0.1:9/a"}, {"name": "store", "url": "http://127.0.0.1:9/b"},
			}, "spec", "remoteWrite")},
			Red: []string{targetsComplete}, Cause: "configuration-not-loaded",
		},
	}
}
