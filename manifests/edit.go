package manifests

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Edit changes an object before it is applied.
type Edit func(*unstructured.Unstructured)

// clusterScoped lists the kinds in our manifests, in the Operator's bundle and in Istio's charts
// that belong to no namespace.
var clusterScoped = map[string]bool{
	"ClusterRole": true, "ClusterRoleBinding": true, "CustomResourceDefinition": true, "MutatingWebhookConfiguration": true, "Namespace": true,
}

// ClusterScoped reports whether objects of a kind belong to no namespace.
func ClusterScoped(kind string) bool { return clusterScoped[kind] }

// InNamespace puts namespaced objects, and the subjects of bindings, into a
// namespace.
func InNamespace(namespace string) Edit {
	return func(u *unstructured.Unstructured) {
		if !clusterScoped[u.GetKind()] {
			u.SetNamespace(namespace)
		}
		subjects, found, _ := unstructured.NestedSlice(u.Object, "subjects")
		if !found {
			return
		}
		for _, s := range subjects {
			if m, ok := s.(map[string]any); ok {
				m["namespace"] = namespace
			}
		}
		u.Object["subjects"] = subjects
	}
}

// WithImages replaces image references, wherever an object names them: in
// containers, in a Prometheus' spec.image, and at the end of flags such as
// --prometheus-config-reloader=IMAGE. The map's keys are the references to look
// for.
func WithImages(references map[string]string) Edit {
	return func(u *unstructured.Unstructured) {
		u.Object = replaceImages(u.Object, references).(map[string]any)
	}
}

func replaceImages(value any, references map[string]string) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			v[k] = replaceImages(v[k], references)
		}
	case []any:
		for i := range v {
			v[i] = replaceImages(v[i], references)
		}
	case string:
		for from, to := range references {
			if v == from {
				return to
			}
			if n := len(v) - len(from); n > 1 && v[n:] == from && v[n-1] == '=' {
				return v[:n] + to
			}
		}
	}
	return value
}

// Replace puts one text in the place of another in every string of a value, and gives
// the value back.
func Replace(value any, from, to string) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			v[k] = Replace(v[k], from, to)
		}
	case []any:
		for i := range v {
			v[i] = Replace(v[i], from, to)
		}
	case string:
		return strings.ReplaceAll(v, from, to)
	}
	return value
}

// Set puts a value at a path of fields. The path's parents must be objects.
func Set(value any, path ...string) Edit {
	return func(u *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
			panic("manifests.Set: " + err.Error()) // the path is a literal in this program
		}
	}
}

// OnlyKind restricts an edit to objects of one kind.
func OnlyKind(kind string, edit Edit) Edit {
	return func(u *unstructured.Unstructured) {
		if u.GetKind() == kind {
			edit(u)
		}
	}
}

// Apply carries out the edits on every object.
func Apply(objects []*unstructured.Unstructured, edits ...Edit) []*unstructured.Unstructured {
	for _, u := range objects {
		for _, e := range edits {
			e(u)
		}
	}
	return objects
}
