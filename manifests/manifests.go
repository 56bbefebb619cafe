// Package manifests holds the YAML that is applied to a cluster: Bookinfo, the
// mesh-wide policy, and the vendor guide's set-up with its corrections.
//
// It never talks to a cluster. Read the files in guide first; [Read] turns a
// folder of them into objects.
package manifests

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

//go:embed bookinfo certify foreign guide mesh policy probe rotation unmeshed
var files embed.FS

// The folders that can be read.
const (
	Bookinfo = "bookinfo"
	Certify  = "certify"
	Foreign  = "foreign"
	Guide    = "guide"
	Mesh     = "mesh"
	Policy   = "policy"
	Probe    = "probe"
	Rotation = "rotation"
	Unmeshed = "unmeshed"
)

// The files of a folder that are not applied with it.
const (
	CertifyRole    = "certify/rbac.yaml" // beside a role for another purpose
	CertifyJob     = "certify/job.yaml"
	SonobuoyPlugin = "certify/sonobuoy-plugin.yaml" // no object, but what Sonobuoy makes one of
)

// apart are those that [Read] leaves out.
var apart = map[string]bool{CertifyJob: true, SonobuoyPlugin: true}

// Read returns the objects of a folder, file by file in the order of their names.
// The files are part of this program, so an unreadable one is a defect of it.
func Read(folder string) ([]*unstructured.Unstructured, error) {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return nil, fmt.Errorf("reading the embedded manifests: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, e := range entries {
		file := path.Join(folder, e.Name())
		if apart[file] {
			continue
		}
		parsed, err := ReadFile(file)
		if err != nil {
			return nil, err
		}
		objects = append(objects, parsed...)
	}
	return objects, nil
}

// ReadFile returns the objects of one file.
func ReadFile(file string) ([]*unstructured.Unstructured, error) {
	content, err := files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the embedded manifests: %w", err)
	}
	objects, err := Parse(content)
	if err != nil {
		return nil, fmt.Errorf("manifests/%s: %w", file, err)
	}
	return objects, nil
}

// Parse reads a stream of YAML documents. Empty documents are skipped; one that
// is not an object, or says something twice, is an error.
func Parse(content []byte) ([]*unstructured.Unstructured, error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var objects []*unstructured.Unstructured
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		fields, err := parseDocument(document)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if len(fields) == 0 {
			continue
		}
		u := &unstructured.Unstructured{Object: fields}
		if u.GetKind() == "" || u.GetAPIVersion() == "" || u.GetName() == "" {
			return nil, fmt.Errorf("document %d is not an object: it lacks apiVersion, kind or metadata.name", n)
		}
		objects = append(objects, u)
	}
}

// parseDocument reads whole numbers as such, which is what Kubernetes' helpers for
// unstructured objects know.
func parseDocument(document []byte) (fields map[string]any, err error) {
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(text, &fields)
}
