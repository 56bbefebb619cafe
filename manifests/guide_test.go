package manifests

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// corrections are all differences between the guide as printed and what is
// applied, each with the line of the manifest that carries it.
var corrections = map[string]struct {
	change string // what it was => what it is
	line   string // below a comment that begins with "Corrected"
}{
	"ClusterRole prometheus-full-access: rules[1]": {"nothing => map[apiGroups:[discovery.k8s.io] resources:[endpointslices] verbs:[get list watch]]", `- apiGroups: ["discovery.k8s.io"]`},
	"ClusterRoleBinding prometheus-full-access":    {"nothing => an object", "apiVersion: rbac.authorization.k8s.io/v1"},
	"Prometheus default: spec.image":               {"nothing => quay.io/prometheus/prometheus:v3.16.0", "image: quay.io/prometheus/prometheus:v3.16.0"},
	"Prometheus default: spec.version":             {"v2.26.0 => v3.16.0", "version: v3.16.0"},
	"Prometheus default: spec.serviceDiscoveryRole": {
		"nothing => EndpointSlice", "serviceDiscoveryRole: EndpointSlice",
	},
	"ServiceMonitor productpage: spec.fallbackScrapeProtocol": {
		"nothing => PrometheusText0.0.4", "fallbackScrapeProtocol: PrometheusText0.0.4",
	},
}

func printed(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile("testdata/guide-as-printed.yaml")
	require.NoError(t, err)
	objects, err := Parse(content)
	require.NoError(t, err)
	return objects
}

func TestTheGuideIsAppliedAsPrintedButForTheCorrections(t *testing.T) {
	applied, err := Read(Guide)
	require.NoError(t, err)
	got := map[string]string{}
	was, is := byName(printed(t)), byName(applied)
	for name := range was {
		require.Contains(t, is, name)
	}
	for name, u := range is {
		if was[name] == nil {
			got[name] = "nothing => an object"
			continue
		}
		compare(name+": ", was[name].Object, u.Object, got)
	}
	want := map[string]string{}
	for where, c := range corrections {
		want[where] = c.change
	}
	assert.Equal(t, want, got)
}

func byName(objects []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	m := map[string]*unstructured.Unstructured{}
	for _, u := range objects {
		m[u.GetKind()+" "+u.GetName()] = u
	}
	return m
}

// compare notes every path at which two values differ. What was inserted into a
// list is noted as such, and does not make the rest of the list differ.
func compare(at string, was, is any, differences map[string]string) {
	switch w := was.(type) {
	case map[string]any:
		i, ok := is.(map[string]any)
		if !ok {
			break
		}
		keys := slices.Sorted(maps.Keys(w))
		for key := range i {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		for _, key := range keys {
			next := at + "." + key
			if strings.HasSuffix(at, ": ") {
				next = at + key
			}
			before, had := w[key]
			after, has := i[key]
			switch {
			case !had:
				differences[next] = fmt.Sprintf("nothing => %v", after)
			case !has:
				differences[next] = fmt.Sprintf("%v => nothing", before)
			default:
				compare(next, before, after, differences)
			}
		}
		return
	case []any:
		i, ok := is.([]any)
		if !ok {
			break
		}
		for len(i) > len(w) { // find what was inserted
			n := 0
			for n < len(w) && reflect.DeepEqual(w[n], i[n]) {
				n++
			}
			differences[fmt.Sprintf("%s[%d]", at, n)] = fmt.Sprintf("nothing => %v", i[n])
			i = slices.Delete(slices.Clone(i), n, n+1)
		}
		for n := range w {
			if n >= len(i) {
				differences[fmt.Sprintf("%s[%d]", at, n)] = fmt.Sprintf("%v => nothing", w[n])
				continue
			}
			compare(fmt.Sprintf("%s[%d]", at, n), w[n], i[n], differences)
		}
		return
	}
	if !reflect.DeepEqual(was, is) {
		differences[at] = fmt.Sprintf("%v => %v", was, is)
	}
}

// The comment may stand above a group of lines that belong together, such as the
// image and the version of one Prometheus.
func TestEveryCorrectionIsExplained(t *testing.T) {
	explained := map[string]bool{}
	for _, file := range []string{"guide/prometheus.yaml", "guide/service-monitor.yaml"} {
		content, err := files.ReadFile(file)
		require.NoError(t, err)
		lines := strings.Split(string(content), "\n")
		for n, line := range lines {
			if !strings.HasPrefix(strings.TrimSpace(line), "# Corrected: ") {
				continue
			}
			for n++; strings.HasPrefix(strings.TrimSpace(lines[n]), "#"); n++ {
			}
			// The line below, and the one after it if it repeats the version.
			explained[strings.TrimSpace(lines[n])] = true
			if strings.HasPrefix(strings.TrimSpace(lines[n]), "image: ") {
				explained[strings.TrimSpace(lines[n+1])] = true
			}
		}
	}
	want := map[string]bool{}
	for _, c := range corrections {
		want[c.line] = true
	}
	assert.Equal(t, want, explained, "one comment for every correction, and a correction for every comment")
}

func TestNoCommentSaysLessThanWhy(t *testing.T) {
	for _, file := range []string{"guide/prometheus.yaml", "guide/service-monitor.yaml"} {
		content, err := files.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^\s*# Corrected: (.*)$`).FindAllStringSubmatch(string(content), -1) {
			assert.Greater(t, len(strings.Fields(m[1])), 2, file)
		}
	}
}

// The values by which the guide works, written down once more by hand.
func TestTheFieldsThatMakeTheGuideWork(t *testing.T) {
	prometheus := one(t, Guide, "Prometheus", "default")
	annotations, _, err := unstructured.NestedStringMap(prometheus.Object, "spec", "podMetadata", "annotations")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"traffic.sidecar.istio.io/includeInboundPorts":     "",
		"traffic.sidecar.istio.io/includeOutboundIPRanges": "",
		"proxy.istio.io/config":                            "proxyMetadata:\n  OUTPUT_CERTS: /etc/istio-output-certs\n",
		"sidecar.istio.io/userVolumeMount":                 `[{"name": "istio-certs", "mountPath": "/etc/istio-output-certs"}]`,
	}, annotations)
	for path, want := range map[string]any{
		"spec.volumes":      []any{map[string]any{"name": "istio-certs", "emptyDir": map[string]any{"medium": "Memory"}}},
		"spec.volumeMounts": []any{map[string]any{"name": "istio-certs", "mountPath": "/etc/prom-certs/"}},
		"spec.replicas":     int64(2), "spec.logLevel": "debug", "spec.serviceAccountName": "prometheus-full-access",
		"spec.serviceMonitorSelector": map[string]any{"matchLabels": map[string]any{"team": "bookinfo"}},
	} {
		got, _, err := unstructured.NestedFieldNoCopy(prometheus.Object, strings.Split(path, ".")...)
		require.NoError(t, err)
		assert.Equal(t, want, got, path)
	}

	monitor := one(t, Guide, "ServiceMonitor", "productpage")
	assert.Equal(t, map[string]string{"app": "productpage", "team": "bookinfo"}, monitor.GetLabels())
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	require.NoError(t, err)
	assert.Equal(t, []any{map[string]any{
		"port": "http-9080", "interval": "30s", "path": "/metrics", "scheme": "https",
		"tlsConfig": map[string]any{
			"caFile": "/etc/prom-certs/root-cert.pem", "certFile": "/etc/prom-certs/cert-chain.pem", "keyFile": "/etc/prom-certs/key.pem",
			"insecureSkipVerify": true,
		},
	}}, endpoints)

	binding := one(t, Guide, "ClusterRoleBinding", "prometheus-full-access")
	role, _, err := unstructured.NestedString(binding.Object, "roleRef", "name")
	require.NoError(t, err)
	assert.Equal(t, "prometheus-full-access", role)
	subjects, _, err := unstructured.NestedSlice(binding.Object, "subjects")
	require.NoError(t, err)
	assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "prometheus-full-access", "namespace": "default"}}, subjects)
}
