package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRenderConfig(t *testing.T) {
	s := state{"/state"}
	text, err := renderConfig(s, "")
	require.NoError(t, err)
	assert.JSONEq(t, `{"labels":["mtls-scrape-conformance.managed-by=harness-engine"],"pidfile":"/state/dockerd.pid"}`, string(text))
	text, err = renderConfig(s, "/state/cappedrunc-1")
	require.NoError(t, err)
	assert.JSONEq(t, `{"labels":["mtls-scrape-conformance.managed-by=harness-engine"],"pidfile":"/state/dockerd.pid",
		"runtimes":{"cappedrunc":{"path":"/state/cappedrunc-1"}},"default-runtime":"cappedrunc"}`, string(text))
	assert.True(t, ours(text), "what is written here is recognised")
}

func TestForeignConfig(t *testing.T) {
	quoted, err := json.Marshal(marker)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text    string
		foreign bool
	}{
		"a mirror":             {`{"registry-mirrors":["https://m"]}`, true},
		"an empty object":      {`{}`, true},
		"an empty file":        {``, true},
		"no JSON":              {`# ` + marker, true},
		"another label":        {`{"labels":["a=b"]}`, true},
		"the marker elsewhere": {`{"hosts":[` + string(quoted) + `]}`, true},
		"ours":                 {`{"labels":["a=b",` + string(quoted) + `]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "daemon.json")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o644))
			err := foreignConfig(path)
			if !c.foreign {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, path+" holds a Docker configuration that this project did not write, so it is left alone: start Docker yourself with it"+
				" (`systemctl start docker`, or `dockerd` where there is no systemd) and run again")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, c.text, string(after))
		})
	}
	assert.NoError(t, foreignConfig(filepath.Join(t.TempDir(), "none")))
	assert.ErrorContains(t, foreignConfig(t.TempDir()), "cannot tell whose", "a folder in its place")
}
