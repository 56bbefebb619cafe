package monitoring

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestAStatefulSetIsHeldWhenItsControllerKnows(t *testing.T) {
	const deleted, rolling = appsv1.OnDeleteStatefulSetStrategyType, appsv1.RollingUpdateStatefulSetStrategyType
	for name, c := range map[string]struct {
		is       appsv1.StatefulSetUpdateStrategyType
		observed int64 // generation, of 2
		wanted   appsv1.StatefulSetUpdateStrategyType
		ok       bool
	}{
		"held":                           {deleted, 2, deleted, true},
		"still rolling":                  {rolling, 2, deleted, false},
		"the controller has not seen it": {deleted, 1, deleted, false},
		"let go":                         {rolling, 2, rolling, true},
		"let go, by the API's default":   {"", 2, rolling, true},
		"still held":                     {deleted, 2, rolling, false},
	} {
		var s appsv1.StatefulSet
		s.Generation, s.Status.ObservedGeneration, s.Spec.UpdateStrategy.Type = 2, c.observed, c.is
		ok, state := updatesBy(s, c.wanted)
		assert.Equal(t, c.ok, ok, name+": "+state)
	}
}

func TestAStatefulSetHasRolledWhenEveryPodIsNewAndReady(t *testing.T) {
	two := int32(2)
	for name, c := range map[string]struct {
		replicas       *int32
		updated, ready int32
		ok             bool
	}{
		"both":                {&two, 2, 2, true},
		"one is old":          {&two, 1, 2, false},
		"one is not ready":    {&two, 2, 1, false},
		"one, by the default": {nil, 1, 1, true},
	} {
		var s appsv1.StatefulSet
		s.Spec.Replicas, s.Status.UpdatedReplicas, s.Status.ReadyReplicas = c.replicas, c.updated, c.ready
		ok, state := rolled(s)
		assert.Equal(t, c.ok, ok, name+": "+state)
	}
}

func TestTheReloaderIsNotTheOneThatPreparesTheConfiguration(t *testing.T) {
	spec := corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init-config-reloader", Image: "init"}},
		Containers:     []corev1.Container{{Name: "prometheus", Image: "prometheus"}, {Name: "config-reloader", Image: "reloader"}},
	}
	assert.Equal(t, "reloader", ReloaderOf(spec))
	assert.Empty(t, ReloaderOf(corev1.PodSpec{}))
}
