package mesh

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	upstream = Options{Release: Release{Revision: DefaultRevision, PilotImage: "example.com/pilot:v1", ProxyImage: "example.com/proxyv2:v1", UpstreamEnvoy: true}}
	istios   = Options{Release: Release{Revision: DefaultRevision, PilotImage: "example.com/pilot@sha256:0", ProxyImage: "example.com/proxyv2@sha256:1"}}
)

// at is the value at a path of Helm's values.
func at(t *testing.T, o Options, path ...string) any {
	t.Helper()
	// Only what survives JSON reaches a chart.
	b, err := json.Marshal(values(o))
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v))
	value, _, err := unstructured.NestedFieldNoCopy(v, path...)
	require.NoError(t, err)
	return value
}

func TestEveryImageIsGivenWhole(t *testing.T) {
	for _, o := range []Options{upstream, istios} {
		assert.Equal(t, o.PilotImage, at(t, o, "pilot", "image"))
		assert.Equal(t, o.ProxyImage, at(t, o, "global", "proxy", "image"))
		assert.Equal(t, o.ProxyImage, at(t, o, "global", "proxy_init", "image"))
		assert.Empty(t, at(t, o, "global", "hub"))
		assert.Empty(t, at(t, o, "global", "tag"))
	}
}

func TestIstiosOwnFiltersAreSwitchedOffForUpstreamsEnvoyOnly(t *testing.T) {
	assert.Equal(t, false, at(t, upstream, "telemetry", "enabled"))
	assert.Equal(t, map[string]any{"ISTIO_MULTIROOT_MESH": "true", "PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}, at(t, upstream, "pilot", "env"))

	assert.Nil(t, at(t, istios, "telemetry"))
	assert.Equal(t, map[string]any{"ISTIO_MULTIROOT_MESH": "true"}, at(t, istios, "pilot", "env"))
}

func TestBothDataPlanesWriteTheSameAccessLogAndKeepTheSameCounters(t *testing.T) {
	assert.Equal(t, at(t, istios, "meshConfig"), at(t, upstream, "meshConfig"))
	assert.Equal(t, "/dev/stdout", at(t, istios, "meshConfig", "accessLogFile"))
	assert.Equal(t, "JSON", at(t, istios, "meshConfig", "accessLogEncoding"))
	assert.Equal(t, []any{TLSCounters}, at(t, istios, "meshConfig", "defaultConfig", "proxyStatsMatcher", "inclusionRegexps"))
}

func TestATrustDomainIsIstiosOwnUnlessGiven(t *testing.T) {
	assert.Nil(t, at(t, istios, "meshConfig", "trustDomain"))
	o := istios
	o.TrustDomain = "another.example"
	assert.Equal(t, "another.example", at(t, o, "meshConfig", "trustDomain"))
}

func TestTheValuesOfOneCallAreNotThoseOfAnother(t *testing.T) {
	first := values(istios)
	first["global"].(map[string]any)["hub"] = "changed"
	assert.Empty(t, at(t, istios, "global", "hub"))
}

func TestTheAccessLogFormatIsJSON(t *testing.T) {
	var fields map[string]string
	require.NoError(t, json.Unmarshal([]byte(accessLogFormat()), &fields))
	assert.Len(t, fields, len(AccessLogFields))
	for _, needed := range []string{"peer", "serial", "ends", "tls", "code", "details", "time"} {
		assert.Contains(t, fields, needed)
	}
}

// Envoy refuses a whole listener for one operator it cannot read.
func TestEveryOperatorOfTheAccessLogIsBalanced(t *testing.T) {
	// As Envoy parses it: %COMMAND%, %COMMAND(argument)%, %COMMAND(argument):length%.
	operator := regexp.MustCompile(`^%[A-Z_]+(\([^()]+\))?(:\d+)?%$`)
	for field, value := range AccessLogFields {
		assert.Regexp(t, operator, value, field)
	}
}

func TestTheCountersAreThoseOfTheInboundListenersTLS(t *testing.T) {
	counters := regexp.MustCompile("^(?:" + TLSCounters + ")$") // Envoy matches the whole name
	for name, want := range map[string]bool{
		"listener.0.0.0.0_15006.ssl.handshake":             true,
		"listener.0.0.0.0_15006.ssl.connection_error":      true,
		"listener.0.0.0.0_15006.ssl.fail_verify_no_cert":   true,
		"listener.0.0.0.0_15006.ssl.fail_verify_error":     true,
		"listener.0.0.0.0_15006.ssl.no_certificate":        true,
		"listener.0.0.0.0_15006.downstream_cx_total":       false,
		"listener.0.0.0.0_15001.ssl.handshake":             false,
		"listener.0_0_0_0_15006.ssl.handshake":             false,
		"listener.0.0.0.0_15006.ssl.ciphers.AES128-SHA256": false,
	} {
		assert.Equal(t, want, counters.MatchString(name), name)
	}
}

func TestModuleChartsAreReadFromTheModulesFolders(t *testing.T) {
	dir := t.TempDir()
	for name, folder := range ChartFolders {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, folder, "Chart.yaml"), []byte("apiVersion: v2\nname: "+name+"\nversion: 1.0.0\n"), 0o644))
	}
	charts := ModuleCharts(dir, "1.30.4")
	for name := range ChartFolders {
		c, err := charts(t.Context(), name)
		require.NoError(t, err, name)
		m := c.(*chartv2.Chart).Metadata
		assert.Equal(t, []string{name, "1.30.4", "1.30.4"}, []string{m.Name, m.Version, m.AppVersion})
	}
	_, err := ModuleCharts(t.TempDir(), "1.30.4")(t.Context(), "base")
	assert.Error(t, err)
}

func TestAChartThatCannotBeFoundIsNamed(t *testing.T) {
	o := Options{Release: Release{Version: "1.30.4", Charts: ModuleCharts(t.TempDir(), "1.30.4")}, Kubeconfig: filepath.Join(t.TempDir(), "absent")}
	err := put(t.Context(), o, helm.install)
	require.ErrorContains(t, err, "finding the chart base of Istio 1.30.4")
	assert.NotContains(t, strings.ToLower(err.Error()), "panic")
}

func TestADeploymentIsRolledOutWhenNothingOldIsLeft(t *testing.T) {
	done := appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1},
	}
	assert.True(t, rolledOut(done), "it wants one replica if it does not say how many")
	for name, change := range map[string]func(*appsv1.Deployment){
		"not looked at yet": func(d *appsv1.Deployment) { d.Generation = 3 },
		"only the old one":  func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 0 },
		"both":              func(d *appsv1.Deployment) { d.Status.Replicas = 2 },
		"not ready":         func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 0 },
		"more are wanted":   func(d *appsv1.Deployment) { two := int32(2); d.Spec.Replicas = &two },
	} {
		d := *done.DeepCopy()
		change(&d)
		assert.False(t, rolledOut(d), name)
	}
}

func TestPodsAreDescribedInOneLine(t *testing.T) {
	waits := func(name, reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
	}
	assert.Equal(t, "istiod-a Pending, init: ErrImagePull not found, discovery: CrashLoopBackOff; istiod-b Running", describe([]corev1.Pod{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "istiod-a"},
			Status: corev1.PodStatus{
				Phase:                 corev1.PodPending,
				InitContainerStatuses: []corev1.ContainerStatus{waits("init", "ErrImagePull", "not found")},
				ContainerStatuses:     []corev1.ContainerStatus{waits("discovery", "CrashLoopBackOff", ""), waits("second", "PodInitializing", "")},
			},
		},
		{ObjectMeta: metav1.ObjectMeta{Name: "istiod-b"}, Status: corev1.PodStatus{Phase: corev1.PodRunning}},
	}))
}
