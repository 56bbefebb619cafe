package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// standing is a cluster of which the engine has a container and a network, each a
// file. The engine is first on the PATH, where kind looks for it.
func standing(t *testing.T, refuses string) (c *Cluster, left func() []string) {
	t.Helper()
	e := scripted(t, `here=$(dirname "$0")/things
echo "$*" | grep -q -e '`+refuses+`' && { echo refused >&2; exit 1; }
case "$*" in
	ps*) cd "$here" && ls -d *control-plane 2>/dev/null ;;
	rm*control-plane) rm -f "$here"/*control-plane ;;
	"network ls"*) cd "$here" && ls -d net 2>/dev/null | sed 's/.*/mtls-scrape-dev/' ;;
	"network rm"*) rm "$here/net" ;;
esac
true`)
	things := filepath.Join(filepath.Dir(e.Binary), "things")
	require.NoError(t, os.Mkdir(things, 0o755))
	for _, f := range []string{"mtls-scrape-dev-control-plane", "net"} {
		require.NoError(t, os.WriteFile(filepath.Join(things, f), nil, 0o644))
	}
	t.Setenv("PATH", filepath.Dir(e.Binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, v := range []string{"KIND_EXPERIMENTAL_DOCKER_NETWORK", "KIND_EXPERIMENTAL_PODMAN_NETWORK"} {
		t.Setenv(v, "") // also puts it back
	}
	c = &Cluster{Name: Prefix + "dev", Kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), engine: e}
	require.NoError(t, os.WriteFile(c.Kubeconfig, []byte("apiVersion: v1\nkind: Config\n"), 0o600))
	return c, func() []string {
		entries, err := os.ReadDir(things)
		require.NoError(t, err)
		names := []string{}
		for _, f := range entries {
			names = append(names, f.Name())
		}
		return names
	}
}

func TestDeleteLeavesNothing(t *testing.T) {
	c, left := standing(t, "nothing at all")
	require.NoError(t, c.Delete(t.Context()))
	assert.Empty(t, left())
	files, err := os.ReadDir(filepath.Dir(c.Kubeconfig))
	require.NoError(t, err)
	assert.Empty(t, files, "neither the kubeconfig nor kind's lock of it")
	assert.NoError(t, c.Delete(t.Context()), "it can be called again")
}

func TestDeleteTellsWhatItCouldNotRemove(t *testing.T) {
	for refuses, says := range map[string]string{"^rm": "deleting the cluster mtls-scrape-dev", "^network rm": "removing the network of mtls-scrape-dev"} {
		t.Run(refuses, func(t *testing.T) {
			c, left := standing(t, refuses)
			err := c.Delete(t.Context())
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, "refused")
			assert.NotEmpty(t, left())
		})
	}
}

func TestOpenOfAClusterThatIsNotThereSaysHowToMakeIt(t *testing.T) {
	c, _ := standing(t, "nothing at all")
	require.NoError(t, c.Delete(t.Context()))
	_, err := Open(t.Context(), c.engine, c.Name, t.TempDir())
	assert.EqualError(t, err, "there is no cluster named mtls-scrape-dev: make one with `make up`")
}
