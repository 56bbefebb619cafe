package mesh

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	kubefake "helm.sh/helm/v4/pkg/kube/fake"
	releasecommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
)

// standing is a Helm without a cluster, in which releases are deployed.
func standing(t *testing.T, releases ...*release.Release) helm {
	t.Helper()
	memory := driver.NewMemory()
	memory.SetNamespace(RootNamespace)
	config := action.NewConfiguration()
	config.Releases, config.KubeClient, config.Capabilities = storage.Init(memory), &kubefake.PrintingKubeClient{Out: io.Discard}, common.DefaultCapabilities
	for _, r := range releases {
		require.NoError(t, config.Releases.Create(r))
	}
	return helm{config}
}

func deployed(name, version string, values map[string]any) *release.Release {
	return &release.Release{
		Name: name, Namespace: RootNamespace, Version: 1, Config: values, Chart: emptyChart(version),
		Info: &release.Info{Status: releasecommon.StatusDeployed},
	}
}

func emptyChart(version string) *chartv2.Chart {
	return &chartv2.Chart{Metadata: &chartv2.Metadata{APIVersion: "v2", Name: "istio", Version: version}}
}

func TestDefinitionsGoForwardOnly(t *testing.T) {
	for name, c := range map[string]struct {
		standing, wanted string // versions
		revision         string
		is, validator    string // afterwards
		releases         int
	}{
		"the first":                   {"", "1.30.4", DefaultRevision, "1.30.4", DefaultRevision, 1},
		"the first, under a revision": {"", "1.30.4", "1-30", "1.30.4", "1-30", 1},
		"an upgrade in place":         {"1.30.4", "1.31.0", DefaultRevision, "1.31.0", DefaultRevision, 2},
		"a canary":                    {"1.30.4", "1.31.0", canary, "1.31.0", DefaultRevision, 2},
		"a patch":                     {"1.31.9", "1.31.10", DefaultRevision, "1.31.10", DefaultRevision, 2},
		"the way back":                {"1.31.0", "1.30.4", DefaultRevision, "1.31.0", DefaultRevision, 1},
		"the same":                    {"1.31.0", "1.31.0", canary, "1.31.0", DefaultRevision, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := standing(t)
			if c.standing != "" {
				h = standing(t, deployed(baseRelease, c.standing, map[string]any{defaultRevisionValue: DefaultRevision}))
			}
			o := Options{Release: Release{Version: c.wanted, Revision: c.revision}}
			require.NoError(t, h.putBase(t.Context(), o, emptyChart(c.wanted)))
			base, err := h.base()
			require.NoError(t, err)
			assert.Equal(t, c.is, base.Chart.Metadata.Version)
			assert.Equal(t, c.validator, base.Config[defaultRevisionValue])
			history, err := h.config.Releases.History(baseRelease)
			require.NoError(t, err)
			assert.Len(t, history, c.releases)
		})
	}
}

func TestDefinitionsOfAnUnknownVersionAreLeftAlone(t *testing.T) {
	o := Options{Release: Release{Version: "newest", Revision: DefaultRevision}}
	err := standing(t, deployed(baseRelease, "1.31.0", nil)).putBase(t.Context(), o, emptyChart("1.31.0"))
	require.ErrorContains(t, err, "reading the version of Istio")
	o.Version = "1.31.0"
	err = standing(t, deployed(baseRelease, "newest", nil)).putBase(t.Context(), o, emptyChart("1.31.0"))
	assert.ErrorContains(t, err, "reading the version of the Helm release istio-base")
}

func TestControlPlanesAreFoundByTheirHelmReleases(t *testing.T) {
	found, err := standing(t,
		deployed(baseRelease, "1.31.0", nil), deployed(istiodRelease, "1.30.4", nil),
		deployed(named(istiodRelease, canary), "1.31.0", nil), deployed("istio-istiodx", "9.9.9", nil),
	).controlPlanes()
	require.NoError(t, err)
	versions := map[string]string{}
	for revision, v := range found {
		versions[revision] = v.String()
	}
	assert.Equal(t, map[string]string{DefaultRevision: "1.30.4", canary: "1.31.0"}, versions)
}

func TestWhoLeavesHandsTheValidationOver(t *testing.T) {
	h := func(validator string, revisions ...string) helm {
		releases := []*release.Release{deployed(baseRelease, "1.31.0", map[string]any{defaultRevisionValue: validator, "kept": true})}
		for _, r := range revisions {
			version := map[string]string{DefaultRevision: "1.30.4", "1-29": "1.29.10", canary: "1.31.0"}[r]
			releases = append(releases, deployed(named(istiodRelease, r), version, nil))
		}
		return standing(t, releases...)
	}
	for name, c := range map[string]struct {
		h         helm
		leaves    string
		validator string
		err       string
	}{
		"to the newest other":      {h(DefaultRevision, DefaultRevision, "1-29", canary), DefaultRevision, canary, ""},
		"of two older":             {h(canary, DefaultRevision, "1-29", canary), canary, DefaultRevision, ""},
		"if it was this one":       {h(DefaultRevision, DefaultRevision, canary), canary, DefaultRevision, ""},
		"unless there is no other": {h(DefaultRevision, DefaultRevision), DefaultRevision, DefaultRevision, "it is the only control plane"},
		"and only if it is there":  {h(DefaultRevision, DefaultRevision), canary, DefaultRevision, "there is no such control plane, only [default]"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.h.leaveValidation(t.Context(), c.leaves)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
			base, err := c.h.base()
			require.NoError(t, err)
			assert.Equal(t, c.validator, base.Config[defaultRevisionValue])
			assert.Equal(t, true, base.Config["kept"])
		})
	}
}
