// Package monitoring knows how the Prometheus Operator is installed and reads what each replica
// of a Prometheus says through its HTTP API.
//
// It judges nothing, and it never reads what Prometheus says through a Service:
// two replicas behind one name would each hide the other's faults.
//
// Read [Bundle] and [Replica] first.
package monitoring

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// Bundle reads what the guide's step 1 installs, the Operator's bundle.yaml, from
// the folder of the Operator's Go module, and keeps its definitions apart.
func Bundle(moduleDir string) (definitions, operator []*unstructured.Unstructured, err error) {
	content, err := os.ReadFile(filepath.Join(moduleDir, "bundle.yaml"))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the Operator's bundle: %w", err)
	}
	objects, err := manifests.Parse(content)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the Operator's bundle: %w", err)
	}
	for _, u := range objects {
		if u.GetKind() == "CustomResourceDefinition" {
			definitions = append(definitions, u)
		} else {
			operator = append(operator, u)
		}
	}
	return definitions, operator, nil
}
