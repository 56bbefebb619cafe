package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// Change is one small change of a set-up.
type Change struct {
	What string // in a line, for the report
	do   func(s *Subject) error
}

// Set puts a value at a path of fields of an object. A number in the path is an
// index into a list, whose length adds to it. What is missing on the way is made.
func Set(kind, name string, value any, path ...string) Change {
	return Change{
		What: fmt.Sprintf("%s: %s is %s", objectName(kind, name), strings.Join(path, "."), shown(value)),
		do: func(s *Subject) error {
			return s.edit(kind, name, func(fields map[string]any) error {
				v, err := plain(value)
				if err != nil {
					return err
				}
				_, err = put(fields, v, path)
				return err
			})
		},
	}
}

// Unset removes a field. One that is not there is a mistake in this program.
func Unset(kind, name string, path ...string) Change {
	return Change{
		What: fmt.Sprintf("%s: %s is not set", objectName(kind, name), strings.Join(path, ".")),
		do: func(s *Subject) error {
			return s.edit(kind, name, func(fields map[string]any) error { return take(fields, path) })
		},
	}
}

// Annotate sets an annotation of the object itself.
func Annotate(kind, name, annotation, value string) Change {
	return Set(kind, name, value, "metadata", "annotations", annotation)
}

// Add adds objects, in front of those that are there: of what Kubernetes dates to
// the second, they are never the younger ones.
func Add(objects string) Change {
	parsed, err := manifests.Parse([]byte(objects))
	var names []string
	for _, u := range parsed {
		names = append(names, objectName(u.GetKind(), u.GetName()))
	}
	return Change{
		What: "there is " + strings.Join(names, ", "),
		do: func(s *Subject) error {
			if err != nil {
				return err
			}
			s.add(parsed...)
			return nil
		},
	}
}

// Remove leaves an object out.
func Remove(kind, name string) Change {
	return Change{
		What: "there is no " + objectName(kind, name),
		do: func(s *Subject) error {
			i, err := s.index(kind, name)
			if err == nil {
				s.Objects = slices.Delete(s.Objects, i, i+1)
			}
			return err
		},
	}
}

// Move puts an object into another namespace, which is in the mesh as well.
func Move(kind, name string) Change {
	return Change{
		What: objectName(kind, name) + " is in another namespace",
		do: func(s *Subject) error {
			i, err := s.index(kind, name)
			if err != nil {
				return err
			}
			s.Objects[i].SetNamespace(elsewhere)
			if _, err := s.index("Namespace", elsewhere); err != nil {
				s.add(namespace(elsewhere))
			}
			return nil
		},
	}
}

// proxyVariable sets a variable of the sidecars of an object's pods, or removes it
// if the value is nil. Metadata is where the object has that of its pods.
func proxyVariable(kind, name, variable string, value any, metadata ...string) Change {
	what := fmt.Sprintf("%s: %s of the proxy is %s", objectName(kind, name), variable, shown(value))
	if value == nil {
		what = fmt.Sprintf("%s: %s of the proxy is not set", objectName(kind, name), variable)
	}
	return Change{
		What: what,
		do: func(s *Subject) error {
			return s.edit(kind, name, func(fields map[string]any) error {
				path := append(slices.Clone(metadata), "annotations", annotation.ProxyConfig.Name)
				text, _, err := unstructured.NestedString(fields, path...)
				if err != nil {
					return err
				}
				var config struct {
					ProxyMetadata map[string]any `json:"proxyMetadata"`
				}
				if err := yaml.Unmarshal([]byte(text), &config); err != nil {
					return err
				}
				if value == nil {
					delete(config.ProxyMetadata, variable)
				} else {
					config.ProxyMetadata[variable] = value
				}
				changed, err := yaml.Marshal(config)
				if err != nil {
					return err
				}
				_, err = put(fields, string(changed), path)
				return err
			})
		},
	}
}

// Shorthands for the objects that most faults are in.

func ofPrometheus(value any, path ...string) Change {
	return Set("Prometheus", "default", value, path...)
}

func noPrometheus(path ...string) Change { return Unset("Prometheus", "default", path...) }

func ofMonitor(value any, path ...string) Change {
	return Set("ServiceMonitor", "productpage", value, path...)
}

func ofEndpoint(value any, path ...string) Change { return ofMonitor(value, endpoint(path)...) }

func noEndpoint(path ...string) Change {
	return Unset("ServiceMonitor", "productpage", endpoint(path)...)
}

func endpoint(path []string) []string { return append([]string{"spec", "endpoints", "0"}, path...) }

func ofWorkload(value any, path ...string) Change {
	return Set("Deployment", "productpage-v1", value, append([]string{"spec", "template"}, path...)...)
}

func ofContainer(value any, path ...string) Change {
	return ofWorkload(value, append([]string{"spec", "containers", "0"}, path...)...)
}

func ofService(value any, path ...string) Change {
	return Set("Service", "productpage", value, path...)
}

func prometheusVariable(variable string, value any) Change {
	return proxyVariable("Prometheus", "default", variable, value, "spec", "podMetadata")
}

func objectName(kind, name string) string {
	if kind == "Namespace" {
		return "the namespace"
	}
	return kind + " " + name
}

// shown is a value in a line.
func shown(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	const enough = 120
	if s := strings.TrimSpace(text.String()); len(s) <= enough {
		return s
	}
	return strings.ToValidUTF8(text.String()[:enough], "") + "..."
}

// plain is a value as objects have it: whole numbers, lists and maps of anything.
func plain(value any) (v any, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return v, k8sjson.Unmarshal(text, &v)
}

// put sets what is at a path and returns what it was set in.
func put(in, value any, path []string) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch node := in.(type) {
	case map[string]any:
		below, err := put(child(node[path[0]], path[1:]), value, path[1:])
		node[path[0]] = below
		return node, err
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i > len(node) {
			return node, fmt.Errorf("a list of %d has no element %q", len(node), path[0])
		}
		if i == len(node) {
			node = append(node, child(nil, path[1:]))
		}
		below, err := put(node[i], value, path[1:])
		node[i] = below
		return node, err
	}
	return in, fmt.Errorf("there is no field %s in %v", strings.Join(path, "."), in)
}

// child is what is there, or what must be there for the path to go on.
func child(there any, path []string) any {
	switch {
	case there != nil || len(path) == 0:
		return there
	case path[0] == "0":
		return []any{}
	}
	return map[string]any{}
}

// take removes what is at a path.
func take(in any, path []string) error {
	node, ok := in.(map[string]any)
	if list, isList := in.([]any); isList && len(path) > 1 {
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(list) {
			return take(list[i], path[1:])
		}
	}
	if _, there := node[path[0]]; !ok || !there {
		return fmt.Errorf("there is no field %s to remove", strings.Join(path, "."))
	}
	if len(path) > 1 {
		return take(node[path[0]], path[1:])
	}
	delete(node, path[0])
	return nil
}
