package observe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnObservationSurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "o.json")
	o := Observation{FormatVersion: FormatVersion, At: time.Unix(5, 0).UTC(), Replicas: []Replica{{Pod: "p", Targets: []Target{{Interval: Duration(2 * time.Second)}}}}}
	require.NoError(t, Write(path, o))
	read, err := Read(path)
	require.NoError(t, err)
	assert.Equal(t, o, read)

	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing unfinished is left")
}

func TestDecodeRefusesWhatItCannotUnderstandWhole(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "not an observation",
		"[]":                        "not an observation",
		"{}":                        "format version 0",
		`{"formatVersion":2}`:       "format version 2",
		`{"formatVersion":1,"at":3`: "not an observation",
	} {
		_, err := Decode([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
	_, err := Read(filepath.Join(t.TempDir(), "none.json"))
	assert.ErrorContains(t, err, "reading an observation")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"formatVersion":1,"replicas":[{"targets":[{"interval":"2s"}]}]}`))
	for _, seed := range []*Observation{small(), sharded()} {
		seed.FormatVersion = FormatVersion
		seed.Prometheus.Spec.PodMonitorSelector = seed.Prometheus.Spec.ServiceMonitorSelector
		probing(seed).Targets.StaticConfig = &monitoringv1.ProbeTargetStaticConfig{Targets: []string{"a"}}
		configuring(seed).KubernetesSDConfigs = []monitoringv1alpha1.KubernetesSDConfig{{Role: "Pod"}, {Role: "Service"}, {Role: "Endpoints"}, {Role: "EndpointSlice"}}
		content, err := json.Marshal(seed)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		o, err := Decode(content)
		if err == nil {
			assert.NoError(t, Write(filepath.Join(t.TempDir(), "o.json"), o), "what was read can be written")
			expected, _ := Expect(o)
			ForReplica(o, expected, "p-0")
			needs(o)
		}
	})
}
