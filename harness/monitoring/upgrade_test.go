package monitoring

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

var wantedRelease = Release{Version: "v3.16.0", Image: "quay.io/prometheus/prometheus:v3.16.0"}

func TestAReleaseIsSetWithItsImageAndTheWayToReplacePods(t *testing.T) {
	patch, err := releasePatch(wantedRelease, monitoringv1.OnDeleteStatefulSetStrategyType)
	require.NoError(t, err)
	assert.JSONEq(t, `{"spec":{"version":"v3.16.0","image":"quay.io/prometheus/prometheus:v3.16.0","updateStrategy":{"type":"OnDelete"}}}`, string(patch))
	patch, err = releasePatch(wantedRelease, "")
	require.NoError(t, err)
	assert.JSONEq(t, `{"spec":{"version":"v3.16.0","image":"quay.io/prometheus/prometheus:v3.16.0","updateStrategy":null}}`, string(patch), "the Operator's own comes back")
}

func TestAReleaseIsOfferedWhenTheOperatorHasChangedTheTemplate(t *testing.T) {
	const deleted, rolling = appsv1.OnDeleteStatefulSetStrategyType, appsv1.RollingUpdateStatefulSetStrategyType
	for name, c := range map[string]struct {
		image    string
		strategy appsv1.StatefulSetUpdateStrategyType // of the StatefulSet
		observed int64                                // generation, of 2
		wanted   appsv1.StatefulSetUpdateStrategyType
		ok       bool
	}{
		"as asked for":                    {wantedRelease.Image, deleted, 2, deleted, true},
		"rolling":                         {wantedRelease.Image, rolling, 2, rolling, true},
		"rolling, which is the default":   {wantedRelease.Image, "", 2, rolling, true},
		"still of the other":              {"quay.io/prometheus/prometheus:v3.12.0", deleted, 2, deleted, false},
		"pods would be replaced":          {wantedRelease.Image, rolling, 2, deleted, false},
		"the controller has not seen it":  {wantedRelease.Image, deleted, 1, deleted, false},
		"nothing is known of Prometheus":  {"", deleted, 2, deleted, false},
		"it would wait for the deletion":  {wantedRelease.Image, deleted, 2, rolling, false},
		"it would wait, by the API's own": {wantedRelease.Image, "", 2, deleted, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s appsv1.StatefulSet
			s.Generation, s.Status.ObservedGeneration, s.Spec.UpdateStrategy.Type = 2, c.observed, c.strategy
			s.Spec.Template.Spec.Containers = []corev1.Container{{Name: "config-reloader", Image: "reloader"}}
			if c.image != "" {
				s.Spec.Template.Spec.Containers = append(s.Spec.Template.Spec.Containers, corev1.Container{Name: "prometheus", Image: c.image})
			}
			ok, state := offers(s, wantedRelease, c.wanted)
			assert.Equal(t, c.ok, ok, state)
			assert.Contains(t, state, "its template has the image "+c.image)
		})
	}
}
