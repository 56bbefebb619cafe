package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

const twoContexts = `apiVersion: v1
kind: Config
clusters:
- {name: a, cluster: {server: "https://a.example:6443"}}
- {name: b, cluster: {server: "https://b.example:6443/k8s/clusters/b"}}
users:
- {name: u, user: {token: t}}
contexts:
- {name: staging, context: {cluster: a, user: u}}
- {name: production, context: {cluster: b, user: u}}
current-context: staging
`

// kubeconfigOf is a file with a kubeconfig, and nothing else that could be one.
func kubeconfigOf(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	file := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func TestAClusterIsFoundByItsContext(t *testing.T) {
	file := kubeconfigOf(t, twoContexts)
	for context, host := range map[string]string{"": "https://a.example:6443", "staging": "https://a.example:6443", "production": "https://b.example:6443/k8s/clusters/b"} {
		config, err := Existing(file, context)
		require.NoError(t, err)
		assert.Equal(t, host, config.Host)
		assert.NotNil(t, config.WrapTransport, "it only reads")
	}
}

func TestTheUsersOwnKubeconfigIsFoundAsKubectlFindsIt(t *testing.T) {
	file := kubeconfigOf(t, twoContexts)
	t.Setenv("KUBECONFIG", file)
	config, err := Existing("", "production")
	require.NoError(t, err)
	assert.Equal(t, "https://b.example:6443/k8s/clusters/b", config.Host)
}

func TestAClusterThatCannotBeFoundIsOneSentence(t *testing.T) {
	for name, c := range map[string]struct{ content, context, says string }{
		"a context that is absent":  {twoContexts, "prod", `the kubeconfig has no context "prod": it has production, staging`},
		"a kubeconfig without any":  {"apiVersion: v1\nkind: Config\n", "prod", `the kubeconfig has no context "prod": it has none`},
		"no current context":        {strings.Replace(twoContexts, "current-context: staging", "", 1), "", "the kubeconfig has no current context: name one with CONTEXT=: it has production, staging"},
		"a kubeconfig that is none": {"{", "", "reading the kubeconfig: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Existing(kubeconfigOf(t, c.content), c.context)
			assert.ErrorContains(t, err, c.says)
		})
	}
	_, err := Existing(filepath.Join(t.TempDir(), "absent"), "")
	assert.ErrorContains(t, err, "no such file")
	kubeconfigOf(t, "")
	_, err = Existing("", "")
	assert.ErrorContains(t, err, "give KUBECONFIG=file or CONTEXT=name")
}

// asPod is a pod whose service account leads to a host, or that has none.
func asPod(t *testing.T, config *rest.Config, err error) {
	t.Helper()
	kubeconfigOf(t, "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	was := ofPod
	ofPod = func() (*rest.Config, error) { return config, err }
	t.Cleanup(func() { ofPod = was })
}

func TestAPodReachesItsOwnClusterAndOnlyReads(t *testing.T) {
	asPod(t, &rest.Config{Host: "https://10.96.0.1:443"}, nil)
	config, err := Existing("", "")
	require.NoError(t, err)
	assert.Equal(t, "https://10.96.0.1:443", config.Host)
	assert.Equal(t, userAgent, config.UserAgent)
	assert.NotNil(t, config.WrapTransport, "it only reads")
}

func TestWhatIsNamedWinsOverThePodsOwnCluster(t *testing.T) {
	asPod(t, &rest.Config{Host: "https://10.96.0.1:443"}, nil)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(twoContexts), 0o600))
	config, err := Existing(file, "")
	require.NoError(t, err)
	assert.Equal(t, "https://a.example:6443", config.Host)
	_, err = Existing("", "staging")
	assert.ErrorContains(t, err, `the kubeconfig has no context "staging": it has none`)
}

func TestAPodWithoutAnAccountIsToldSo(t *testing.T) {
	asPod(t, nil, os.ErrNotExist)
	_, err := Existing("", "")
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "automountServiceAccountToken")
}
