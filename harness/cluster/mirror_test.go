package cluster

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// node is a cluster of one node, whose default route a test names, and what was
// written to it.
func node(t *testing.T, route string) (c *Cluster, written func() string) {
	t.Helper()
	e := scripted(t, `here=$(dirname "$0")
case "$*" in
	ps*) echo mtls-scrape-dev-control-plane ;;
	inspect*) echo control-plane ;;
	*"route show default") echo '`+route+`' ;;
	*"cp /dev/stdin "*) cat > "$here/written" ;;
esac`)
	t.Setenv("PATH", filepath.Dir(e.Binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, v := range []string{"KIND_EXPERIMENTAL_DOCKER_NETWORK", "KIND_EXPERIMENTAL_PODMAN_NETWORK"} {
		t.Setenv(v, "")
	}
	return &Cluster{Name: Prefix + "dev", engine: e}, func() string {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(e.Binary), "written"))
		require.NoError(t, err)
		return string(content)
	}
}

func TestNodesAskTheMirrorAndNobodyElse(t *testing.T) {
	c, written := node(t, "")
	require.NoError(t, c.UseMirror(t.Context(), &url.URL{Scheme: "https", Host: "mirror.example.com:5000"}, false))
	assert.Equal(t, "server = \"https://mirror.example.com:5000\"\ncapabilities = [\"pull\", \"resolve\"]\n", written())
}

// In this test the gateway is the loopback itself, another address of it.
func TestAMirrorOnLoopbackIsReachedByTheGateway(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	mirror, err := url.Parse(server.URL)
	require.NoError(t, err)
	c, written := node(t, "default via 127.0.0.2 dev eth0")
	require.NoError(t, c.UseMirror(t.Context(), mirror, true))

	_, rest, _ := strings.Cut(written(), `"`)
	address, _, _ := strings.Cut(rest, `"`)
	told, err := url.Parse(address)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.2", told.Hostname())
	for range 2 {
		response, err := http.Post(told.String()+"/v2/", "text/plain", http.NoBody)
		require.NoError(t, err)
		response.Body.Close()
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
	require.NoError(t, c.relay.Close())
	_, err = net.Dial("tcp", told.Host)
	assert.Error(t, err)
}

func TestALoopbackThatNodesCannotReachIsToldWithTheWayOut(t *testing.T) {
	for name, route := range map[string]string{
		"no route":                     "",
		"a route without gateway":      "default dev eth0",
		"a gateway of another machine": "default via 192.0.2.1 dev eth0",
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := node(t, route)
			err := c.UseMirror(t.Context(), &url.URL{Scheme: "http", Host: "127.0.0.1:5000"}, true)
			require.ErrorContains(t, err, "the nodes of mtls-scrape-dev do not reach the mirror 127.0.0.1:5000 on this machine's loopback")
			assert.ErrorContains(t, err, "give MIRROR an address that containers reach")
		})
	}
}
