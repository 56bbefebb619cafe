package image

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// component is a set of programs that are built from one go.mod of their own,
// found in components/<name>. Each has its own because their dependencies differ
// and must be the ones that upstream pinned.
type component struct {
	name    string
	fixture []string // its folders below fixtures, if it is of the suite's own module
	builds  []build
}

// build is one call of go build: programs that share tags and linker flags.
type build struct {
	packages []string
	tags     string
	ldflags  string
	output   string // name of the program where it is not the package's last element
}

// components lists everything that is built with the Go tool, the slowest first,
// so that the long ones are not left for last.
var components = []component{
	DefaultKubernetes().build(),
	istioComponent("istio", IstioVersion),
	prometheusComponent("prometheus", PrometheusVersion),
	operatorComponent("prometheus-operator", OperatorVersion),
	{name: "containerd", builds: []build{{
		packages: []string{
			"github.com/containerd/containerd/v2/cmd/containerd",
			"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			"github.com/containerd/containerd/v2/cmd/ctr",
		},
		// kind builds its own without the snapshotters that it never selects.
		tags:    "no_aufs,no_zfs,no_btrfs,no_devmapper",
		ldflags: "-X github.com/containerd/containerd/v2/version.Version=v2.4.2",
	}}},
	{name: "coredns", builds: []build{{packages: []string{"."}}}},
	{name: "etcd", builds: []build{{packages: []string{"go.etcd.io/etcd/server/v3"}, output: "etcd"}}},
	{name: "pause", builds: []build{{packages: []string{"."}}}},
	{name: "bookinfo", fixture: []string{"bookinfo", "bookinfo/services"}, builds: []build{{packages: []string{"./fixtures/bookinfo/services"}, output: "bookinfo"}}},
	{name: "probe", fixture: []string{"probe"}, builds: []build{{packages: []string{"./fixtures/probe"}, output: "probe"}}},
}

func prometheusComponent(name, version string) component {
	return component{name: name, builds: []build{{
		packages: []string{"github.com/prometheus/prometheus/cmd/prometheus"},
		// Upstream's own switch for a build with the one service discovery in use. Older
		// releases do not know it and are built whole.
		tags: "remove_all_sd,enable_kubernetes_sd",
		ldflags: "-X github.com/prometheus/common/version.Version=" + strings.TrimPrefix(version, "v") +
			" -X github.com/prometheus/common/version.Branch=packages",
	}}}
}

// OperatorModule has, beside the programs, the Operator's bundle.yaml.
const OperatorModule = "github.com/prometheus-operator/prometheus-operator"

func operatorComponent(name, version string) component {
	return component{name: name, builds: []build{{
		packages: []string{OperatorModule + "/cmd/operator", OperatorModule + "/cmd/prometheus-config-reloader"},
		ldflags: "-X github.com/prometheus/common/version.Version=" + strings.TrimPrefix(version, "v") +
			" -X github.com/prometheus/common/version.Branch=packages",
	}}}
}

// istioCommits are the commits that releases of Istio are built from. The module
// proxy serves no tags of Istio; these are commits of the same minors that it serves.
var istioCommits = map[string]string{IstioVersion: "eed52ebb66ad", "1.30.4": "9739e10eb9d7"}

// IstioModule has, beside the programs, the charts and the template of Envoy's
// bootstrap.
const IstioModule = "istio.io/istio"

// istioComponent builds with the tags of Istio's own Makefile.
func istioComponent(name, version string) component {
	flags := "-X istio.io/istio/pkg/version.buildVersion=" + version +
		" -X istio.io/istio/pkg/version.buildTag=" + version +
		" -X istio.io/istio/pkg/version.buildHub=packages" +
		" -X istio.io/istio/pkg/version.buildGitRevision=" + istioCommits[version] +
		" -X istio.io/istio/pkg/version.buildStatus=Clean"
	return component{name: name, builds: []build{
		{packages: []string{IstioModule + "/pilot/cmd/pilot-discovery"}, tags: "vtprotobuf,disable_pgv", ldflags: flags},
		{packages: []string{IstioModule + "/pilot/cmd/pilot-agent"}, tags: "agent,disable_pgv,grpcnotrace,retrynotrace", ldflags: flags},
	}}
}

// folder is where the component's go.mod lies in the checkout at root. The
// fixtures need no pins of their own: they are built with the suite's.
func (c component) folder(root string) string {
	if c.fixture != nil {
		return root
	}
	return filepath.Join(root, "harness", "image", "components", c.name)
}

// platform is what images are made and pulled for: this machine's, in a Linux.
var platform = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// goEnvironment fixes what would otherwise make two machines' builds differ, and
// keeps a user's flags out. CGO is off: the programs must run in an image that
// holds nothing else.
var goEnvironment = []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH, "GOWORK=off", "GOFLAGS=-mod=readonly -trimpath -buildvcs=false"}

// key is made of the pins, the recipe and the Go toolchain.
func (c component) key(root string) (Key, error) {
	folders := []string{c.folder(root)}
	if c.fixture != nil {
		folders = nil
	}
	for _, f := range c.fixture {
		folders = append(folders, filepath.Join(root, "fixtures", filepath.FromSlash(f)))
	}
	parts := []string{recipeVersion, "go", runtime.Version(), runtime.GOARCH, fmt.Sprintf("%+v", c.builds)}
	for _, dir := range folders {
		sources, err := keyOfFolder(dir)
		if err != nil {
			return "", err
		}
		parts = append(parts, string(sources))
	}
	return keyOf(parts...), nil
}

// make builds the component's programs into dir.
func (c component) make(ctx context.Context, root, dir string) error {
	for _, b := range c.builds {
		target := dir + string(filepath.Separator)
		switch {
		case b.output != "":
			target = filepath.Join(dir, b.output)
		case b.packages[0] == ".":
			target = filepath.Join(dir, c.name)
		}
		args := []string{"build", "-ldflags", strings.TrimSpace("-s -w " + b.ldflags), "-tags", b.tags, "-o", target}
		_, err := command{dir: c.folder(root), env: goEnvironment, name: "go", args: append(args, b.packages...)}.run(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

// ModuleDir returns the folder of a module that one of the components pins, such
// as the one with Istio's charts. It is downloaded if it is not there; the Go
// tool checks it against the component's go.sum.
func ModuleDir(ctx context.Context, root, componentName, module string) (string, error) {
	for _, c := range slices.Concat(components, spares()) {
		if c.name != componentName {
			continue
		}
		out, err := command{dir: c.folder(root), env: goEnvironment, name: "go", args: []string{"mod", "download", "-json", module}}.run(ctx)
		if err != nil {
			return "", fmt.Errorf("fetching %s as pinned for %s: %w", module, componentName, err)
		}
		var info struct{ Dir string }
		if err := json.Unmarshal(out, &info); err != nil {
			return "", fmt.Errorf("reading what go mod download says of %s: %w", module, err)
		}
		return info.Dir, nil
	}
	return "", fmt.Errorf("no component %q pins %s", componentName, module)
}

// Root finds the checkout that holds the recipes: the folder of the suite's
// go.mod, at or above the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module github.com/seed-140c7b37/mtls-scrape-conformance\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("the working folder is not inside a checkout, whose recipes and pins every run needs: run from a checkout")
		}
	}
}
