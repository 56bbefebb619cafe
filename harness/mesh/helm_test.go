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
		deployed(Named(istiodRelease, canary), "1.31.0", nil), deployed("istio-istiodx", "9.9.9", nil),
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
			releases = append(releases, deployed(Named(istiodRelease, r), version, nil))
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

// inStatus is a revision of a release that is in a status.
func inStatus(name, version string, revision int, status releasecommon.Status) *release.Release {
	r := deployed(name, version, nil)
	r.Version, r.Info.Status = revision, status
	return r
}

// A killed run leaves a release in a status in which Helm itself refuses everything.
func TestWhatAKilledRunLeftHalfWayIsRepaired(t *testing.T) {
	const (
		whole, superseded = releasecommon.StatusDeployed, releasecommon.StatusSuperseded
		installing        = releasecommon.StatusPendingInstall
		upgrading         = releasecommon.StatusPendingUpgrade
		rollingBack       = releasecommon.StatusPendingRollback
		uninstalling      = releasecommon.StatusUninstalling
		failed            = releasecommon.StatusFailed
	)
	old, next := "1.30.4", "1.31.0"
	at := func(version string, revision int, status releasecommon.Status) *release.Release {
		return inStatus(istiodRelease, version, revision, status)
	}
	for name, c := range map[string]struct {
		left    []*release.Release
		removed bool
		is      string // version that is deployed afterwards, empty for none
		last    int    // revision
	}{
		"nothing":                    {},
		"all is well":                {[]*release.Release{at(old, 1, whole)}, false, old, 1},
		"all was well several times": {[]*release.Release{at(old, 1, superseded), at(next, 2, whole)}, false, next, 2},
		"killed while it was installed": {
			left: []*release.Release{at(old, 1, installing)}, removed: true,
		},
		"an installation failed": {
			left: []*release.Release{at(old, 1, failed)}, removed: true,
		},
		"killed while it was upgraded": {
			[]*release.Release{at(old, 1, whole), at(next, 2, upgrading)}, false, old, 3,
		},
		"killed while it was upgraded once more": {
			[]*release.Release{at(old, 1, superseded), at(next, 2, whole), at(old, 3, upgrading)}, false, next, 4,
		},
		"killed while it was rolled back": {
			[]*release.Release{at(old, 1, whole), at(next, 2, upgrading), at(old, 3, rollingBack)}, false, old, 4,
		},
		"an upgrade failed, which Helm gets over": {
			[]*release.Release{at(old, 1, whole), at(next, 2, failed)}, false, old, 2,
		},
		"killed while it was removed": {
			left: []*release.Release{at(old, 1, superseded), at(next, 2, uninstalling)}, removed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := standing(t, c.left...)
			removed, err := h.repair(istiodRelease)
			require.NoError(t, err)
			assert.Equal(t, c.removed, removed)
			is, err := h.deployed(istiodRelease)
			require.NoError(t, err)
			history, err := h.config.Releases.History(istiodRelease)
			if c.is == "" {
				assert.Nil(t, is)
				assert.Empty(t, history, "nothing of it is left, so that its name is free")
				return
			}
			require.NoError(t, err)
			require.NotNil(t, is)
			assert.Equal(t, c.is, is.Chart.Metadata.Version)
			last, err := h.config.Releases.Last(istiodRelease)
			require.NoError(t, err)
			assert.Equal(t, c.last, last.(*release.Release).Version)
		})
	}
}

func TestTheNextRunGetsOverAKilledOne(t *testing.T) {
	h := standing(t, inStatus(istiodRelease, "1.30.4", 1, releasecommon.StatusDeployed), inStatus(istiodRelease, "1.31.0", 2, releasecommon.StatusPendingUpgrade))
	require.NoError(t, h.upgrade(t.Context(), istiodRelease, emptyChart("1.31.0"), nil))
	is, err := h.deployed(istiodRelease)
	require.NoError(t, err)
	assert.Equal(t, "1.31.0", is.Chart.Metadata.Version)

	h = standing(t, inStatus(istiodRelease, "1.30.4", 1, releasecommon.StatusPendingInstall))
	require.NoError(t, h.install(t.Context(), istiodRelease, emptyChart("1.30.4"), nil))
	is, err = h.deployed(istiodRelease)
	require.NoError(t, err)
	assert.Equal(t, "1.30.4", is.Chart.Metadata.Version)
}

// A second control plane that never stood has no validation to hand over.
func TestAControlPlaneThatNeverStoodCanBeRemoved(t *testing.T) {
	h := standing(t,
		deployed(baseRelease, "1.31.0", map[string]any{defaultRevisionValue: DefaultRevision}), deployed(istiodRelease, "1.30.4", nil),
		inStatus(Named(istiodRelease, canary), "1.31.0", 1, releasecommon.StatusPendingInstall))
	require.NoError(t, h.remove(t.Context(), canary))
	found, err := h.controlPlanes()
	require.NoError(t, err)
	assert.Len(t, found, 1)
	assert.ErrorContains(t, h.remove(t.Context(), DefaultRevision), "it is the only control plane")
}
