package stack

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// Workloads are the objects of the guide, Bookinfo and the clients that are refused, as
// a namespace gets them. The ServiceMonitor comes before the Prometheus, whose first
// configuration then has it. Images are by upstream's references.
func Workloads(v Variant, namespace, prometheus string, images map[string]string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, folder := range []string{manifests.Probe, manifests.Unmeshed} {
		read, err := manifests.Read(folder)
		if err != nil {
			return nil, err
		}
		objects = append(objects, manifests.Apply(read, v.Edits()...)...)
	}
	setUp, err := v.SetUp()
	if err != nil {
		return nil, err
	}
	return manifests.Apply(append(objects, setUp...), append(versionEdits(prometheus, images), manifests.InNamespace(namespace))...), nil
}

// versionEdits put the images of a run, and its version of Prometheus, into manifests.
func versionEdits(prometheus string, images map[string]string) []manifests.Edit {
	return []manifests.Edit{
		manifests.WithImages(images),
		// The Operator generates the configuration for this version.
		manifests.OnlyKind("Prometheus", manifests.Set(prometheus, "spec", "version")),
	}
}

// ImagesFrom maps upstream's references, which the manifests name, to those that the
// nodes of a cluster are to pull which is not ours: from below a prefix, or as upstream
// has them if it is empty. Prometheus is a version.
func ImagesFrom(prefix, prometheus string) (map[string]string, error) {
	images, err := image.Prometheus.Images(prometheus)
	if err != nil {
		return nil, err
	}
	references := image.PackagesReferences(images...)
	if prefix != "" {
		references = references.Below(prefix)
	}
	return sources{references: references}.byUpstream(), nil
}

// Ready waits until every workload of a namespace has all its replicas. The note says
// how many pods those are.
func Ready(ctx context.Context, client klient.Client, namespace string) (note string, err error) {
	return waitForPods(ctx, client, namespace, 1)
}
