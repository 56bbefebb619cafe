package stack

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// Setting is a set-up other than the guide's, such as somebody else might have. Its
// API server keeps an audit log.
type Setting struct {
	Revision  string                       // of the control plane
	Folder    string                       // of manifests; its objects name their namespaces
	Operators string                       // the namespace among them that the Operator runs in
	Extra     []*unstructured.Unstructured // applied after the namespaces, before all else
}

// set applies a setting and waits for its workloads.
func (s *Stack) set(ctx context.Context, setting Setting, p sources) (string, error) {
	objects, err := manifests.Read(setting.Folder)
	if err != nil {
		return "", err
	}
	var namespaces, rest []*unstructured.Unstructured
	for _, u := range objects {
		if u.GetKind() == "Namespace" {
			namespaces = append(namespaces, u)
		} else {
			rest = append(rest, u)
		}
	}
	operator := manifests.Apply(p.operator.Objects, manifests.InNamespace(setting.Operators))
	edits := versionEdits(p.prometheus, p.byUpstream())
	for _, some := range [][]*unstructured.Unstructured{namespaces, setting.Extra, operator, rest} {
		if err := cluster.Apply(ctx, s.Client, manifests.Apply(some, edits...)...); err != nil {
			return "", err
		}
	}
	var notes []string
	for _, namespace := range namespaces {
		note, err := waitForPods(ctx, s.Client, namespace.GetName(), setsIn(rest, namespace.GetName()))
		if err != nil {
			return "", err
		}
		notes = append(notes, fmt.Sprintf("%s in %s", note, namespace.GetName()))
	}
	return strings.Join(notes, ", "), nil
}

// setsIn is how many StatefulSets the Operator makes of the Prometheus objects in a
// namespace: one a shard.
func setsIn(objects []*unstructured.Unstructured, namespace string) int {
	sets := 0
	for _, u := range objects {
		if u.GetKind() != "Prometheus" || u.GetNamespace() != namespace {
			continue
		}
		shards, found, _ := unstructured.NestedInt64(u.Object, "spec", "shards")
		if !found {
			shards = 1
		}
		sets += int(shards)
	}
	return sets
}
