package stack

import (
	"context"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// reloaderImage is the name of the catalogue's image of the Operator's reloader.
const reloaderImage = "prometheus-config-reloader"

// operatorOf is a version of the Operator, in the guide's namespace and with this run's
// images: its bundle is in its module, which names upstream's.
func operatorOf(ctx context.Context, root, version string, references image.References) (monitoring.OperatorRelease, error) {
	r := monitoring.OperatorRelease{Version: version, Reloader: references[reloaderImage]}
	images, err := image.Operator.Images(version)
	if err != nil {
		return r, err
	}
	dir, err := image.ModuleDir(ctx, root, image.Operator.Component(version), image.OperatorModule)
	if err != nil {
		return r, err
	}
	if r.Definitions, r.Objects, err = monitoring.Bundle(dir); err != nil {
		return r, err
	}
	own := map[string]string{}
	for _, i := range images {
		own[i.Reference] = references[i.Name]
	}
	manifests.Apply(r.Objects, manifests.InNamespace(Namespace), manifests.WithImages(own))
	return r, nil
}
