package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRootIsFoundFromBelow(t *testing.T) {
	root := t.TempDir()
	below := filepath.Join(root, "harness", "image")
	require.NoError(t, os.MkdirAll(below, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module github.com/seed-140c7b37/mtls-scrape-conformance\n\ngo 1.26\n"), 0o644))
	// A component's go.mod lies between: it is not the one.
	require.NoError(t, os.WriteFile(filepath.Join(below, "go.mod"), []byte("module etcd\n"), 0o644))
	t.Chdir(below)
	got, err := Root()
	require.NoError(t, err)
	want, err := filepath.EvalSymlinks(root)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestRootOutsideOfACheckoutSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/another\n"), 0o644))
	t.Chdir(dir)
	_, err := Root()
	assert.ErrorContains(t, err, "run from a checkout")
}

func TestModuleDirOfAnUnknownComponent(t *testing.T) {
	_, err := ModuleDir(t.Context(), checkout(t), "envoy", "example.com/x")
	assert.EqualError(t, err, `no component "envoy" pins example.com/x`)
}

func TestAComponentIsBuiltIntoItsFolder(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	c := component{name: "some", builds: []build{
		{packages: []string{"."}},
		{packages: []string{"./other"}, output: "renamed", ldflags: "-X main.version=v7"},
		{packages: []string{"./third"}},
	}}
	source := func(name, content string) {
		p := filepath.Join(c.folder(root), name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(content), 0o644))
	}
	source("go.mod", "module some\n\ngo 1.26.0\n")
	for _, f := range []string{"main.go", "other/main.go", "third/main.go"} {
		source(f, "package main\n\nvar version = \"none\"\n\nfunc main() { print(version) }\n")
	}
	require.NoError(t, c.make(t.Context(), root, dir))
	for _, program := range []string{"some", "renamed", "third"} {
		assert.FileExists(t, filepath.Join(dir, program))
	}
	said, err := command{name: "sh", args: []string{"-c", filepath.Join(dir, "renamed") + " 2>&1"}}.run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "v7", string(said))
}

func TestAComponentThatDoesNotCompileShowsTheCompiler(t *testing.T) {
	root := t.TempDir()
	c := component{name: "some", builds: []build{{packages: []string{"."}}}}
	require.NoError(t, os.MkdirAll(c.folder(root), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.folder(root), "go.mod"), []byte("module some\n\ngo 1.26.0\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(c.folder(root), "main.go"), []byte("package main\n\nfunc main() { undefinedThing() }\n"), 0o644))
	assert.ErrorContains(t, c.make(t.Context(), root, t.TempDir()), "undefined: undefinedThing")
}
