package monitoring

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func moduleWith(t *testing.T, bundle string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bundle.yaml"), []byte(bundle), 0o644))
	return dir
}

func TestTheBundlesDefinitionsAreKeptApart(t *testing.T) {
	definitions, operator, err := Bundle(moduleWith(t, `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheuses.monitoring.coreos.com}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus-operator}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus-operator}
`))
	require.NoError(t, err)
	names := func(objects []*unstructured.Unstructured) (out []string) {
		for _, u := range objects {
			out = append(out, u.GetKind()+"/"+u.GetName())
		}
		return out
	}
	assert.Equal(t, []string{"CustomResourceDefinition/prometheuses.monitoring.coreos.com", "CustomResourceDefinition/servicemonitors.monitoring.coreos.com"}, names(definitions))
	assert.Equal(t, []string{"ServiceAccount/prometheus-operator", "Deployment/prometheus-operator"}, names(operator))
}

func TestABundleThatCannotBeReadIsNamed(t *testing.T) {
	_, _, err := Bundle(t.TempDir())
	require.ErrorContains(t, err, "reading the Operator's bundle")
	require.ErrorIs(t, err, os.ErrNotExist)

	_, _, err = Bundle(moduleWith(t, "a: ["))
	assert.ErrorContains(t, err, "reading the Operator's bundle: document 1")
}
