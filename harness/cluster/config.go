package cluster

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
)

// hostFacts is what the node's configuration depends on beside the options.
type hostFacts struct {
	cgroupV1            bool
	missingCapabilities []string // of the host's bounding set, as in "CAP_SYS_RESOURCE"
	runtimeSpec         string   // path of the filtered runtime spec, if any are missing
	auditPolicy         string   // path of the policy of the audit log, if one is to be kept
}

// nodeConfig returns kind's configuration for one node on this host.
func nodeConfig(ctx context.Context, o Options) (*v1alpha4.Cluster, error) {
	facts, err := readHost(ctx, o)
	if err != nil {
		return nil, err
	}
	return buildConfig(o, facts)
}

func readHost(ctx context.Context, o Options) (hostFacts, error) {
	var facts hostFacts
	if o.Audit {
		facts.auditPolicy = filepath.Join(o.Dir, "audit-policy.yaml")
		if err := os.WriteFile(facts.auditPolicy, []byte(auditPolicy), fs.FileMode(0o644)); err != nil {
			return facts, err
		}
	}
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	facts.cgroupV1 = os.IsNotExist(err)
	if facts.missingCapabilities, err = engine.HostCapabilities(); err != nil {
		return facts, err
	}
	if len(facts.missingCapabilities) == 0 {
		return facts, nil
	}
	// containerd in the node starts every container from this spec. Where the host
	// lacks a capability that it lists, no container would start.
	spec, err := o.Engine.Output(ctx, "run", "--rm", "--network=none", "--entrypoint=cat", o.NodeImage, runtimeSpecPath)
	if err != nil {
		return facts, fmt.Errorf("reading the runtime spec of the node image: %w", err)
	}
	filtered, err := engine.FilterCapabilities([]byte(spec), facts.missingCapabilities)
	if err != nil {
		return facts, err
	}
	facts.runtimeSpec = filepath.Join(o.Dir, "cri-base.json")
	return facts, os.WriteFile(facts.runtimeSpec, filtered, fs.FileMode(0o644))
}

const runtimeSpecPath = "/etc/containerd/cri-base.json"

// buildConfig is pure: what the host and the version of Kubernetes ask for.
func buildConfig(o Options, facts hostFacts) (*v1alpha4.Cluster, error) {
	v, err := version.ParseGeneric(o.KubernetesVersion)
	if err != nil {
		return nil, fmt.Errorf("the version of the node image, %q: %w", o.KubernetesVersion, err)
	}
	node := v1alpha4.Node{Role: v1alpha4.ControlPlaneRole}
	config := &v1alpha4.Cluster{
		TypeMeta: v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:     o.Name,
		Networking: v1alpha4.Networking{
			IPFamily:          v1alpha4.IPv4Family,
			DisableDefaultCNI: o.Baked != nil,
		},
		KubeadmConfigPatches:    []string{kubeletPatch(v, facts)},
		ContainerdConfigPatches: []string{statsPatch},
	}
	if o.Baked != nil {
		config.KubeadmConfigPatches = append(config.KubeadmConfigPatches, bakedPatch(*o.Baked))
	}
	if facts.runtimeSpec != "" {
		node.ExtraMounts = append(node.ExtraMounts, v1alpha4.Mount{HostPath: facts.runtimeSpec, ContainerPath: runtimeSpecPath, Readonly: true})
	}
	if slices.Contains(facts.missingCapabilities, "CAP_SYS_RESOURCE") {
		// Without it containerd may not lower the score that the kernel kills by.
		config.ContainerdConfigPatches = append(config.ContainerdConfigPatches,
			"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  restrict_oom_score_adj = true\n")
	}
	if facts.auditPolicy != "" {
		node.ExtraMounts = append(node.ExtraMounts, v1alpha4.Mount{HostPath: facts.auditPolicy, ContainerPath: auditPolicyPath, Readonly: true})
		config.KubeadmConfigPatches = append(config.KubeadmConfigPatches, auditPatch(v))
	}
	config.Nodes = []v1alpha4.Node{node}
	return config, nil
}

// bakedPatch names what is inside: every minor of kubeadm has tags of its own, which a
// node cannot pull.
func bakedPatch(b Baked) string {
	return "kind: ClusterConfiguration\netcd:\n  local:\n    imageTag: " + b.EtcdTag + "\ndns:\n  imageTag: " + b.CoreDNSTag + "\n"
}

// statsPatch has containerd look less often at what every container uses. From 2.4 on it
// does so once a second, whether anybody asks or not, and where the kernel has the first
// version of cgroups it parses the table of mounts for each: with a hundred containers
// that took a seventh of two cores. Earlier ones do not know the field, and leave it alone.
const statsPatch = `version = 2
[plugins."io.containerd.cri.v1.runtime"]
  stats_collect_period = "1m"
`

// kubeletPatch sets what the kubelet needs here.
//
// syncFrequency is how often the kubelet looks whether the Secrets of a running
// pod have changed. At its default of a minute a new monitor takes up to 84 s to
// reach Prometheus, which would be most of a run.
func kubeletPatch(v *version.Version, facts hostFacts) string {
	patch := "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nsyncFrequency: 2s\n"
	// From 1.35 on the kubelet refuses the first version of cgroups unless told;
	// before, it does not know the field.
	if facts.cgroupV1 && v.AtLeast(version.MustParseGeneric("1.35.0")) {
		patch += "failCgroupV1: false\n"
	}
	return patch
}
