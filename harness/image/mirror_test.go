package image

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMirror(t *testing.T) {
	for s, want := range map[string]Mirror{
		"127.0.0.1:5000":             {"http", "127.0.0.1:5000"},
		"localhost:5000":             {"http", "localhost:5000"},
		"172.17.0.1:5000":            {"http", "172.17.0.1:5000"},
		"https://172.17.0.1:5000":    {"https", "172.17.0.1:5000"},
		"mirror.example.com":         {"https", "mirror.example.com"},
		"http://mirror.example.com":  {"http", "mirror.example.com"},
		"https://mirror.example:443": {"https", "mirror.example:443"},
	} {
		got, err := ParseMirror(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "http://", "ftp://x:1", "a/b", "https://x/v2", "http:/x", "me@x:1", "x y", "x:1?y", "x:port"} {
		_, err := ParseMirror(s)
		assert.ErrorContains(t, err, "is not the address of a registry: use host:port", s)
	}
}

func TestOnlyALoopbackIsOutOfTheNodesReach(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:5000": true, "127.1.2.3:80": true, "localhost:1": true, "[::1]:5000": true,
		"172.17.0.1:5000": false, "mirror.example.com": false, "localhost.example.com": false,
	} {
		assert.Equal(t, want, Mirror{Host: host}.Loopback(), host)
	}
}

func TestWithoutAMirrorEverythingIsAsItWas(t *testing.T) {
	assert.Nil(t, Mirror{}.Transport())
	assert.Empty(t, Mirror{}.String())
}

// asked is a mirror that keeps what it was asked.
func asked(t *testing.T, handler http.HandlerFunc) Mirror {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	m, err := ParseMirror(server.Listener.Addr().String())
	require.NoError(t, err)
	return m
}

func TestAMirrorIsAskedAsContainerdAsksOne(t *testing.T) {
	for upstream, ns := range map[string]string{
		"https://quay.io/v2/prometheus/prometheus/manifests/v1": "quay.io",
		"https://index.docker.io/v2/kindest/node/manifests/v1":  "docker.io",
	} {
		t.Run(ns, func(t *testing.T) {
			var path, got string
			m := asked(t, func(_ http.ResponseWriter, r *http.Request) { path, got = r.URL.Path, r.URL.Query().Get("ns") })
			response, err := (&http.Client{Transport: m.Transport()}).Get(upstream)
			require.NoError(t, err)
			response.Body.Close()
			assert.Equal(t, response.Request.URL.Path, path)
			assert.Equal(t, ns, got)
		})
	}
}

func TestWhereAMirrorSendsItsClientIsNotAskedOfTheMirror(t *testing.T) {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("blob")) }))
	defer store.Close()
	m := asked(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, store.URL+"/bucket/1", http.StatusTemporaryRedirect)
	})
	response, err := (&http.Client{Transport: m.Transport()}).Get("https://quay.io/v2/x/blobs/sha256:1")
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, "/bucket/1", response.Request.URL.Path)
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

// mirrored is a mirror in this process, and images at two references of it.
func mirrored(t *testing.T, references ...string) (Mirror, map[string]v1.Image) {
	t.Helper()
	s := NewServer()
	m := asked(t, s.ServeHTTP)
	images, filling := map[string]v1.Image{}, map[name.Reference]v1.Image{}
	for _, reference := range references {
		img, err := random.Image(64, 2)
		require.NoError(t, err)
		ref, err := name.ParseReference(reference)
		require.NoError(t, err)
		images[reference], filling[ref] = img, img
	}
	require.NoError(t, s.Fill(t.Context(), filling, m.Transport()))
	return m, images
}

func digestOf(t *testing.T, img v1.Image) string {
	t.Helper()
	digest, err := img.Digest()
	require.NoError(t, err)
	return digest.String()
}

func TestAnImageIsPulledByDigestThroughTheMirror(t *testing.T) {
	prometheus := Find("prometheus").Reference
	m, images := mirrored(t, prometheus)
	digest := digestOf(t, images[prometheus])
	got, err := resolve(t.Context(), prometheus, m.Transport())
	require.NoError(t, err)
	assert.Equal(t, digest, got)

	ref, err := name.ParseReference(prometheus + "@" + digest)
	require.NoError(t, err)
	img, err := remote.Image(ref, options(t.Context(), m.Transport())...)
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	assert.Len(t, layers, 2)
	assert.Equal(t, digest, digestOf(t, img))
	assert.NoError(t, References{"prometheus": prometheus + "@" + digest}.Check(t.Context(), m.Transport()))
}

func TestTheLayersOfAServedImageStayOnDisk(t *testing.T) {
	dir := t.TempDir()
	layer := filepath.Join(dir, "layer.tar")
	require.NoError(t, writeLayer(layer, []file{{path: "/a", content: []byte("a")}}))
	img, err := stack(v1.Config{}, dir)
	require.NoError(t, err)
	ref, err := name.ParseReference("example.com/x:v1")
	require.NoError(t, err)
	s := NewServer()
	m := asked(t, s.ServeHTTP)
	require.NoError(t, s.Fill(t.Context(), map[name.Reference]v1.Image{ref: img}, m.Transport()))
	hash, err := v1.NewHash(hashOf(t, layer))
	require.NoError(t, err)
	content, err := s.blobs.Get(t.Context(), "x", hash)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.NoError(t, os.Remove(layer))
	_, err = s.blobs.Get(t.Context(), "x", hash)
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// hashOf is the digest of a layer on disk.
func hashOf(t *testing.T, layer string) string {
	t.Helper()
	l, err := openLayer(layer)
	require.NoError(t, err)
	hash, err := l.Digest()
	require.NoError(t, err)
	return hash.String()
}

var another = "sha256:" + strings.Repeat("a", 64)

// Whatever is wrong with a registry, one sentence names the image, the registry that
// was asked and what to do.
func TestWhatIsWrongWithAMirrorIsTold(t *testing.T) {
	prometheus := Find("prometheus").Reference
	pinned := prometheus + "@" + another
	full, images := mirrored(t, prometheus)
	status := func(code int) Mirror {
		return asked(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	dead := asked(t, nil)
	closed := httptest.NewServer(nil)
	dead.Host = closed.Listener.Addr().String()
	closed.Close()
	empty, _ := mirrored(t)
	lying := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/v2/") {
			w.Header().Set("Content-Length", "1")
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("b", 64))
		}
	})
	for name, c := range map[string]struct {
		mirror     Mirror
		what, next string
	}{
		"dead":         {dead, "did not answer: connection refused", "correct MIRROR"},
		"login":        {status(http.StatusUnauthorized), "wants a login (401)", "let it be read without a login"},
		"forbidden":    {status(http.StatusForbidden), "does not let it be read (403)", "let it be read without a login"},
		"empty":        {empty, "has no such image (404)", "copy it there"},
		"wrong digest": {full, "has another image under that tag, with the digest " + digestOf(t, images[prometheus]), "`images lock`"},
		"lying":        {lying, "answered with something else than what has this digest", "not to be trusted"},
		"an error":     {status(http.StatusTeapot), "answered with an error (418)", "see its log"},
	} {
		t.Run(name, func(t *testing.T) {
			err := References{"prometheus": pinned}.Check(t.Context(), c.mirror.Transport())
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal)
			assert.Contains(t, err.Error(), "asking for "+pinned+": the mirror "+c.mirror.Host+" "+c.what+" (")
			assert.Contains(t, refusal.Next, c.next)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

// The client itself tries again for a while, so none is asked here.
func TestARegistryThatIsAskedTooOftenIsToldApart(t *testing.T) {
	ref, err := name.ParseReference("quay.io/x:v1")
	require.NoError(t, err)
	err = refused(ref, nil, &transport.Error{StatusCode: http.StatusTooManyRequests})
	assert.EqualError(t, err, "asking for quay.io/x:v1: quay.io was asked too often from here (429) (wait, or use IMAGES=packages or another with MIRROR)")
}

func TestAMirrorThatHangsIsNotWaitedFor(t *testing.T) {
	m := asked(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := resolve(ctx, Find("pause").Reference, m.Transport())
	assert.ErrorContains(t, err, "did not answer in time")
}

func TestWhatHasNoDigestIsNotAskedFor(t *testing.T) {
	assert.NoError(t, References{"probe": Find("probe").Reference}.Check(t.Context(), roundTripperFunc(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("asked")
	})))
}

func TestALockHasTheDigestOfEveryImageThatIsPulled(t *testing.T) {
	var references []string
	for _, i := range Pulled() {
		references = append(references, i.Reference)
	}
	m, images := mirrored(t, references...)
	file := filepath.Join(t.TempDir(), "mirror.lock.json")
	require.NoError(t, Lock(t.Context(), file, m.Transport()))
	refs, err := RegistryReferences(t.Context(), file, roundTripperFunc(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("nothing is left to ask")
	}))
	require.NoError(t, err)
	for _, i := range Pulled() {
		assert.Equal(t, i.Reference+"@"+digestOf(t, images[i.Reference]), refs[i.Name])
	}
	assert.NoError(t, refs.Check(t.Context(), m.Transport()))
}

func TestWhatAMirrorAnswersIsNotKeptAsUpstreams(t *testing.T) {
	var references []string
	for _, i := range Pulled() {
		references = append(references, i.Reference)
	}
	m, images := mirrored(t, references...)
	lock := filepath.Join(t.TempDir(), "images.lock.json")
	refs, err := RegistryReferences(t.Context(), lock, m.Transport())
	require.NoError(t, err)
	pilot := Find("pilot").Reference
	assert.Equal(t, pilot+"@"+digestOf(t, images[pilot]), refs["pilot"])
	assert.NoFileExists(t, lock)
}

func TestOfSeveralImagesThatAreMissingAlwaysTheSameIsNamed(t *testing.T) {
	m, _ := mirrored(t)
	refs := References{"b": "quay.io/b:v1@" + another, "a": "quay.io/a:v1@" + another, "c": "quay.io/c:v1@" + another}
	for range 10 {
		assert.ErrorContains(t, refs.Check(t.Context(), m.Transport()), "asking for quay.io/a:v1@")
	}
}

func TestALockIsNotWrittenOfAMirrorThatLacksAnImage(t *testing.T) {
	m, _ := mirrored(t, Find("node").Reference)
	file := filepath.Join(t.TempDir(), "mirror.lock.json")
	assert.ErrorContains(t, Lock(t.Context(), file, m.Transport()), "has no such image (404)")
	assert.NoFileExists(t, file)
}

func TestAnImageSaysWhetherItWasMadeHere(t *testing.T) {
	images, err := podImages(t.TempDir(), builtParts(t), []Image{Find("proxyv2")})
	require.NoError(t, err)
	s := NewServer()
	m := asked(t, s.ServeHTTP)
	require.NoError(t, s.Fill(t.Context(), images, m.Transport()))
	here, err := FromPackages(t.Context(), Find("proxyv2").Reference, m.Transport())
	require.NoError(t, err)
	assert.True(t, here)

	m, _ = mirrored(t, Find("proxyv2").Reference)
	here, err = FromPackages(t.Context(), Find("proxyv2").Reference, m.Transport())
	require.NoError(t, err)
	assert.False(t, here)

	_, err = FromPackages(t.Context(), Find("pilot").Reference, m.Transport())
	assert.ErrorContains(t, err, "has no such image (404)")
}

func TestTheEngineIsGivenAnImageOfTheMirror(t *testing.T) {
	node := Find("node").Reference
	m, images := mirrored(t, node)
	digest := digestOf(t, images[node])
	tag := "mtls-scrape-conformance/pulled:" + digest[len("sha256:"):][:12]

	e := newFakeEngine(t, "image") // it has no such image
	b := &Builder{engine: e.Engine}
	got, err := b.Pull(t.Context(), node+"@"+digest, m.Transport())
	require.NoError(t, err)
	assert.Equal(t, tag, got)
	assert.Contains(t, e.calls(t), "load")

	e = newFakeEngine(t)
	b = &Builder{engine: e.Engine}
	got, err = b.Pull(t.Context(), node+"@"+digest, m.Transport())
	require.NoError(t, err)
	assert.Equal(t, tag, got)
	assert.NotContains(t, e.calls(t), "load", "it is there already")

	e = newFakeEngine(t, "image")
	b = &Builder{engine: e.Engine}
	_, err = b.Pull(t.Context(), node+"@"+another, m.Transport())
	require.ErrorContains(t, err, "has no such image (404)")

	e = newFakeEngine(t, "image", "load")
	b = &Builder{engine: e.Engine}
	_, err = b.Pull(t.Context(), node+"@"+digest, m.Transport())
	assert.ErrorContains(t, err, "giving "+node+"@"+digest+" to the container engine")
}

// In a registry the node image is like upstream's: what is pulled is not inside.
func TestAPublishedNodeHasOnlyTheImagesOfKubernetes(t *testing.T) {
	for _, i := range Catalogue() {
		assert.Equal(t, i.Place == node, publishedNode.inside(i), i.Name)
	}
}
