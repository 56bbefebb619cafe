package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// The Helm release of the definitions that all control planes share, and that of
// the default control plane. Another's has its revision behind the name.
const (
	baseRelease   = "istio-base"
	istiodRelease = "istio-istiod"
)

// fieldManager is the name under which Helm applies objects. By itself it takes that of
// the program, and what one of ours has installed another could then not upgrade: each of
// their fields would be a conflict.
const fieldManager = "mtls-scrape-conformance-helm"

func init() { kube.ManagedFieldsManager = fieldManager }

// helm carries out Helm's actions in [RootNamespace] of one cluster.
type helm struct{ config *action.Configuration }

func newHelm(kubeconfig string) (helm, error) {
	flags := genericclioptions.NewConfigFlags(false)
	namespace := RootNamespace
	flags.KubeConfig, flags.Namespace = &kubeconfig, &namespace
	config := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := config.Init(flags, RootNamespace, "secret"); err != nil {
		return helm{}, fmt.Errorf("preparing Helm for %s: %w", kubeconfig, err)
	}
	return helm{config}, nil
}

// install leaves the waiting to us: Helm's own wait does not say what it waited for.
// Nor does it look at the schema, which is fetched by the chart of every run. What a
// disruption has changed and put back is the chart's again, as everything of it.
func (h helm) install(ctx context.Context, name string, c chart.Charter, values map[string]any) error {
	if _, err := h.repair(name); err != nil {
		return err
	}
	install := action.NewInstall(h.config)
	install.ReleaseName, install.Namespace = name, RootNamespace
	install.ServerSideApply, install.ForceConflicts = true, true
	install.WaitStrategy, install.SkipSchemaValidation = kube.HookOnlyStrategy, true
	if _, err := install.RunWithContext(ctx, c, values); err != nil {
		return fmt.Errorf("installing %s: %w", name, err)
	}
	return nil
}

// upgrade does as install does, to what stands under the name.
func (h helm) upgrade(ctx context.Context, name string, c chart.Charter, values map[string]any) error {
	if _, err := h.repair(name); err != nil {
		return err
	}
	upgrade := action.NewUpgrade(h.config)
	upgrade.Namespace, upgrade.ForceConflicts = RootNamespace, true
	upgrade.WaitStrategy, upgrade.SkipSchemaValidation = kube.HookOnlyStrategy, true
	if _, err := upgrade.RunWithContext(ctx, name, c, values); err != nil {
		return fmt.Errorf("upgrading %s: %w", name, err)
	}
	return nil
}

// uninstall removes what stands under the name, and its history.
func (h helm) uninstall(name string) error {
	uninstall := action.NewUninstall(h.config)
	uninstall.WaitStrategy = kube.HookOnlyStrategy
	if _, err := uninstall.Run(name); err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}

// repair ends what a killed run left half way under a name, which Helm itself refuses to
// touch ("another operation is in progress", "a name that is still in use"): what was
// never whole is removed, and what was being changed is rolled back to what it was. Of a
// release that is whole, and of none at all, nothing is changed.
func (h helm) repair(name string) (removed bool, err error) {
	found, err := h.config.Releases.Last(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for what an earlier run left half way of the Helm release %s: %w", name, err)
	}
	last, err := known(found)
	if err != nil {
		return false, err
	}
	whole, err := h.deployed(name)
	if err != nil {
		return false, err
	}
	status := last.Info.Status
	switch {
	case status == common.StatusUninstalling, whole == nil && (status.IsPending() || status == common.StatusFailed):
		return true, h.uninstall(name)
	case status.IsPending():
		rollback := action.NewRollback(h.config)
		rollback.Version, rollback.WaitStrategy, rollback.ForceConflicts = whole.Version, kube.HookOnlyStrategy, true
		if err := rollback.Run(name); err != nil {
			return false, fmt.Errorf("rolling %s back from %s, in which an earlier run left it, to its revision %d: %w (`helm -n %s rollback %s %d` does it by hand)",
				name, status, whole.Version, err, RootNamespace, name, whole.Version)
		}
	}
	return false, nil
}

// base is the release of the definitions, or nil if there is none.
func (h helm) base() (*release.Release, error) { return h.deployed(baseRelease) }

// deployed is the revision of a release that was last whole, or nil if none ever was.
func (h helm) deployed(name string) (*release.Release, error) {
	found, err := h.config.Releases.Deployed(name)
	if errors.Is(err, driver.ErrNoDeployedReleases) || errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the Helm release %s: %w", name, err)
	}
	return known(found)
}

// known is a release of the kind that this Helm makes.
func known(found any) (*release.Release, error) {
	r, ok := found.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("a Helm release is of a kind that is not known: %T", found)
	}
	return r, nil
}

// controlPlanes gives the version of every control plane that stands, by revision.
func (h helm) controlPlanes() (map[string]*version.Version, error) {
	found, err := h.config.Releases.ListDeployed()
	if err != nil {
		return nil, fmt.Errorf("looking for control planes: %w", err)
	}
	all := map[string]*version.Version{}
	for _, f := range found {
		r, ok := f.(*release.Release)
		if !ok {
			continue
		}
		revision, ok := strings.CutPrefix(r.Name+"-", istiodRelease+"-")
		if !ok {
			continue
		}
		revision = cmp.Or(strings.TrimSuffix(revision, "-"), DefaultRevision)
		if all[revision], err = versionOf(r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func versionOf(r *release.Release) (*version.Version, error) {
	v, err := version.ParseGeneric(r.Chart.Metadata.Version)
	if err != nil {
		return nil, fmt.Errorf("reading the version of the Helm release %s: %w", r.Name, err)
	}
	return v, nil
}

// render gives the objects of a chart without any cluster.
func render(ctx context.Context, name string, c chart.Charter, values map[string]any) ([]*unstructured.Unstructured, error) {
	install := action.NewInstall(action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler)))
	install.ReleaseName, install.Namespace = name, RootNamespace
	install.DryRunStrategy, install.SkipSchemaValidation = action.DryRunClient, true
	rendered, err := install.RunWithContext(ctx, c, values)
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	r, ok := rendered.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("rendering %s: Helm gave a %T", name, rendered)
	}
	return manifests.Parse([]byte(r.Manifest))
}
