package image

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// registries is every registry of the world in this process: whatever host is
// asked, the same handler answers, and nothing is sent anywhere.
type registries struct {
	handler http.Handler
	mu      sync.Mutex
	asked   []string // references whose manifest was asked for
}

func newRegistries() *registries {
	return &registries{handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
}

func (r *registries) RoundTrip(request *http.Request) (*http.Response, error) {
	if repository, tag, ok := strings.Cut(request.URL.Path, "/manifests/"); ok && request.Method == http.MethodHead {
		r.mu.Lock()
		r.asked = append(r.asked, request.URL.Host+strings.TrimPrefix(repository, "/v2")+":"+tag)
		r.mu.Unlock()
	}
	request = request.Clone(request.Context())
	if request.Body == nil {
		request.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	r.handler.ServeHTTP(recorder, request)
	response := recorder.Result()
	response.Request = request
	return response, nil
}

// publish puts some image at a reference and returns its digest.
func (r *registries) publish(t *testing.T, reference string) string {
	t.Helper()
	img, err := random.Image(8, 1)
	require.NoError(t, err)
	ref, err := name.ParseReference(reference)
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img, remote.WithTransport(r)))
	digest, err := img.Digest()
	require.NoError(t, err)
	r.asked = nil
	return digest.String()
}

// publishAll puts an image at every reference that a run pulls.
func (r *registries) publishAll(t *testing.T) {
	t.Helper()
	for _, i := range Catalogue() {
		if i.Place == pod {
			r.publish(t, i.Reference)
		}
	}
}

// refusing answers every request with a status.
func refusing(status int) *registries {
	return &registries{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })}
}

func TestParseSource(t *testing.T) {
	for _, s := range []Source{Registry, Packages, Auto} {
		got, err := ParseSource(string(s))
		require.NoError(t, err)
		assert.Equal(t, s, got)
	}
	for _, s := range []string{"", "Registry", "docker", " auto"} {
		_, err := ParseSource(s)
		assert.EqualError(t, err, `IMAGES="`+s+`" is not a source of images: use registry, packages or auto`)
	}
}

func TestWhatIsAskedForIsNotProbed(t *testing.T) {
	r := newRegistries()
	for _, wanted := range []Source{Registry, Packages} {
		chosen, why := Choose(t.Context(), wanted, r)
		assert.Equal(t, wanted, chosen)
		assert.Equal(t, "asked for", why)
	}
	assert.Empty(t, r.asked)
}

func TestAutoTakesTheRegistryThatAnswers(t *testing.T) {
	r := newRegistries()
	pause := Find("pause").Reference
	r.publish(t, pause)
	chosen, why := Choose(t.Context(), Auto, r)
	assert.Equal(t, Registry, chosen)
	assert.Equal(t, "the registry answered for "+pause, why)
	assert.Equal(t, []string{pause}, r.asked, "one small question")
}

func TestAutoTakesPackagesWhereNoRegistryGivesTheImageAndSaysWhy(t *testing.T) {
	for what, transport := range map[string]http.RoundTripper{
		"has no such image (404)":          newRegistries(),
		"does not let it be read (403)":    refusing(http.StatusForbidden),
		"wants a login (401)":              refusing(http.StatusUnauthorized),
		"did not answer: no route to host": roundTripperFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") }),
		"answered with an error (418)":     refusing(http.StatusTeapot),
	} {
		t.Run(what, func(t *testing.T) {
			chosen, why := Choose(t.Context(), Auto, transport)
			assert.Equal(t, Packages, chosen)
			assert.Equal(t, "asked for "+Find("pause").Reference+", registry.k8s.io "+what, why)
		})
	}
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAutoDoesNotWaitForARegistryThatHangs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	chosen, _ := Choose(ctx, Auto, roundTripperFunc(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}))
	assert.Equal(t, Packages, chosen)
}

func TestResolveGivesTheDigestBehindATag(t *testing.T) {
	r := newRegistries()
	digest := r.publish(t, "example.com/some/image:v1")
	got, err := resolve(t.Context(), "example.com/some/image:v1", r)
	require.NoError(t, err)
	assert.Equal(t, digest, got)
}

func TestResolveNamesTheImage(t *testing.T) {
	_, err := resolve(t.Context(), "example.com/some/image:v1", refusing(http.StatusForbidden))
	require.ErrorContains(t, err, "asking for example.com/some/image:v1: example.com does not let it be read (403)")

	_, err = resolve(t.Context(), "UPPER:bad reference", newRegistries())
	assert.Error(t, err)
}

func TestPackagesReferencesAreUpstreamsOwn(t *testing.T) {
	refs := PackagesReferences()
	assert.Len(t, refs, len(Catalogue()))
	assert.Equal(t, Find("proxyv2").Reference, refs["proxyv2"])
}

func TestRegistryReferencesPinEveryImageThatIsPulled(t *testing.T) {
	r := newRegistries()
	r.publishAll(t)
	lock := filepath.Join(t.TempDir(), "below", "images.lock.json")
	refs, err := RegistryReferences(t.Context(), lock, r)
	require.NoError(t, err)
	for _, i := range Catalogue() {
		if i.Place == node {
			assert.NotContains(t, refs, i.Name, "it is inside upstream's node image")
			continue
		}
		require.Contains(t, refs, i.Name)
		if i.Place == own {
			assert.Equal(t, i.Reference, refs[i.Name], "it is published nowhere")
			continue
		}
		_, err := name.NewDigest(refs[i.Name])
		assert.NoError(t, err, i.Name)
		assert.True(t, strings.HasPrefix(refs[i.Name], i.Reference+"@"), "%s", refs[i.Name])
	}
	assert.Equal(t, Find("node").Reference+"@"+Find("node").Digest, refs["node"])
	assert.NotContains(t, r.asked, Find("node").Reference, "a digest that is known is not asked for")

	entries, err := os.ReadDir(filepath.Dir(lock))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing but the lock is left")
}

func TestADigestThatWasKeptIsUsed(t *testing.T) {
	r := newRegistries()
	r.publishAll(t)
	lock := filepath.Join(t.TempDir(), "images.lock.json")
	first, err := RegistryReferences(t.Context(), lock, r)
	require.NoError(t, err)
	written, err := os.Stat(lock)
	require.NoError(t, err)

	r.publishAll(t) // upstream moves every tag
	again, err := RegistryReferences(t.Context(), lock, r)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.Empty(t, r.asked, "and nobody is asked")
	now, err := os.Stat(lock)
	require.NoError(t, err)
	assert.Equal(t, written.ModTime(), now.ModTime(), "a lock that does not change is not written")
}

func TestWhatTheLockSaysWinsOverTheCatalogue(t *testing.T) {
	r := newRegistries()
	r.publishAll(t)
	lock := filepath.Join(t.TempDir(), "images.lock.json")
	own := "sha256:" + strings.Repeat("a", 64)
	require.NoError(t, writeLock(lock, map[string]string{Find("node").Reference: own}))
	refs, err := RegistryReferences(t.Context(), lock, r)
	require.NoError(t, err)
	assert.Equal(t, Find("node").Reference+"@"+own, refs["node"], "a mirror may have a node image that somebody built anew")
}

func TestOnlyWhatTheLockLacksIsAskedFor(t *testing.T) {
	r := newRegistries()
	r.publishAll(t)
	lock := filepath.Join(t.TempDir(), "images.lock.json")
	_, err := RegistryReferences(t.Context(), lock, r)
	require.NoError(t, err)

	kept, err := readLock(lock)
	require.NoError(t, err)
	delete(kept, Find("prometheus").Reference)
	kept["quay.io/of/another:version"] = Find("node").Digest
	require.NoError(t, writeLock(lock, kept))
	r.asked = nil
	_, err = RegistryReferences(t.Context(), lock, r)
	require.NoError(t, err)
	assert.Equal(t, []string{Find("prometheus").Reference}, r.asked)
	kept, err = readLock(lock)
	require.NoError(t, err)
	assert.Contains(t, kept, "quay.io/of/another:version", "what another checkout needs stays")
}

func TestARegistryThatRefusesIsToldWithTheWayOut(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "images.lock.json")
	_, err := RegistryReferences(t.Context(), lock, refusing(http.StatusForbidden))
	require.ErrorContains(t, err, "asking for "+Find("pilot").Reference+": ")
	require.ErrorContains(t, err, "use IMAGES=packages")
	assert.NoFileExists(t, lock)
}

func TestALockThatCannotBeReadIsNamedWithTheWayOut(t *testing.T) {
	for name, content := range map[string]string{
		"cut off":             `{"a": "sha256:`,
		"empty":               ``,
		"a list":              `[]`,
		"null":                `null`,
		"not a digest":        `{"quay.io/x:v1": "v1"}`,
		"a digest cut off":    `{"quay.io/x:v1": "sha256:abc"}`,
		"an empty digest":     `{"quay.io/x:v1": ""}`,
		"a digest of no type": `{"quay.io/x:v1": 5}`,
		"a conflict of git":   "<<<<<<< HEAD\n{}\n",
	} {
		t.Run(name, func(t *testing.T) {
			lock := filepath.Join(t.TempDir(), "images.lock.json")
			require.NoError(t, os.WriteFile(lock, []byte(content), 0o644))
			_, err := RegistryReferences(t.Context(), lock, newRegistries())
			require.ErrorContains(t, err, "reading the image lock "+lock)
			require.ErrorContains(t, err, "mend it, or delete it")
			kept, err := os.ReadFile(lock)
			require.NoError(t, err)
			assert.Equal(t, content, string(kept), "what a person may want to mend is left alone")
		})
	}
}

func TestALockThatIsNotThereIsEmpty(t *testing.T) {
	lock, err := readLock(filepath.Join(t.TempDir(), "absent.json"))
	require.NoError(t, err)
	assert.NotNil(t, lock)
	assert.Empty(t, lock)
}

func TestALockIsReadBackAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "images.lock.json")
	lock := map[string]string{"quay.io/x:v1": "sha256:" + strings.Repeat("a", 64)}
	require.NoError(t, writeLock(path, lock))
	got, err := readLock(path)
	require.NoError(t, err)
	assert.Equal(t, lock, got)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(string(content), "}\n"), "it is a text file that people compare")
}

func TestALockThatCannotBeReplacedLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "images.lock.json")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "full"), 0o755)) // a folder in its place
	require.ErrorContains(t, writeLock(path, map[string]string{}), "keeping the digests")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

// A lock comes from a repository that people merge by hand.
func FuzzReadLock(f *testing.F) {
	f.Add([]byte(`{"quay.io/x:v1": "sha256:` + strings.Repeat("a", 64) + `"}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"a": null}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "images.lock.json")
		require.NoError(t, os.WriteFile(path, content, 0o644))
		lock, err := readLock(path)
		if err != nil {
			return
		}
		lock["one/more:v1"] = "x" // it can be written to
		for reference, digest := range lock {
			if reference == "one/more:v1" {
				continue
			}
			_, err := name.NewDigest("example.com/x@" + digest)
			assert.NoError(t, err, "%q", digest)
		}
	})
}
