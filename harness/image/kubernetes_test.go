package image

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAMinorOfKubernetesIsChosenByItsName(t *testing.T) {
	for asked, wanted := range map[string]string{"1.37": KubernetesVersion, "v1.37": KubernetesVersion, "1.36": "v1.36.3", "v1.36": "v1.36.3"} {
		k, err := ParseKubernetes(asked)
		require.NoError(t, err)
		assert.Equal(t, wanted, k.Packages)
		assert.Equal(t, strings.TrimPrefix(asked, "v"), k.String())
	}
	for _, asked := range []string{"", "1", "1.3", "1.35", "v1.37.2", "1.37.", "vv1.37"} {
		_, err := ParseKubernetes(asked)
		assert.EqualError(t, err, "there is no node image of Kubernetes "+asked+": use 1.37, 1.36")
	}
	assert.Equal(t, []string{"1.37", "1.36"}, KubernetesVersions())
}

func TestEveryMinorOfKubernetesIsThePinnedRelease(t *testing.T) {
	for _, k := range KubernetesMinors() {
		for _, release := range []string{k.Packages, k.Registry} {
			assert.Regexp(t, `^v`+regexp.QuoteMeta(k.Minor)+`\.[0-9]+$`, release)
		}
		assert.Equal(t, k.Packages, componentPin(t, k.component(), "k8s.io/kubernetes"))
		minor := strings.Split(k.Minor, ".")
		flags := k.build().builds[0].ldflags
		assert.Contains(t, flags, "component-base/version.gitVersion="+k.Packages+" ")
		assert.Contains(t, flags, "component-base/version.gitMajor="+minor[0]+" ")
		assert.Contains(t, flags, "component-base/version.gitMinor="+minor[1]+" ")
	}
}

// Outside of Kubernetes' own tree its staging modules are v0.MINOR.PATCH.
func TestTheStagingModulesAreThoseOfTheRelease(t *testing.T) {
	for _, k := range KubernetesMinors() {
		gomod, err := os.ReadFile(filepath.Join(checkout(t), "harness/image/components", k.component(), "go.mod"))
		require.NoError(t, err)
		want := "v0" + strings.TrimPrefix(k.Packages, "v1")
		replaced := regexp.MustCompile(`(?m)^\s*(?:replace )?(k8s\.io/\S+)(?: v\S+)? => k8s\.io/\S+ (v\S+)$`).FindAllStringSubmatch(string(gomod), -1)
		require.NotEmpty(t, replaced)
		for _, r := range replaced {
			assert.Equal(t, want, r[2], r[1])
		}
	}
}

func TestEveryMinorHasTheSameImagesOfPartsOfItsOwn(t *testing.T) {
	standard := DefaultKubernetes()
	for _, i := range standard.Images() {
		assert.Equal(t, Find(i.Name), i, "the catalogue has the default's")
	}
	for _, k := range KubernetesMinors()[1:] {
		for n, i := range k.Images() {
			want := standard.Images()[n]
			assert.Equal(t, want.Name, i.Name)
			assert.Equal(t, want.Place, i.Place)
			if i.Name == "node" {
				assert.True(t, strings.HasSuffix(i.Reference, ":"+k.Registry), i.Reference)
				continue
			}
			assert.Equal(t, strings.TrimSuffix(want.Reference, standard.Packages)+k.Packages, i.Reference)
			assert.True(t, i.recipe.uses(k.component()), i.recipe)
			assert.False(t, i.recipe.uses(standard.component()), i.recipe)
			i.recipe.programs[0].from = strings.Replace(i.recipe.programs[0].from, k.component(), standard.component(), 1)
			assert.Equal(t, want.recipe, i.recipe)
		}
	}
}

func TestANodeHasOneMinorInsideAndNothingOfAnother(t *testing.T) {
	for _, k := range KubernetesMinors() {
		var kubernetes []string
		for _, i := range packagesNode(k).baked() {
			assert.NotEqual(t, host, i.Place)
			if release, found := strings.CutPrefix(i.Reference, "registry.k8s.io/"+i.Name+":"); found && strings.HasPrefix(i.Name, "kube-") {
				kubernetes = append(kubernetes, release)
			}
		}
		assert.Equal(t, []string{k.Packages, k.Packages, k.Packages, k.Packages}, kubernetes)
		var built []string
		for _, c := range k.with(components) {
			if strings.HasPrefix(c.name, "kubernetes") {
				built = append(built, c.name)
			}
		}
		assert.Equal(t, []string{k.component()}, built)
	}
	assert.Equal(t, "kubernetes", components[0].name, "the list itself stays as it is")
}

func TestEveryMinorIsAnotherNodeImage(t *testing.T) {
	b := &Builder{root: checkout(t)}
	keys := map[Key]string{}
	for _, k := range KubernetesMinors() {
		parts, err := b.parts(k)
		require.NoError(t, err)
		key, err := b.nodeKey(parts, k)
		require.NoError(t, err)
		assert.Empty(t, keys[key], "another minor has the same key")
		keys[key] = k.Minor
	}
	standard, err := NodeKey(b.root)
	require.NoError(t, err)
	assert.Equal(t, DefaultKubernetes().Minor, keys[standard])
}

func TestTheTagsThatKubeadmIsToldAreThoseInside(t *testing.T) {
	for name, want := range map[string]string{"etcd": "etcd", "coredns": "coredns/coredns"} {
		assert.Equal(t, "registry.k8s.io/"+want+":"+BakedTag(name), Find(name).Reference)
	}
}
