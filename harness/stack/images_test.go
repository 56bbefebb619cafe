package stack

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
)

// What was recorded of the real stack is served again, as it was and with a stranger in it.
func TestTheImagesInUseAreComparedWithTheRunsOwn(t *testing.T) {
	o := recorded.Load(recorded.Good)
	verify := func(o *simulated.Cluster) (string, error) {
		client, err := klient.New(o.Config())
		require.NoError(t, err)
		s := &Stack{Client: client, Cluster: &cluster.Cluster{Name: "mtls-scrape-x"}}
		s.take(sources{source: image.Packages, references: image.PackagesReferences()})
		return s.VerifyImages(t.Context())
	}
	note, err := verify(simulated.New(t, o))
	require.NoError(t, err)
	assert.Regexp(t, `^\d+ images in \d+ containers, all of the catalogue$`, note)

	o.Pods[0].Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger", Image: "docker.io/library/busybox:1"}}}
	o.Pods[0].Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "debugger", ImageID: "docker.io/library/busybox@sha256:1"}}
	c := simulated.New(t, o)
	_, err = verify(c)
	require.ErrorContains(t, err, "the cluster runs images that are not the run's")
	assert.ErrorContains(t, err, "\ndocker.io/library/busybox:1 is not of the catalogue ("+o.Pods[0].Namespace+"/"+o.Pods[0].Name+", container debugger)")

	c.Close()
	_, err = verify(c)
	assert.ErrorContains(t, err, "looking at which images the pods of mtls-scrape-x run: ")
}

func TestVersionsToUpgradeToMayRunAsWell(t *testing.T) {
	p := sources{references: image.References{"pilot": "p:1", "proxyv2": "x:1"}, further: []string{"p:2", "x:1", "m:2"}}
	assert.Equal(t, []string{"m:2", "p:1", "p:2", "x:1"}, p.allReferences())
	assert.Empty(t, sources{}.allReferences())
}
