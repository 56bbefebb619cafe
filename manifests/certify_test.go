package manifests

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// jobIn is the Job of manifests/certify, without a field that Kubernetes does not know.
func jobIn(t *testing.T) batchv1.Job {
	t.Helper()
	objects, err := ReadFile(CertifyJob)
	require.NoError(t, err)
	require.Len(t, objects, 2)
	assert.Equal(t, "Namespace", objects[0].GetKind(), "which comes first")
	var job batchv1.Job
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(objects[1].Object, &job, true))
	return job
}

// plugin is as much of what Sonobuoy reads as there is in ours.
type plugin struct {
	Config struct {
		Driver      string `json:"driver"`
		Name        string `json:"plugin-name"`
		Format      string `json:"result-format"`
		Description string `json:"description"`
	} `json:"sonobuoy-config"`
	PodSpec corev1.PodSpec   `json:"podSpec"`
	Spec    corev1.Container `json:"spec"`
}

func pluginIn(t *testing.T) (p plugin) {
	t.Helper()
	content, err := files.ReadFile(SonobuoyPlugin)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(content, &p))
	return p
}

// What is not applied with the roles must not come with them.
func TestTheRolesComeWithoutTheJob(t *testing.T) {
	objects, err := Read(Certify)
	require.NoError(t, err)
	require.NotEmpty(t, objects)
	for _, u := range objects {
		assert.Contains(t, []string{"ServiceAccount", "ClusterRole", "ClusterRoleBinding"}, u.GetKind())
	}
	role, err := ReadFile(CertifyRole)
	require.NoError(t, err)
	assert.Len(t, role, 3)
	_, err = ReadFile("certify/absent.yaml")
	assert.ErrorContains(t, err, "absent.yaml")
}

// What "restricted" demands of a container, of those fields that we set on it or its pod:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func TestTheSuiteRunsRestricted(t *testing.T) {
	job := jobIn(t).Spec.Template.Spec
	require.Len(t, job.Containers, 1)
	for name, c := range map[string]struct {
		container corev1.Container
		nonRoot   *bool
		seccomp   *corev1.SeccompProfile
		user      *int64
	}{
		"Job":      {job.Containers[0], job.SecurityContext.RunAsNonRoot, job.SecurityContext.SeccompProfile, job.SecurityContext.RunAsUser},
		"Sonobuoy": {pluginIn(t).Spec, pluginIn(t).Spec.SecurityContext.RunAsNonRoot, pluginIn(t).Spec.SecurityContext.SeccompProfile, pluginIn(t).Spec.SecurityContext.RunAsUser},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.container.SecurityContext
			require.NotNil(t, c.nonRoot)
			assert.True(t, *c.nonRoot)
			require.NotNil(t, c.seccomp)
			assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, c.seccomp.Type)
			assert.EqualValues(t, 65534, *c.user, "as in the image")
			assert.False(t, *s.AllowPrivilegeEscalation)
			assert.True(t, *s.ReadOnlyRootFilesystem)
			assert.Equal(t, []corev1.Capability{"ALL"}, s.Capabilities.Drop)
		})
	}
}

// The image has nothing but the binary: whatever is written goes into a volume.
func TestTheReportIsWrittenIntoAVolume(t *testing.T) {
	job, sonobuoy := jobIn(t).Spec.Template.Spec, pluginIn(t)
	for name, c := range map[string]struct {
		container corev1.Container
		volumes   []corev1.Volume
	}{"Job": {job.Containers[0], job.Volumes}, "Sonobuoy": {sonobuoy.Spec, sonobuoy.PodSpec.Volumes}} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, c.container.Args, "-mode=attach")
			assert.Contains(t, c.container.Args, "-out=/out")
			assert.Empty(t, c.container.Command, "it is the image's")
			assert.Contains(t, c.container.VolumeMounts, corev1.VolumeMount{Name: "out", MountPath: "/out"})
			require.Len(t, c.volumes, 1)
			assert.Equal(t, "out", c.volumes[0].Name)
			assert.NotNil(t, c.volumes[0].EmptyDir)
			for _, e := range c.container.Env {
				if e.Name == "CACHE" || e.Name == "TMPDIR" {
					assert.Regexp(t, "^/out", e.Value)
				}
			}
		})
	}
}

func TestTheJobJudgesOnceAndLeavesNothing(t *testing.T) {
	job := jobIn(t)
	assert.Zero(t, *job.Spec.BackoffLimit)
	assert.Positive(t, *job.Spec.ActiveDeadlineSeconds)
	assert.Positive(t, *job.Spec.TTLSecondsAfterFinished)
	pod := job.Spec.Template
	assert.Equal(t, corev1.RestartPolicyNever, pod.Spec.RestartPolicy)
	assert.Equal(t, map[string]string{"kubernetes.io/os": "linux"}, pod.Spec.NodeSelector)
	assert.Equal(t, pod.Spec.NodeSelector, pluginIn(t).PodSpec.NodeSelector)
	assert.Equal(t, "false", pod.Labels["sidecar.istio.io/inject"])
	assert.Contains(t, pod.Spec.Containers[0].Args, "-deliver=log")
	assert.Empty(t, pod.Spec.Containers[0].Ports, "a PodMonitor of everything must not find it")
}

func TestThePluginIsOneThatSonobuoyRuns(t *testing.T) {
	p := pluginIn(t)
	assert.Equal(t, "Job", p.Config.Driver)
	assert.Equal(t, "junit", p.Config.Format)
	assert.NotEmpty(t, p.Config.Name)
	env := map[string]string{}
	for _, e := range p.Spec.Env {
		env[e.Name] = e.Value
	}
	assert.Equal(t, "/tmp/sonobuoy/results", env["SONOBUOY_RESULTS_DIR"])
	assert.Contains(t, p.Spec.VolumeMounts, corev1.VolumeMount{Name: "results", MountPath: env["SONOBUOY_RESULTS_DIR"]}, "the volume is Sonobuoy's own")
	assert.Equal(t, jobIn(t).Spec.Template.Spec.Containers[0].Resources, p.Spec.Resources, "as measured")
	assert.NotContains(t, p.Spec.Args, "-deliver=log", "Sonobuoy reads files")
}
