package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kinderrors "sigs.k8s.io/kind/pkg/errors"
	"sigs.k8s.io/kind/pkg/exec"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
)

func TestNamesThatAClusterMayHave(t *testing.T) {
	for _, name := range []string{
		Prefix + "dev", Prefix + "20260102-150405-1a2b", Prefix + "a", Prefix + "v1.31", Prefix + strings.Repeat("a", longestName-len(Prefix)),
	} {
		assert.NoError(t, CheckName(name), name)
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ cluster, says string }{
		"empty":                  {"", "must begin with " + Prefix},
		"a user's own":           {"kind", "must begin with " + Prefix},
		"the prefix inside":      {"my-" + Prefix + "dev", "must begin with " + Prefix},
		"in capitals":            {"MTLS-SCRAPE-dev", "must begin with " + Prefix},
		"the prefix alone":       {Prefix, "must go on after " + Prefix},
		"a path":                 {Prefix + "x/../../../root", "must go on after " + Prefix},
		"a path at once":         {Prefix + "/../..", "must go on after " + Prefix},
		"a space":                {Prefix + "my cluster", "must go on after " + Prefix},
		"a capital":              {Prefix + "Dev", "must go on after " + Prefix},
		"a line break":           {Prefix + "dev\n", "must go on after " + Prefix},
		"a hyphen at its end":    {Prefix + "dev-", "must go on after " + Prefix},
		"a flag for the engine":  {Prefix + "dev --force", "must go on after " + Prefix},
		"too long for a host":    {Prefix + strings.Repeat("a", longestName), "use at most 50"},
		"another alphabet":       {Prefix + "größe", "must go on after " + Prefix},
		"a dot and nothing else": {Prefix + ".", "must go on after " + Prefix},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckName(c.cluster)
			require.ErrorContains(t, err, c.says)
			assert.Contains(t, err.Error(), fmt.Sprintf("%q", c.cluster), "it names the name")
		})
	}
}

// mustNotRun is an engine whose client fails the test if it is called.
func mustNotRun(t *testing.T) *engine.Engine {
	called := filepath.Join(t.TempDir(), "called")
	t.Cleanup(func() { assert.NoFileExists(t, called, "the engine was called") })
	return scripted(t, "touch "+called)
}

// scripted is an engine whose client is a shell script.
func scripted(t *testing.T, script string) *engine.Engine {
	binary := filepath.Join(t.TempDir(), "docker")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	return &engine.Engine{Provider: "docker", Binary: binary}
}

func TestAClusterOfAForeignNameIsNeitherMadeNorRemoved(t *testing.T) {
	_, err := Create(t.Context(), Options{Name: "kind", Engine: mustNotRun(t)})
	require.ErrorContains(t, err, "must begin with "+Prefix)
	assert.ErrorContains(t, Remove(t.Context(), mustNotRun(t), "kind"), "must begin with "+Prefix)
}

func TestAClusterOfTheSameNameIsNotReused(t *testing.T) {
	for name, c := range map[string]struct{ script, says string }{
		"a container": {`[ $1 = ps ] && echo mtls-scrape-dev-control-plane; true`, "container mtls-scrape-dev-control-plane"},
		"a network":   {`[ $1 = network ] && echo mtls-scrape-dev; true`, "network mtls-scrape-dev"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Create(t.Context(), Options{Name: Prefix + "dev", Engine: scripted(t, c.script), Dir: dir})
			require.ErrorContains(t, err, "a cluster named mtls-scrape-dev is already there ("+c.says+")")
			require.ErrorContains(t, err, "make down")
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, entries)
		})
	}
}

// The engine's filter for names of networks matches parts of them.
func TestANetworkWhoseNameOnlyBeginsLikeItIsNotTheClusters(t *testing.T) {
	c := &Cluster{Name: Prefix + "dev", engine: scripted(t, `[ $1 = network ] && echo mtls-scrape-dev-2; true`)}
	left, err := c.leftovers(t.Context())
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestLeftoversOfAnEngineThatDoesNotAnswerAreUnknown(t *testing.T) {
	for _, failing := range []string{"ps", "network"} {
		c := &Cluster{Name: Prefix + "dev", engine: scripted(t, `[ $1 != `+failing+` ] || { echo no daemon >&2; exit 1; }`)}
		_, err := c.leftovers(t.Context())
		assert.ErrorContains(t, err, "no daemon", failing)
	}
}

func TestNamesListsTheClustersOfThisProjectOnce(t *testing.T) {
	e := scripted(t, `case $1 in
ps) printf 'kind\nmtls-scrape-a\nmtls-scrape-a\n' ;;
network) printf 'mtls-scrape-a\nmtls-scrape-b\nmy-mtls-scrape-c\nbridge\n' ;;
esac`)
	names, err := Names(t.Context(), e)
	require.NoError(t, err)
	assert.Equal(t, []string{"mtls-scrape-a", "mtls-scrape-b"}, names, "also one of which only the network is left")
}

func TestNamesOfAnEngineThatDoesNotAnswer(t *testing.T) {
	for _, failing := range []string{"ps", "network"} {
		_, err := Names(t.Context(), scripted(t, `[ $1 != `+failing+` ] || { echo no daemon >&2; exit 1; }`))
		assert.ErrorContains(t, err, "no daemon", failing)
	}
}

func TestAKubeconfigThatIsWrongIsNamed(t *testing.T) {
	for name, content := range map[string]string{"malformed": "{", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			_, err := (&Cluster{Name: Prefix + "dev", Kubeconfig: path}).REST()
			assert.ErrorContains(t, err, "reading the kubeconfig of mtls-scrape-dev")
		})
	}
	_, err := (&Cluster{Name: Prefix + "dev", Kubeconfig: filepath.Join(t.TempDir(), "absent")}).REST()
	assert.ErrorContains(t, err, "absent")
}

func TestRetriable(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"server timeout":           {apierrors.NewServerTimeout(pods, "get", 1), true},
		"timeout":                  {apierrors.NewTimeoutError("x", 1), true},
		"too many requests":        {apierrors.NewTooManyRequests("x", 1), true},
		"unavailable":              {apierrors.NewServiceUnavailable("x"), true},
		"conflict":                 {apierrors.NewConflict(pods, "p", errors.New("x")), true},
		"a webhook without answer": {apierrors.NewInternalError(errors.New(`failed calling webhook "x": connection refused`)), true},
		"another internal error":   {apierrors.NewInternalError(errors.New("etcd is broken")), false},
		"connection refused":       {&url.Error{Op: "Get", URL: "x", Err: syscall.ECONNREFUSED}, true},
		"connection reset":         {&url.Error{Op: "Get", URL: "x", Err: syscall.ECONNRESET}, true},
		"wrapped":                  {fmt.Errorf("applying: %w", apierrors.NewServiceUnavailable("x")), true},
		"not found":                {apierrors.NewNotFound(pods, "p"), false},
		"forbidden":                {apierrors.NewForbidden(pods, "p", errors.New("x")), false},
		"invalid":                  {apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "p", nil), false},
		"unauthorized":             {apierrors.NewUnauthorized("x"), false},
		"a webhook that refuses":   {apierrors.NewGenericServerResponse(http.StatusBadRequest, "post", pods, "p", `admission webhook "x" denied the request`, 0, false), false},
		"anything else":            {errors.New("webhook"), false},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, retriable(c.err)) })
	}
}

func TestWhatAProgramOfKindSaidIsTold(t *testing.T) {
	long := strings.Repeat("before\n", 40) + "the reason\n"
	err := withOutput(kinderrors.Wrap(&exec.RunError{Command: []string{"kubeadm", "init"}, Output: []byte(long), Inner: errors.New("exit status 1")}, "failed to init node"))
	require.ErrorContains(t, err, "failed to init node")
	require.ErrorContains(t, err, "the reason")
	assert.Equal(t, 14, strings.Count(err.Error(), "    before\n"), "the end is enough")

	plain := errors.New("plain")
	assert.Equal(t, plain, withOutput(plain))
	silent := &exec.RunError{Command: []string{"x"}, Inner: errors.New("exit status 1")}
	assert.Equal(t, error(silent), withOutput(silent))
}
