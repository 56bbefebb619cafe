package faults

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// Subject is the set-up of one fault: the guide's, small, in a namespace of its own.
type Subject struct {
	Namespace string
	// Objects have the names of the guide. Where they name their namespace, or the
	// other one of this subject, they have a placeholder.
	Objects []*unstructured.Unstructured
}

// The placeholders.
const (
	own       = "$NAMESPACE"
	elsewhere = "$ELSEWHERE"
)

// The labels by which everything of a subject is found again.
const (
	faultLabel = "mtls-scrape-conformance/fault"
	runLabel   = "mtls-scrape-conformance/run"
)

// The paces of the small set-up. Most subjects live for a minute: their
// certificates need not be renewed.
var (
	calm    = stack.Variant{ScrapeInterval: 2 * time.Second, CertificateLifetime: time.Hour, Small: true, EllipticKeys: true}
	watched = stack.Variant{ScrapeInterval: 2 * time.Second, CertificateLifetime: 20 * time.Second, Small: true, EllipticKeys: true}
)

// ClusterVariant is what the set-up in the namespace of the Operator has while the
// faults are tried beside it: as little to do as possible.
var ClusterVariant = stack.Variant{ScrapeInterval: 30 * time.Second, CertificateLifetime: 24 * time.Hour, Small: true, EllipticKeys: true}

// NewSubject is the set-up with a fault in it, without what comes later.
func NewSubject(f Fault) (*Subject, error) {
	s, err := goodSubject(f)
	if err != nil {
		return nil, err
	}
	return s, s.Make(f.Change)
}

// goodSubject is the set-up that a fault is put into.
func goodSubject(f Fault) (*Subject, error) {
	s := &Subject{Namespace: f.Namespace}
	if s.Namespace == "" {
		s.Namespace = namespaceOf(f.ID)
	}
	variant := calm
	if f.Watch {
		variant = watched
	}
	setUp, err := variant.SetUp()
	if err != nil {
		return nil, err
	}
	s.Objects = append(s.Objects, namespace(own))
	s.Objects = append(s.Objects, manifests.Apply(setUp, manifests.InNamespace(own), stack.EndsSoon)...)
	return s, nil
}

// namespace is one whose pods get sidecars.
func namespace(name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(name)
	u.SetLabels(map[string]string{mesh.InjectionLabel: "enabled"})
	return u
}

// longestName is how long the name of a namespace may be, with room for the other
// one of the subject.
const longestName = 63 - len(otherSuffix)

const otherSuffix = "-other"

// namespaceOf makes the name of a namespace from the ID of a fault.
func namespaceOf(id string) string {
	name := "fault-" + id
	if len(name) <= longestName {
		return name
	}
	h := fnv.New32a()
	h.Write([]byte(id))
	return fmt.Sprintf("%s-%08x", name[:longestName-9], h.Sum32())
}

// Make makes changes.
func (s *Subject) Make(changes []Change) error {
	for _, c := range changes {
		if err := c.do(s); err != nil {
			return fmt.Errorf("making the change %q: %w", c.What, err)
		}
	}
	return nil
}

func (s *Subject) index(kind, name string) (int, error) {
	i := slices.IndexFunc(s.Objects, func(u *unstructured.Unstructured) bool { return u.GetKind() == kind && u.GetName() == name })
	if i < 0 {
		return i, fmt.Errorf("the set-up has no %s %s", kind, name)
	}
	return i, nil
}

func (s *Subject) edit(kind, name string, change func(fields map[string]any) error) error {
	i, err := s.index(kind, name)
	if err != nil {
		return err
	}
	return change(s.Objects[i].Object)
}

// add puts objects in front, each in this subject's namespace unless it says
// otherwise.
func (s *Subject) add(objects ...*unstructured.Unstructured) {
	var added []*unstructured.Unstructured
	for _, u := range objects {
		u = u.DeepCopy()
		if u.GetNamespace() == "" && !manifests.ClusterScoped(u.GetKind()) {
			u.SetNamespace(own)
		}
		added = append(added, u)
	}
	s.Objects = append(added, s.Objects...)
}

// Manifests are the objects as they are applied, in that order. What belongs to no
// namespace has the subject's in its name, so that subjects do not share it.
func (s *Subject) Manifests(run string, images map[string]string) []*unstructured.Unstructured {
	text := strings.NewReplacer(own, s.Namespace, elsewhere, s.Namespace+otherSuffix)
	var all []*unstructured.Unstructured
	for _, o := range s.Objects {
		u := o.DeepCopy()
		u.Object = replaced(u.Object, text).(map[string]any)
		if manifests.ClusterScoped(u.GetKind()) && u.GetKind() != "Namespace" {
			u.SetName(u.GetName() + "-" + s.Namespace)
		}
		if role, found, _ := unstructured.NestedString(u.Object, "roleRef", "name"); found {
			manifests.Set(role+"-"+s.Namespace, "roleRef", "name")(u)
		}
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[faultLabel], labels[runLabel] = s.Namespace, run
		u.SetLabels(labels)
		manifests.WithImages(images)(u)
		all = append(all, u)
	}
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return all
}

// rank is the place in the order: what others are in or go by comes before them.
// The Prometheus is last, so that its first configuration has its monitors.
func rank(u *unstructured.Unstructured) int {
	switch u.GetKind() {
	case "Namespace":
		return 0
	case "Deployment":
		return 2
	case "Prometheus":
		return 3
	}
	return 1
}

func replaced(value any, text *strings.Replacer) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			v[k] = replaced(v[k], text)
		}
	case []any:
		for i := range v {
			v[i] = replaced(v[i], text)
		}
	case string:
		return text.Replace(v)
	}
	return value
}
