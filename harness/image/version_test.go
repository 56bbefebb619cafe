package image

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spareImages are those of every version but the default ones.
func spareImages(t *testing.T) []Image {
	t.Helper()
	var all []Image
	for _, k := range KubernetesMinors()[1:] {
		all = append(all, k.Images()...)
	}
	for _, p := range products() {
		for _, v := range p.Versions[1:] {
			images, err := p.Images(v)
			require.NoError(t, err)
			all = append(all, images...)
		}
	}
	return all
}

func TestAVersionIsMeantByItsMinorToo(t *testing.T) {
	for _, c := range []struct {
		product       Product
		asked, wanted string
	}{
		{Istio, "1.31.0", "1.31.0"}, {Istio, "1.31", "1.31.0"}, {Istio, "1.30", "1.30.4"}, {Istio, "1.30.4", "1.30.4"},
		{Prometheus, "v3.5.0", "v3.5.0"}, {Prometheus, "v3.12", "v3.12.0"},
		{Operator, "v0.91", "v0.91.0"}, {Operator, OperatorVersion, OperatorVersion},
	} {
		got, err := c.product.Parse(c.asked)
		require.NoError(t, err)
		assert.Equal(t, c.wanted, got)
	}
	for _, asked := range []string{"", "1", "1.30.", "1.30.5", "v1.30", "1.3"} {
		_, err := Istio.Parse(asked)
		assert.EqualError(t, err, "there is no image of Istio "+asked+": use 1.31.0, 1.30.4")
	}
	_, err := Prometheus.Images("v1.0.0")
	assert.ErrorContains(t, err, "there is no image of Prometheus v1.0.0: use "+PrometheusVersion)
}

func TestTheDefaultVersionIsTheCatalogues(t *testing.T) {
	for _, p := range products() {
		images, err := p.Images(p.Default())
		require.NoError(t, err)
		for _, i := range images {
			assert.Equal(t, Find(i.Name), i)
			assert.True(t, Baked(i), i.Reference)
		}
	}
}

func TestEveryOtherVersionIsMadeLikeTheDefaultOfPartsOfItsOwn(t *testing.T) {
	for _, p := range products() {
		for _, v := range p.Versions[1:] {
			images, err := p.Images(v)
			require.NoError(t, err)
			for _, i := range images {
				assert.False(t, Baked(i), i.Reference)
				assert.True(t, strings.HasSuffix(i.Reference, ":"+v), i.Reference)
				standard := Find(i.Name)
				assert.True(t, i.recipe.uses(p.Component(v)), "%s is built from %v", i.Reference, i.recipe)
				assert.False(t, i.recipe.uses(p.Component(p.Default())), "%s has a part of another version: %v", i.Reference, i.recipe)
				// Beside the version and what it is built from, all is the same.
				for n := range i.recipe.programs {
					f := &i.recipe.programs[n]
					f.from = strings.Replace(f.from, p.Component(v), p.component, 1)
				}
				i.Reference = strings.TrimSuffix(i.Reference, v) + p.Default()
				assert.Equal(t, standard, i)
			}
		}
	}
}

func TestImagesThatAreGivenTakeThePlaceOfTheCatalogues(t *testing.T) {
	spare, err := Istio.Images("1.30.4")
	require.NoError(t, err)
	r := newRegistries()
	r.publishAll(t)
	for _, i := range spare {
		r.publish(t, i.Reference)
	}
	packages := PackagesReferences(spare...)
	registry, err := RegistryReferences(t.Context(), filepath.Join(t.TempDir(), "images.lock.json"), r, spare...)
	require.NoError(t, err)
	for _, c := range Catalogue() {
		want := c.Reference
		if at := slices.IndexFunc(spare, func(s Image) bool { return s.Name == c.Name }); at >= 0 {
			want = spare[at].Reference
		}
		assert.Equal(t, want, packages[c.Name])
		if c.Place == pod {
			assert.True(t, strings.HasPrefix(registry[c.Name], want+"@sha256:"), registry[c.Name])
		}
	}
}
