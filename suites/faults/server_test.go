package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// start runs the server as a pod would, and returns where it listens.
func start(t *testing.T, options ...string) (*exec.Cmd, string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 to run the server with")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	cmd := exec.CommandContext(t.Context(), python, append([]string{"-c", server, "--address", "127.0.0.1", "--port", strconv.Itoa(port)}, options...)...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, fmt.Sprintf("http://127.0.0.1:%d", port)
}

func get(t *testing.T, address string) (code int, kind, body string) {
	t.Helper()
	err := wait.For(t.Context(), "the server to answer", func(ctx context.Context) (bool, string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return false, "", err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, "", err
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		code, kind, body = response.StatusCode, response.Header.Get("Content-Type"), string(content)
		return true, "", err
	}, wait.Timeout(20*time.Second), wait.Interval(50*time.Millisecond))
	require.NoError(t, err)
	return code, kind, body
}

func TestTheServerDoesWhatItIsTold(t *testing.T) {
	cmd, address := start(t, "--status", "401", "--type", "text/html")
	code, kind, _ := get(t, address+"/metrics")
	assert.Equal(t, http.StatusUnauthorized, code)
	assert.Equal(t, "text/html", kind)
	code, _, body := get(t, address+"/health")
	assert.Equal(t, http.StatusOK, code, "the pod stays ready")
	assert.Equal(t, "healthy", body)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	assert.NoError(t, cmd.Wait(), "it ends when it is told to")
}

func TestTheServerServesMetricsUnlessToldOtherwise(t *testing.T) {
	_, address := start(t)
	code, _, body := get(t, address+"/metrics")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, "process_start_time_seconds 1")
	assert.Contains(t, body, "python_gc_objects_collected_total")
}

func TestTheServerEndsOnce(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "started")
	cmd, _ := start(t, "--once", marker)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	_, address := start(t, "--once", marker)
	code, _, _ := get(t, address+"/health")
	assert.Equal(t, http.StatusOK, code)
}
