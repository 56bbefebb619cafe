package cluster

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test ./harness/cluster -update writes it")
	assert.Equal(t, string(want), string(got))
}

func TestTheConfigurationOfANode(t *testing.T) {
	lacking := []string{"CAP_SYS_RESOURCE"}
	for name, c := range map[string]struct {
		version string
		baked   bool
		facts   hostFacts
	}{
		"1.34-cgroup-v1":                    {version: "v1.34.2", facts: hostFacts{cgroupV1: true}},
		"1.34-cgroup-v2":                    {version: "v1.34.2"},
		"1.35-cgroup-v1":                    {version: "v1.35.0", facts: hostFacts{cgroupV1: true}},
		"1.35-cgroup-v2":                    {version: "v1.35.0"},
		"1.37-cgroup-v1":                    {version: "v1.37.2", facts: hostFacts{cgroupV1: true}},
		"1.37-cgroup-v2":                    {version: "v1.37.2"},
		"1.35-audited":                      {version: "v1.35.0", facts: hostFacts{auditPolicy: "/dir/audit-policy.yaml"}},
		"1.37-audited":                      {version: "v1.37.2", facts: hostFacts{auditPolicy: "/dir/audit-policy.yaml"}},
		"1.37-baked-network":                {version: "v1.37.2", baked: true},
		"1.37-without-sys-resource":         {version: "v1.37.2", baked: true, facts: hostFacts{cgroupV1: true, missingCapabilities: lacking, runtimeSpec: "/dir/cri-base.json"}},
		"1.37-without-another-capability":   {version: "v1.37.2", facts: hostFacts{missingCapabilities: []string{"CAP_BPF"}, runtimeSpec: "/dir/cri-base.json"}},
		"1.37-without-several-capabilities": {version: "v1.37.2", facts: hostFacts{missingCapabilities: []string{"CAP_SYS_RESOURCE", "CAP_BPF"}, runtimeSpec: "/dir/cri-base.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Name: Prefix + "test", KubernetesVersion: c.version}
			if c.baked {
				o.Baked = &Baked{EtcdTag: "3.7.0-0", CoreDNSTag: "v1.14.6"}
			}
			config, err := buildConfig(o, c.facts)
			require.NoError(t, err)
			got, err := yaml.Marshal(config)
			require.NoError(t, err)
			golden(t, name+".yaml", got)
			for _, patch := range config.KubeadmConfigPatches {
				assert.NoError(t, yaml.UnmarshalStrict([]byte(patch), &map[string]any{}))
			}
		})
	}
}

func TestOnlyAKubeletThatKnowsTheFieldIsToldOfTheFirstCgroups(t *testing.T) {
	for version, told := range map[string]bool{
		"v1.30.0": false, "v1.34.9": false, "v1.35.0": true, "1.35.0": true, "v1.35.0-rc.1": true, "v1.37.2+build": true, "v2.0.0": true,
	} {
		config, err := buildConfig(Options{KubernetesVersion: version}, hostFacts{cgroupV1: true})
		require.NoError(t, err)
		patch := config.KubeadmConfigPatches[0]
		if told {
			assert.Contains(t, patch, "failCgroupV1: false", version)
		} else {
			assert.NotContains(t, patch, "failCgroupV1", version)
		}
	}
}

func TestAVersionThatIsNoneIsNamed(t *testing.T) {
	for _, version := range []string{"", "latest", "v1"} {
		_, err := buildConfig(Options{KubernetesVersion: version}, hostFacts{})
		assert.ErrorContains(t, err, `the version of the node image, "`+version+`"`)
	}
}
