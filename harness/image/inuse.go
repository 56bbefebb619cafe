package image

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// InUse is an image that a container was started from.
type InUse struct {
	Container string // as in "default/prometheus-0, container prometheus"
	Namespace string
	Reference string // as the pod asks for it
	ID        string // as the node's runtime has it
}

// UsedBy lists the images of all containers of pods that were started: those that
// initialise a pod, those that run, and those that somebody added to look around.
func UsedBy(pods []corev1.Pod) []InUse {
	var all []InUse
	for _, p := range pods {
		asked := map[string]string{}
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			asked[c.Name] = c.Image
		}
		for _, c := range p.Spec.EphemeralContainers {
			asked[c.Name] = c.Image
		}
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses) {
			if s.ImageID == "" {
				continue // it was never started
			}
			all = append(all, InUse{fmt.Sprintf("%s/%s, container %s", p.Namespace, p.Name, s.Name), p.Namespace, asked[s.Name], s.ImageID})
		}
	}
	return all
}

// nodeNamespaces are where a node image of kind's brings pods of its own, such as its
// network and its volumes. In registry mode the digest of that image stands for what is
// inside; from packages, all of that is of the catalogue.
var nodeNamespaces = []string{"kube-system", "local-path-storage"}

// Strangers names each image in use that is not one of a run's, why, and where it runs.
// The references are those of the run: with a digest where nodes pull by one.
//
// An image is the run's if the pod asks for it by the name and tag of one of them and
// the node has under it what the run has put there: what has the very digest, or, where
// the reference has none, what no registry gave: it came with the node image, whose key
// is made of all that goes into it, or was loaded by the run.
func Strangers(used []InUse, from Source, references []string) []string {
	pinned := map[string]string{}
	for _, r := range references {
		tagged, digest, _ := strings.Cut(r, "@")
		pinned[tagged] = digest
	}
	where := map[string][]string{}
	ids := map[string]string{}
	for _, u := range used {
		tagged, _, _ := strings.Cut(u.Reference, "@")
		digest, known := pinned[tagged]
		if !known && from == Registry && slices.Contains(nodeNamespaces, u.Namespace) {
			continue
		}
		why := ""
		switch first, seen := ids[tagged]; {
		case !known:
			why = "is not of the catalogue"
		case digest == "" && givenByRegistry(u.ID):
			why = "has a name of the catalogue, but a registry gave it: " + u.ID
		case digest != "" && !strings.HasSuffix(u.ID, "@"+digest):
			why = "has a name of the catalogue, but is not what has the digest " + digest + ": " + u.ID
		case seen && first != u.ID:
			why = "is two images under one name: " + first + " and " + u.ID
		default:
			ids[tagged] = u.ID
			continue
		}
		line := u.Reference + " " + why
		where[line] = append(where[line], u.Container)
	}
	all := make([]string, 0, len(where))
	for _, line := range slices.Sorted(maps.Keys(where)) {
		place := where[line][0]
		if n := len(where[line]); n > 1 {
			place += fmt.Sprintf(" and %d more", n-1)
		}
		all = append(all, line+" ("+place+")")
	}
	return all
}

// imported is how containerd names what it was given as an archive: with the day.
// https://github.com/containerd/containerd/blob/main/cmd/ctr/commands/images/import.go
const imported = "docker.io/library/import-"

// givenByRegistry reports whether a runtime's ID for an image names a repository that it
// was pulled from: what is loaded or baked in has none but a digest.
func givenByRegistry(id string) bool {
	return strings.Contains(id, "@") && !strings.HasPrefix(id, imported)
}
