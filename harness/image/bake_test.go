package image

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
)

// fakeEngine is a container engine that keeps its containers and images as files,
// fails at the steps that a test names, and otherwise does nothing.
type fakeEngine struct {
	*engine.Engine
	dir string
}

// The script is Docker as far as bake uses it.
const fakeEngineScript = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
step=$1
case "$*" in
	*"images import"*) step=import; cat >/dev/null ;;
	*"content prune"*) step=prune ;;
	*"/bin/ctr version"*) step=version ;;
esac
case $step in
	load) cat >/dev/null; touch "$here/images/bake" ;;
	run) touch "$here/containers/bake" ;; # a container is there even if its start fails
	rm) rm "$here/containers/bake" ;;
	rmi) rm "$here/images/bake" ;;
	ps) ls "$here/containers" ;;
	images) ls "$here/images" ;;
	logs) echo "containerd: wrong flag" >&2 ;;
	cp) cat "$here/copied.tar" ;;
esac
if [ -e "$here/fail-$step" ]; then
	echo "$step was refused" >&2
	exit 1
fi
`

func newFakeEngine(t *testing.T, failing ...string) fakeEngine {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"containers", "images"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	binary := filepath.Join(dir, "docker")
	require.NoError(t, os.WriteFile(binary, []byte(fakeEngineScript), 0o755))
	for _, step := range failing {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "fail-"+step), nil, 0o644))
	}
	tar := copiedOut(t, regular("containerd/a", "a"), regular(cpSnapshots+"1/fs/b", "b"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "copied.tar"), tar.Bytes(), 0o644))
	return fakeEngine{&engine.Engine{Provider: "docker", Binary: binary}, dir}
}

// left lists the containers and images that the engine still has.
func (e fakeEngine) left(t *testing.T) []string {
	t.Helper()
	left := []string{}
	for _, d := range []string{"containers", "images"} {
		entries, err := os.ReadDir(filepath.Join(e.dir, d))
		require.NoError(t, err)
		for _, f := range entries {
			left = append(left, d+"/"+f.Name())
		}
	}
	return left
}

func (e fakeEngine) calls(t *testing.T) string {
	t.Helper()
	calls, err := os.ReadFile(filepath.Join(e.dir, "calls"))
	require.NoError(t, err)
	return string(calls)
}

func TestBakeLeavesTheLayerAndNothingElse(t *testing.T) {
	e, dir := newFakeEngine(t), t.TempDir()
	require.NoError(t, (&Builder{engine: e.Engine}).bake(t.Context(), dir, builtParts(t), packagesNode(DefaultKubernetes()).baked()))

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "what the images were assembled in is gone")
	layer, err := os.ReadFile(filepath.Join(dir, "layer.tar"))
	require.NoError(t, err)
	assert.Equal(t, []string{"var/lib/containerd/a", snapshots + "1", bakedSnapshots + "1/fs/b"}, entryNames(readTar(t, bytes.NewReader(layer))))
	assert.Empty(t, e.left(t), "neither a container nor an image stays in the engine")
	assert.Contains(t, e.calls(t), "rm --force --volumes ", "nor the volume")
}

func TestBakePinsTheImagesAndDropsTheirLayers(t *testing.T) {
	e := newFakeEngine(t)
	require.NoError(t, (&Builder{engine: e.Engine}).bake(t.Context(), t.TempDir(), builtParts(t), packagesNode(DefaultKubernetes()).baked()))
	calls := e.calls(t)
	assert.Contains(t, calls, "--label=io.cri-containerd.pinned=pinned", "the kubelet must not collect them as garbage")
	steps := []string{"images import", "content prune references", "stop ", "cp "}
	for n := 1; n < len(steps); n++ {
		assert.Less(t, strings.Index(calls, steps[n-1]), strings.Index(calls, steps[n]), "%s comes before %s", steps[n-1], steps[n])
	}
}

func TestABakeThatFailsLeavesNothingInTheEngine(t *testing.T) {
	for _, step := range []string{"load", "run", "import", "prune", "stop", "cp"} {
		t.Run(step, func(t *testing.T) {
			e := newFakeEngine(t, step)
			err := (&Builder{engine: e.Engine}).bake(t.Context(), t.TempDir(), builtParts(t), packagesNode(DefaultKubernetes()).baked())
			require.ErrorContains(t, err, step+" was refused")
			assert.Empty(t, e.left(t))
		})
	}
}

func TestABakeThatIsInterruptedLeavesNothingInTheEngine(t *testing.T) {
	e := newFakeEngine(t, "version") // containerd never answers
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	err := (&Builder{engine: e.Engine}).bake(ctx, t.TempDir(), builtParts(t), packagesNode(DefaultKubernetes()).baked())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "waiting for containerd to answer")
	require.ErrorContains(t, err, "containerd: wrong flag", "containerd's own log says why")
	assert.Empty(t, e.left(t))
}

func TestWhatAKilledBakeLeftIsRemovedFirst(t *testing.T) {
	e, dir := newFakeEngine(t), t.TempDir()
	for _, f := range []string{"containers/bake", "images/bake"} {
		require.NoError(t, os.WriteFile(filepath.Join(e.dir, f), nil, 0o644))
	}
	require.NoError(t, (&Builder{engine: e.Engine}).bake(t.Context(), dir, builtParts(t), packagesNode(DefaultKubernetes()).baked()))
	calls := e.calls(t)
	assert.Less(t, strings.Index(calls, "rm --force"), strings.Index(calls, "run --detach"))
	assert.Equal(t, 2, strings.Count(calls, "rmi --force"))
	assert.Empty(t, e.left(t))
}

func TestThatAnEngineKeepsWhatItWasToRemoveIsTold(t *testing.T) {
	e := newFakeEngine(t, "rm", "rmi")
	err := (&Builder{engine: e.Engine}).bake(t.Context(), t.TempDir(), builtParts(t), packagesNode(DefaultKubernetes()).baked())
	require.ErrorContains(t, err, "rm was refused")
	assert.ErrorContains(t, err, "rmi was refused", "the one does not keep the other from being tried")
}

func TestBakesOfTwoStoresDoNotMeet(t *testing.T) {
	e := newFakeEngine(t)
	b := &Builder{engine: e.Engine}
	require.NoError(t, b.bake(t.Context(), t.TempDir(), builtParts(t), packagesNode(DefaultKubernetes()).baked()))
	require.NoError(t, b.bake(t.Context(), t.TempDir(), builtParts(t), packagesNode(DefaultKubernetes()).baked()))
	names := map[string]bool{}
	for line := range strings.Lines(e.calls(t)) {
		if strings.HasPrefix(line, "run ") {
			for _, f := range strings.Fields(line) {
				if strings.HasPrefix(f, "--name=") {
					names[f] = true
				}
			}
		}
	}
	assert.Len(t, names, 2)
}

func TestANodeThatTheEngineHasIsNotBuilt(t *testing.T) {
	e := newFakeEngine(t)
	store, list := newTestStore(t)
	b := &Builder{root: checkout(t), store: store, engine: e.Engine, progress: func(Progress) { t.Error("something is built") }}
	tag, err := b.Node(t.Context(), DefaultKubernetes())
	require.NoError(t, err)
	assert.Equal(t, "mtls-scrape-conformance/node:"+nodeKeyOf(t, b.root).Short(), tag)
	assert.Empty(t, list("artefacts"))
}

func TestANodeIsAssembledFromItsParts(t *testing.T) {
	e := newFakeEngine(t)
	store, list := newTestStore(t)
	folders := builtParts(t)
	for k, v := range fakePrograms(t) {
		folders[k] = v
	}
	for _, program := range []string{"containerd", "containerd-shim-runc-v2"} {
		require.NoError(t, os.WriteFile(filepath.Join(folders["containerd"], program), nil, 0o755))
	}
	folders["kubernetes"] = builtParts(t)["kubernetes"]
	for _, program := range []string{"kubelet", "kubeadm", "kubectl"} {
		require.NoError(t, os.WriteFile(filepath.Join(folders["kubernetes"], program), nil, 0o755))
	}
	folders[nodeRootfs.name] = folders[podRootfs.name]
	b := &Builder{root: checkout(t), store: store, engine: e.Engine}
	tr, seen := watched("images", "node")
	key := keyOf("node")
	require.NoError(t, b.assemble(t.Context(), packagesNode(DefaultKubernetes()), key, folders, tr, func(img v1.Image) error {
		return b.load(t.Context(), "mtls-scrape-conformance/node:test", img)
	}))
	assert.Equal(t, 2, (*seen)[len(*seen)-1].Done)
	assert.ElementsMatch(t, []string{"images-" + key.Short(), "node-" + key.Short()}, list("artefacts"))
	assert.Equal(t, 2, strings.Count(e.calls(t), "load"), "containerd's own image and the node's")
}
