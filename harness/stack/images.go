package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

// allReferences are those of every image that the run may use, versions to upgrade to
// included.
func (p sources) allReferences() []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(slices.Clone(p.further), maps.Values(p.references)))))
}

// VerifyImages compares what the pods of the cluster were really started from with the
// catalogue of the run: a verdict on other images is none on those that the report names.
// The error names each that is something else, one a line.
func (s *Stack) VerifyImages(ctx context.Context) (note string, err error) {
	var pods corev1.PodList
	if err := s.Client.Resources().List(ctx, &pods); err != nil {
		return "", fmt.Errorf("looking at which images the pods of %s run: %w (see whether its API server still answers)", s.Cluster.Name, err)
	}
	used := image.UsedBy(pods.Items)
	if strangers := image.Strangers(used, s.Images, s.References); len(strangers) > 0 {
		return "", fmt.Errorf("the cluster runs images that are not the run's; find who put them there, and run again:\n%s", strings.Join(strangers, "\n"))
	}
	different := map[string]bool{}
	for _, u := range used {
		different[u.ID] = true
	}
	return fmt.Sprintf("%d images in %d containers, all of the catalogue", len(different), len(used)), nil
}
