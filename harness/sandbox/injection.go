package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"istio.io/api/label"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// Injection is how a namespace gets sidecars: the label that it needs.
type Injection struct {
	Revision   string // or tag; [mesh.DefaultRevision] for who injects where no revision is named
	Key, Value string
}

// ChoiceError says that a user has to name the revision, or named one that is not there.
type ChoiceError struct{ text string }

func (e *ChoiceError) Error() string { return e.text }

// choose takes the injection by the revision or tag that is named, or the only one
// there is.
func choose(hooks []admissionv1.MutatingWebhookConfiguration, revision string) (Injection, error) {
	found := injections(hooks)
	var names []string
	for _, i := range found {
		names = append(names, i.Revision)
		if i.Revision == revision {
			return i, nil
		}
	}
	switch {
	case len(found) == 0:
		return Injection{}, fmt.Errorf("no webhook of the cluster would inject a sidecar into the namespace %s, whatever its labels: install Istio's sidecar injector, or see that its webhooks leave this namespace in", Namespace)
	case revision != "":
		return Injection{}, &ChoiceError{fmt.Sprintf("the mesh has no revision or tag %q: it has %s", revision, strings.Join(names, ", "))}
	case len(found) > 1:
		return Injection{}, &ChoiceError{fmt.Sprintf("the mesh has %d revisions and tags, name one with REVISION=: %s", len(found), strings.Join(names, ", "))}
	}
	return found[0], nil
}

// injections are all that the webhooks offer, the default one first. They are found by
// trying: a label counts if a namespace with it would be injected.
func injections(hooks []admissionv1.MutatingWebhookConfiguration) []Injection {
	revisions := map[string]bool{}
	for _, h := range hooks {
		for _, w := range h.Webhooks {
			if w.NamespaceSelector == nil {
				continue
			}
			for _, r := range w.NamespaceSelector.MatchExpressions {
				if r.Key == label.IoIstioRev.Name && r.Operator == metav1.LabelSelectorOpIn {
					for _, v := range r.Values {
						revisions[v] = true
					}
				}
			}
			if v, ok := w.NamespaceSelector.MatchLabels[label.IoIstioRev.Name]; ok {
				revisions[v] = true
			}
		}
	}
	var found []Injection
	if i := (Injection{mesh.DefaultRevision, mesh.InjectionLabel, "enabled"}); i.works(hooks) {
		found = append(found, i)
		delete(revisions, mesh.DefaultRevision) // the same by another label
	}
	for _, v := range slices.Sorted(maps.Keys(revisions)) {
		if i := (Injection{v, label.IoIstioRev.Name, v}); i.works(hooks) {
			found = append(found, i)
		}
	}
	return found
}

// works reports whether a webhook injects into pods of the namespace with the label.
// The pod has none that speaks of injection.
func (i Injection) works(hooks []admissionv1.MutatingWebhookConfiguration) bool {
	namespace := labels.Set{corev1.LabelMetadataName: Namespace, ManagedByLabel: ManagedBy, i.Key: i.Value}
	return slices.ContainsFunc(hooks, func(h admissionv1.MutatingWebhookConfiguration) bool {
		return slices.ContainsFunc(h.Webhooks, func(w admissionv1.MutatingWebhook) bool {
			return matches(w.NamespaceSelector, namespace) && matches(w.ObjectSelector, labels.Set{"app": "productpage"})
		})
	})
}

// matches reads a selector as the API server does: one that is left out selects all.
func matches(selector *metav1.LabelSelector, of labels.Set) bool {
	if selector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(of)
}
