package faults

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// recordingBytes is how large a recording may be: there are more than a hundred.
const recordingBytes = 40_000

// suffix ends the name of a recording.
const suffix = ".json.gz"

// Shrink leaves of an observation what concerns one subject: the objects of its
// namespaces and those that hold for all, and the pods that run the mesh and the
// Operator.
func Shrink(o observe.Observation, namespace string) observe.Observation {
	kept := []string{namespace, namespace + otherSuffix, o.Root()}
	all := reflect.ValueOf(&o).Elem()
	for i := range all.NumField() {
		field := all.Field(i)
		if field.Kind() != reflect.Slice || field.IsNil() || !field.CanSet() {
			continue
		}
		if _, isObject := namespaceIn(field.Type().Elem()); !isObject {
			continue
		}
		shrunk := reflect.MakeSlice(field.Type(), 0, field.Len())
		for j := range field.Len() {
			if concerns(field.Index(j), kept) {
				shrunk = reflect.Append(shrunk, field.Index(j))
			}
		}
		field.Set(shrunk)
	}
	return o
}

// namespaceIn finds the namespace among the fields of an object, or of a pointer to
// one.
func namespaceIn(t reflect.Type) ([]int, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	f, ok := t.FieldByName("Namespace")
	return f.Index, ok && f.Type.Kind() == reflect.String
}

// concerns reports whether an entry of an observation is kept.
func concerns(v reflect.Value, kept []string) bool {
	switch x := v.Interface().(type) {
	case corev1.Namespace:
		return slices.Contains(kept, x.Name)
	case corev1.Pod:
		return slices.Contains(kept, x.Namespace) || x.Namespace == stack.Namespace && x.Labels["app.kubernetes.io/name"] == "prometheus-operator"
	case monitoringv1.Prometheus:
		return slices.Contains(kept, x.Namespace)
	case observe.Access: // of the account, wherever it looks
		return true
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		v = v.Elem()
	}
	index, _ := namespaceIn(v.Type())
	return slices.Contains(kept, v.FieldByIndex(index).String())
}

// Record keeps an observation as data for the tests, if it is judged there as it was
// here.
func Record(dir string, f Fault, o observe.Observation, got Result) error {
	again := Compare(f, Judge(f, o))
	if !maps.Equal(verdicts(again.Checks), verdicts(got.Checks)) || again.First != got.First {
		return fmt.Errorf("the recording of %s, which has only what concerns it, is judged otherwise: red is %s, not %s, and the first cause %s, not %s",
			f.ID, orNone(red(again.Checks)), orNone(red(got.Checks)), orNone(words(again.First)), orNone(words(got.First)))
	}
	content, err := pack(o)
	if err != nil {
		return fmt.Errorf("recording %s: %w", f.ID, err)
	}
	if len(content) > recordingBytes {
		return fmt.Errorf("the recording of %s has %d bytes, at most %d are meant: let Shrink leave out more", f.ID, len(content), recordingBytes)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("recording %s: %w", f.ID, err)
	}
	return os.WriteFile(filepath.Join(dir, f.ID+suffix), content, 0o644)
}

// pack compresses an observation. Equal ones give equal bytes: the header has
// neither a name nor a time.
func pack(o observe.Observation) ([]byte, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	err = errors.Join(err, w.Close()) // which writes the end
	return packed.Bytes(), err
}

// verdicts are all of them, by check: what a recording is compared by.
func verdicts(checks []reports.Check) map[string]reports.Verdict {
	all := map[string]reports.Verdict{}
	for _, c := range checks {
		all[c.ID] = c.Verdict
	}
	return all
}
