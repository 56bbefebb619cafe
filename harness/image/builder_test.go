package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recipes is a copy of all of this checkout that keys are made of, for a test to
// change.
func recipes(t *testing.T) string {
	t.Helper()
	from, to := checkout(t), t.TempDir()
	copyTo := func(p string) {
		content, err := os.ReadFile(p)
		require.NoError(t, err)
		rel, err := filepath.Rel(from, p)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(to, rel), content, 0o644))
	}
	copyTo(filepath.Join(from, "go.mod"))
	for _, folder := range []string{"harness/image/components", "fixtures"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(from, folder), func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				copyTo(p)
			}
			return err
		}))
	}
	return to
}

func nodeKeyOf(t *testing.T, root string) Key {
	t.Helper()
	b := &Builder{root: root}
	parts, err := b.parts(DefaultKubernetes())
	require.NoError(t, err)
	key, err := b.nodeKey(parts, DefaultKubernetes())
	require.NoError(t, err)
	return key
}

func TestTheNodeKeyCoversWhatTheNodeIsMadeOf(t *testing.T) {
	root := recipes(t)
	before := nodeKeyOf(t, root)
	require.Equal(t, before, nodeKeyOf(t, root), "nothing changed")
	for _, file := range []string{
		"harness/image/components/kubernetes/go.mod", "harness/image/components/istio/go.sum", "harness/image/components/coredns/main.go",
		"harness/image/components/envoy/requirements.txt", "fixtures/bookinfo/services/main.go", "fixtures/bookinfo/bookinfo.go",
	} {
		t.Run(file, func(t *testing.T) {
			p := filepath.Join(root, file)
			content, err := os.ReadFile(p)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(p, append(content, "// changed\n"...), 0o644))
			assert.NotEqual(t, before, nodeKeyOf(t, root))
			require.NoError(t, os.WriteFile(p, content, 0o644))
		})
	}
	t.Run("the version of kind", func(t *testing.T) {
		p := filepath.Join(root, "go.mod")
		content, err := os.ReadFile(p)
		require.NoError(t, err)
		pin, err := pinOf(p, "sigs.k8s.io/kind")
		require.NoError(t, err)
		changed := strings.Replace(string(content), "sigs.k8s.io/kind "+pin, "sigs.k8s.io/kind v0.99.0", 1)
		require.NoError(t, os.WriteFile(p, []byte(changed), 0o644))
		assert.NotEqual(t, before, nodeKeyOf(t, root))
		require.NoError(t, os.WriteFile(p, content, 0o644))
	})
	assert.Equal(t, before, nodeKeyOf(t, root), "and all is as it was")
}

func TestAChangeOfOneComponentRebuildsNoOther(t *testing.T) {
	root := recipes(t)
	keys := func() map[string]Key {
		parts, err := (&Builder{root: root}).parts(DefaultKubernetes())
		require.NoError(t, err)
		m := map[string]Key{}
		for _, p := range parts {
			assert.NotContains(t, m, p.name)
			m[p.name] = p.key
		}
		return m
	}
	before := keys()
	require.NoError(t, os.WriteFile(filepath.Join(root, "harness/image/components/etcd/go.sum"), nil, 0o644))
	var changed []string
	for name, key := range keys() {
		if before[name] != key {
			changed = append(changed, name)
		}
	}
	assert.Equal(t, []string{"etcd"}, changed)
}

func TestRecipesThatAreNotThereAreNamed(t *testing.T) {
	_, err := (&Builder{root: t.TempDir()}).parts(DefaultKubernetes())
	assert.ErrorContains(t, err, "reading the recipe in")
	_, err = envoyKey(t.TempDir())
	assert.ErrorContains(t, err, "reading Envoy's pin")
}

func TestPinOf(t *testing.T) {
	gomod := filepath.Join(t.TempDir(), "go.mod")
	require.NoError(t, os.WriteFile(gomod, []byte(`module m

require example.com/alone v1.0.0

require (
	example.com/direct v1.2.3
	example.com/direct/v2 v2.0.0
	example.com/indirect v0.1.0 // indirect
)

replace example.com/replaced => example.com/other v9.9.9
`), 0o644))
	for module, want := range map[string]string{
		"example.com/alone": "v1.0.0", "example.com/direct": "v1.2.3", "example.com/direct/v2": "v2.0.0", "example.com/indirect": "v0.1.0",
	} {
		got, err := pinOf(gomod, module)
		require.NoError(t, err)
		assert.Equal(t, want, got, module)
	}
	for _, module := range []string{"example.com/absent", "example.com/dir"} {
		_, err := pinOf(gomod, module)
		assert.ErrorContains(t, err, "does not require "+module)
	}
	_, err := pinOf(filepath.Join(t.TempDir(), "go.mod"), "x")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// builtParts has a stand-in for every file that a recipe takes from a part, and
// an empty root file system for pods.
func builtParts(t *testing.T) map[string]string {
	t.Helper()
	folders := map[string]string{podRootfs.name: t.TempDir()}
	require.NoError(t, writeLayer(filepath.Join(folders[podRootfs.name], "layer.tar"), []file{{path: "/etc/debian_version", content: []byte("12\n")}}))
	for _, i := range Catalogue() {
		for _, f := range i.recipe.programs {
			if f.content != nil {
				continue
			}
			part, rest, _ := strings.Cut(f.from, "/")
			if folders[part] == "" {
				folders[part] = t.TempDir()
			}
			p := filepath.Join(folders[part], rest)
			require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
			require.NoError(t, os.WriteFile(p, []byte("this is "+f.from), 0o755))
		}
	}
	for _, program := range []string{"containerd", "ctr"} {
		if folders["containerd"] == "" {
			folders["containerd"] = t.TempDir()
		}
		require.NoError(t, os.WriteFile(filepath.Join(folders["containerd"], program), nil, 0o755))
	}
	return folders
}

func TestPodImagesAreAllButTheNode(t *testing.T) {
	images, err := podImages(t.TempDir(), builtParts(t), insideNode())
	require.NoError(t, err)
	var got, want []string
	for ref := range images {
		got = append(got, ref.Name())
	}
	for _, i := range Catalogue() {
		if i.Place != host {
			ref, err := name.NewTag(i.Reference)
			require.NoError(t, err)
			want = append(want, ref.Name())
		}
	}
	assert.ElementsMatch(t, want, got)
}

func TestAPodImageIsWhatItsRecipeSays(t *testing.T) {
	images, err := podImages(t.TempDir(), builtParts(t), insideNode())
	require.NoError(t, err)
	of := func(short string) (v1.Config, [][]entry) {
		ref, err := name.NewTag(Find(short).Reference)
		require.NoError(t, err)
		file, err := images[ref].ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, "linux", file.OS)
		assert.NotEmpty(t, file.Architecture)
		layers, err := images[ref].Layers()
		require.NoError(t, err)
		var contents [][]entry
		for _, l := range layers {
			r, err := l.Uncompressed()
			require.NoError(t, err)
			contents = append(contents, readTar(t, r))
			require.NoError(t, r.Close())
		}
		return file.Config, contents
	}

	config, layers := of("pause")
	assert.Equal(t, []string{"/pause"}, config.Entrypoint)
	require.Len(t, layers, 1, "from scratch")
	assert.Equal(t, "this is pause/pause", find(t, layers[0], "pause").content)

	config, layers = of("proxyv2")
	assert.Equal(t, []string{"/usr/local/bin/pilot-agent"}, config.Entrypoint)
	require.Len(t, layers, 2, "on Debian")
	assert.Equal(t, "this is envoy/envoy", find(t, layers[1], "usr/local/bin/envoy").content)
	assert.Contains(t, find(t, layers[1], "var/lib/istio/envoy/envoy_bootstrap_tmpl.json").content, "istio-module/")

	config, layers = of("bookinfo-productpage-v1")
	assert.Equal(t, "1000:1000", config.User)
	assert.NotEmpty(t, find(t, layers[1], "opt/microservices/productpage.py").content)

	config, _ = of("bookinfo-reviews-v3")
	assert.Contains(t, config.Env, "STAR_COLOR=red")
	assert.Contains(t, config.Env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	config, _ = of("bookinfo-reviews-v1")
	assert.NotContains(t, config.Env, "STAR_COLOR=red", "no image has the settings of another")
}

func TestAProgramThatWasNotBuiltIsNamed(t *testing.T) {
	parts := builtParts(t)
	require.NoError(t, os.Remove(filepath.Join(parts["etcd"], "etcd")))
	_, err := podImages(t.TempDir(), parts, insideNode())
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, "assembling the image etcd")
}

// What the engine is given must be readable by whoever reads image archives.
func TestAStackCanBeReadBack(t *testing.T) {
	lower, upper := t.TempDir(), t.TempDir()
	require.NoError(t, writeLayer(filepath.Join(lower, "layer.tar"), []file{{path: "/a", content: []byte("lower")}}))
	require.NoError(t, writeLayer(filepath.Join(upper, "layer.tar"), []file{{path: "/a", content: []byte("upper")}}))
	img, err := stack(v1.Config{Entrypoint: []string{"/a"}, User: "1:1"}, lower, upper)
	require.NoError(t, err)
	ref, err := name.NewTag("example.com/x:v1")
	require.NoError(t, err)
	archive := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, tarball.WriteToFile(archive, ref, img))

	back, err := tarball.ImageFromPath(archive, &ref)
	require.NoError(t, err)
	file, err := back.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "1:1", file.Config.User)
	layers, err := back.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 2)
	for n, want := range []string{"lower", "upper"} {
		r, err := layers[n].Uncompressed()
		require.NoError(t, err)
		assert.Equal(t, want, find(t, readTar(t, r), "a").content)
		require.NoError(t, r.Close())
	}
}

func TestPipeFeedsTheProgram(t *testing.T) {
	to := filepath.Join(t.TempDir(), "out")
	err := (&Builder{}).pipe(t.Context(), "sh", []string{"-c", `cat > "$0"`, to}, func(w io.Writer) error {
		_, err := io.WriteString(w, "fed")
		return err
	})
	require.NoError(t, err)
	content, err := os.ReadFile(to)
	require.NoError(t, err)
	assert.Equal(t, "fed", string(content))
}

// endless writes until the program takes no more.
func endless(w io.Writer) error {
	for {
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			return err
		}
	}
}

func TestPipeTellsWhyTheProgramGaveUp(t *testing.T) {
	err := (&Builder{}).pipe(t.Context(), "sh", []string{"-c", "echo no space here >&2; exit 3"}, endless)
	require.ErrorContains(t, err, "exit status 3")
	assert.ErrorContains(t, err, "no space here")
}

func TestPipeTellsThatTheInputWasWrong(t *testing.T) {
	wrong := errors.New("a layer is missing")
	err := (&Builder{}).pipe(t.Context(), "sh", []string{"-c", "cat >/dev/null; echo unexpected EOF >&2; exit 1"}, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return wrong
	})
	assert.ErrorIs(t, err, wrong, "what the program says of half an input is not the cause")
}

func TestPipeIsContentWithAProgramThatHasReadEnough(t *testing.T) {
	assert.NoError(t, (&Builder{}).pipe(t.Context(), "true", nil, endless))
}

func TestPipeEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := (&Builder{}).pipe(ctx, "sh", []string{"-c", "cat >/dev/null"}, endless)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(start), 4*time.Second)
}

func TestATarballThatTheProgramRefusesIsToldByTheProgram(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeLayer(filepath.Join(dir, "layer.tar"), []file{{path: "/a", content: bytes.Repeat([]byte("x"), 1<<20)}}))
	img, err := stack(v1.Config{}, dir)
	require.NoError(t, err)
	ref, err := name.NewTag("example.com/x:v1")
	require.NoError(t, err)
	for name, write := range map[string]func(io.Writer) error{
		"one":  func(w io.Writer) error { return tarball.Write(ref, img, w) },
		"many": func(w io.Writer) error { return tarball.MultiRefWrite(map[name.Reference]v1.Image{ref: img}, w) },
	} {
		t.Run(name, func(t *testing.T) {
			err := (&Builder{}).pipe(t.Context(), "sh", []string{"-c", "echo refused >&2; exit 1"}, write)
			assert.ErrorContains(t, err, "refused")
		})
	}
}

// watched is a tracker and what it has reported.
func watched(parts ...string) (*tracker, *[]Progress) {
	var seen []Progress
	return newTracker(func(p Progress) { seen = append(seen, p) }, parts), &seen
}

func TestProgressTellsWhatRunsAndWhatIsLeft(t *testing.T) {
	tr, seen := watched("a", "b", "c")
	require.NoError(t, tr.track("b", func() error { return nil }))
	require.Len(t, *seen, 2)
	start, end := (*seen)[0], (*seen)[1]
	assert.Equal(t, []string{"b"}, start.Running)
	assert.Equal(t, []string{"a", "c"}, start.Waiting)
	assert.Equal(t, []int{0, 3}, []int{start.Done, start.Total})
	assert.Empty(t, start.Finished)

	assert.Empty(t, end.Running)
	assert.Equal(t, []string{"a", "c"}, end.Waiting)
	assert.Equal(t, 1, end.Done)
	assert.Equal(t, "b", end.Finished)
	assert.LessOrEqual(t, end.Took, end.Elapsed)
}

func TestAPartThatFailsIsNotDone(t *testing.T) {
	tr, seen := watched("a")
	wrong := errors.New("wrong")
	require.ErrorIs(t, tr.track("a", func() error { return wrong }), wrong)
	last := (*seen)[len(*seen)-1]
	assert.Zero(t, last.Done)
	assert.Empty(t, last.Finished)
	assert.Empty(t, last.Running, "and runs no more")
}

func TestProgressIsNeverReportedTwiceAtATime(t *testing.T) {
	parts := []string{"a", "b", "c", "d", "e", "f"}
	tr, seen := watched(parts...) // appends without a lock: the race detector looks on
	var all sync.WaitGroup
	for _, p := range parts {
		all.Go(func() { assert.NoError(t, tr.track(p, func() error { return nil })) })
	}
	all.Wait()
	require.Len(t, *seen, 2*len(parts))
	for _, p := range *seen {
		assert.Equal(t, p.Total, p.Done+len(p.Running)+len(p.Waiting), "no part is lost")
	}
	assert.Equal(t, len(parts), (*seen)[len(*seen)-1].Done)
}

func TestABuilderWithoutAListenerWorks(t *testing.T) {
	b, err := NewBuilder(checkout(t), t.TempDir(), nil, nil)
	require.NoError(t, err)
	assert.NotPanics(t, func() { b.progress(Progress{}) })
}

func TestOnePartThatFailsEndsTheBuild(t *testing.T) {
	store, _ := newTestStore(t)
	b := &Builder{root: checkout(t), store: store}
	wrong := errors.New("wrong")
	cutOff := make(chan struct{})
	tr, _ := watched("good", "bad", "slow")
	_, err := b.buildAll(t.Context(), []part{
		{"good", keyOf("good"), write("x")},
		{"bad", keyOf("bad"), func(context.Context, string) error { return wrong }},
		{"slow", keyOf("slow"), func(ctx context.Context, _ string) error {
			<-ctx.Done()
			close(cutOff)
			return ctx.Err()
		}},
	}, tr)
	require.ErrorIs(t, err, wrong, "the cause, not what it cut off")
	<-cutOff
	assert.False(t, store.Has("slow", keyOf("slow")))
}

// insideNode are the images that a node built from packages brings with it.
func insideNode() []Image {
	return slices.DeleteFunc(Catalogue(), func(i Image) bool { return i.Place == host })
}

func TestTheArchiveOfOurOwnImagesHasThoseAndNoOthers(t *testing.T) {
	store, _ := newTestStore(t)
	b := &Builder{root: checkout(t), store: store, progress: func(Progress) {}}
	parts, err := b.parts(DefaultKubernetes())
	require.NoError(t, err)
	for _, p := range parts {
		if p.name == "probe" { // as if it had been built before
			_, err := store.Get(t.Context(), p.name, p.key, func(_ context.Context, dir string) error {
				return os.WriteFile(filepath.Join(dir, "probe"), []byte("this is probe"), 0o755)
			})
			require.NoError(t, err)
		}
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "own.tar")
	require.NoError(t, b.Own(t.Context(), archive))

	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
	require.NoError(t, err)
	var have, want []string
	for _, m := range manifest {
		have = append(have, m.RepoTags...)
	}
	for _, i := range Catalogue() {
		if i.Place == own {
			want = append(want, i.Reference)
		}
	}
	assert.Equal(t, want, have, "by the name that the manifests have")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "what they were assembled in is gone")
}
