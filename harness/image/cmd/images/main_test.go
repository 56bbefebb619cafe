package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestListPrintsTheCatalogue(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, reports.ExitConformant, run(t.Context(), []string{"list"}, &stdout, &stderr))
	assert.Empty(t, stderr.String())
	for _, i := range image.Catalogue() {
		assert.Contains(t, stdout.String(), i.Reference)
	}
}

func TestEveryVersionOfTheMatrixCanBeChosen(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, reports.ExitConformant, run(t.Context(), []string{"versions"}, &stdout, &stderr))
	assert.Equal(t, 1, strings.Count(stdout.String(), "\n"), "it is one line of a step's output")
	var matrix map[string][]string
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &matrix))
	for option, product := range map[string]image.Product{"istio": image.Istio, "prometheus": image.Prometheus, "operator": image.Operator} {
		require.Contains(t, matrix[option], product.Default())
		for _, v := range matrix[option] {
			_, err := product.Parse(v)
			assert.NoError(t, err)
		}
	}
	require.Contains(t, matrix["kubernetes"], image.DefaultKubernetes().Minor)
	for _, v := range matrix["kubernetes"] {
		_, err := image.ParseKubernetes(v)
		assert.NoError(t, err)
	}
}

func TestTheKeyIsThatOfTheNodeImage(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, reports.ExitConformant, run(t.Context(), []string{"key"}, &stdout, &stderr))
	assert.Regexp(t, `^[0-9a-f]{64}\n$`, stdout.String())
}

func TestAMirrorThatIsNoneIsNotAsked(t *testing.T) {
	t.Setenv("MIRROR", "me@nowhere")
	var stdout, stderr bytes.Buffer
	assert.Equal(t, reports.ExitSetupFailed, run(t.Context(), []string{"lock", filepath.Join(t.TempDir(), "lock")}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "is not the address of a registry")
}

func TestALoadKnowsWhereTo(t *testing.T) {
	for name, c := range map[string]struct{ mirror, registry, host, below, option, says string }{
		"nowhere":            {says: "load needs the registry to put the images into"},
		"a mirror":           {mirror: "127.0.0.1:5000", host: "127.0.0.1:5000", option: "MIRROR=http://127.0.0.1:5000"},
		"a registry":         {registry: "r.example", host: "r.example", option: "make sandbox REGISTRY=r.example"},
		"a registry's path":  {registry: "127.0.0.1:5000/team/a/", host: "127.0.0.1:5000", below: "team/a", option: "make sandbox REGISTRY=127.0.0.1:5000/team/a"},
		"both":               {mirror: "127.0.0.1:5000", registry: "r.example", says: "not both"},
		"no place for them":  {registry: "https://r.example", says: "is no place for images"},
		"a mirror's no host": {mirror: "a/b", says: "is not the address of a registry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("MIRROR", c.mirror)
			t.Setenv("REGISTRY", c.registry)
			to, below, option, err := placeFromEnvironment()
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				var stdout, stderr bytes.Buffer
				assert.Equal(t, reports.ExitSetupFailed, run(t.Context(), []string{"load", "images.tar"}, &stdout, &stderr))
				assert.Equal(t, err.Error()+"\n", stderr.String())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{c.host, c.below, c.option}, []string{to.Host, below, option})
		})
	}
}

func TestASaveIsOfTheVersionsThatAreAskedFor(t *testing.T) {
	references := func() (istio string, all []string) {
		istio, instead, err := versionsFromEnvironment()
		require.NoError(t, err)
		for _, i := range image.Pulled(instead...) {
			all = append(all, i.Reference)
		}
		return istio, all
	}
	for _, variable := range []string{"KUBERNETES", "ISTIO", "PROMETHEUS", "OPERATOR"} {
		t.Setenv(variable, "")
	}
	istio, all := references()
	assert.Equal(t, image.IstioVersion, istio)
	assert.Contains(t, all, image.Find("pilot").Reference)

	t.Setenv("ISTIO", "1.30")
	t.Setenv("PROMETHEUS", "v3.12")
	t.Setenv("OPERATOR", "v0.91")
	t.Setenv("KUBERNETES", "1.36")
	istio, all = references()
	assert.Equal(t, "1.30.4", istio)
	for _, want := range []string{"registry.istio.io/release/pilot:1.30.4", "registry.istio.io/release/proxyv2:1.30.4", "quay.io/prometheus/prometheus:v3.12.0", "quay.io/prometheus-operator/prometheus-operator:v0.91.0", "docker.io/kindest/node:v1.36.4"} {
		assert.Contains(t, all, want)
	}
	assert.NotContains(t, all, image.Find("pilot").Reference)

	t.Setenv("ISTIO", "1.1")
	_, _, err := versionsFromEnvironment()
	assert.ErrorContains(t, err, "there is no image of Istio 1.1")

	t.Setenv("KUBERNETES", "1.1")
	_, _, err = versionsFromEnvironment()
	assert.ErrorContains(t, err, "there is no node image of Kubernetes 1.1")
}

func TestWrongUsageIsToldInOneLine(t *testing.T) {
	for name, args := range map[string][]string{
		"no command":            nil,
		"too many arguments":    {"build", "node"},
		"too many addresses":    {"mirror", "127.0.0.1:0", "127.0.0.1:1"},
		"a lock without name":   {"lock"},
		"an archive of no name": {"load"},
		"a suite of no name":    {"suite"},
		"an image of no name":   {"push"},
		"unknown command":       {"prune"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			assert.Equal(t, reports.ExitUsage, run(t.Context(), args, &stdout, &stderr))
			assert.Equal(t, usage+"\n", stderr.String())
			assert.Empty(t, stdout.String())
		})
	}
}

func TestABuildThatCannotStartIsASetUpFailure(t *testing.T) {
	t.Setenv("CACHE", t.TempDir())
	t.Chdir(t.TempDir()) // not a checkout
	var stdout, stderr bytes.Buffer
	assert.Equal(t, reports.ExitSetupFailed, run(t.Context(), []string{"build"}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "run from a checkout")
	assert.Equal(t, 1, strings.Count(stderr.String(), "\n"))
	entries, err := os.ReadDir(filepath.Clean(os.Getenv("CACHE")))
	assert.NoError(t, err)
	assert.Empty(t, entries, "nothing is left behind")
}
