package image

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
)

const (
	promRef   = "quay.io/prometheus/prometheus:v3.16.0"
	promID    = "quay.io/prometheus/prometheus@sha256:aa"
	probeRef  = "localhost/mtls-scrape-conformance/probe:1"
	byDigest  = promRef + "@sha256:aa"
	otherID   = "quay.io/prometheus/prometheus@sha256:bb"
	heldID    = "sha256:cc"
	loadedID  = "docker.io/library/import-2026-11-25@sha256:dd"
	kindNet   = "docker.io/kindest/kindnetd:v1"
	somewhere = "default/p, container c"
)

func TestStrangersAreToldFromTheRunsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		from Source
		used InUse
		want []string
	}{
		"pulled by its digest":             {Registry, InUse{Reference: byDigest, ID: promID}, nil},
		"another under the tag":            {Registry, InUse{Reference: promRef, ID: otherID}, []string{promRef + " has a name of the catalogue, but is not what has the digest sha256:aa: " + otherID + " (" + somewhere + ")"}},
		"one that somebody loaded":         {Registry, InUse{Reference: byDigest, ID: heldID}, []string{byDigest + " has a name of the catalogue, but is not what has the digest sha256:aa: " + heldID + " (" + somewhere + ")"}},
		"the suite's own, loaded":          {Registry, InUse{Reference: probeRef, ID: loadedID}, nil},
		"the suite's own, baked in":        {Packages, InUse{Reference: probeRef, ID: heldID}, nil},
		"the suite's own, pulled":          {Registry, InUse{Reference: probeRef, ID: "localhost/x@sha256:ee"}, []string{probeRef + " has a name of the catalogue, but a registry gave it: localhost/x@sha256:ee (" + somewhere + ")"}},
		"something else":                   {Packages, InUse{Reference: "docker.io/library/nginx:1", ID: heldID}, []string{"docker.io/library/nginx:1 is not of the catalogue (" + somewhere + ")"}},
		"the catalogue's, another version": {Packages, InUse{Reference: "quay.io/prometheus/prometheus:v3.12.0", ID: heldID}, []string{"quay.io/prometheus/prometheus:v3.12.0 is not of the catalogue (" + somewhere + ")"}},
		"a name without a registry":        {Packages, InUse{Reference: "prometheus:v3.16.0", ID: heldID}, []string{"prometheus:v3.16.0 is not of the catalogue (" + somewhere + ")"}},
		"the node's own":                   {Registry, InUse{Namespace: "kube-system", Reference: kindNet, ID: heldID}, nil},
		"the node's own elsewhere":         {Registry, InUse{Namespace: "default", Reference: kindNet, ID: heldID}, []string{kindNet + " is not of the catalogue (" + somewhere + ")"}},
		"from packages it is known":        {Packages, InUse{Namespace: "kube-system", Reference: kindNet, ID: heldID}, []string{kindNet + " is not of the catalogue (" + somewhere + ")"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.used.Container = somewhere
			references := []string{byDigest, probeRef}
			assert.ElementsMatch(t, c.want, Strangers([]InUse{c.used}, c.from, references))
		})
	}
}

func TestOneNameMayNotStandForTwoImages(t *testing.T) {
	used := []InUse{{"a", "x", probeRef, heldID}, {"b", "x", probeRef, heldID}, {"c", "x", probeRef, loadedID}, {"d", "x", probeRef, loadedID}}
	assert.Equal(t, []string{probeRef + " is two images under one name: " + heldID + " and " + loadedID + " (c and 1 more)"}, Strangers(used, Packages, []string{probeRef}))
}

func TestEveryKindOfContainerIsLookedAt(t *testing.T) {
	status := func(name, id string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: name, ImageID: id}}
	}
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "p"},
		Spec: corev1.PodSpec{
			InitContainers:      []corev1.Container{{Name: "i", Image: "a"}},
			Containers:          []corev1.Container{{Name: "c", Image: "b"}},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e", Image: "d"}}},
		},
		Status: corev1.PodStatus{InitContainerStatuses: status("i", "1"), ContainerStatuses: append(status("c", "2"), status("waits", "")...), EphemeralContainerStatuses: status("e", "3")},
	}
	assert.Equal(t, []InUse{{"x/p, container i", "x", "a", "1"}, {"x/p, container c", "x", "b", "2"}, {"x/p, container e", "x", "d", "3"}}, UsedBy([]corev1.Pod{pod}))
}

// What was recorded of the real stack, whose images were built from packages.
func TestTheRealStackRunsNoStrangers(t *testing.T) {
	var references []string
	for _, r := range PackagesReferences() {
		references = append(references, r)
	}
	used := UsedBy(recorded.Load(recorded.Good).Pods)
	assert.Greater(t, len(used), 30)
	assert.Empty(t, Strangers(used, Packages, references))
	probe := slices.Index(references, Find("probe").Reference)
	assert.NotEmpty(t, Strangers(used, Packages, slices.Delete(references, probe, probe+1)), "it can find one")
}
