// Package podproxy asks pods over HTTP by way of the API server's pod proxy, which
// every cluster has: no port is forwarded, nothing runs in the cluster, and a role
// needs no more than "get pods/proxy".
//
// It asks with GET and nothing else. A pod that never answers, answers without end
// or is busy costs a bounded time and a bounded memory.
//
// Read [Client.Get] first.
package podproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Client reaches the pods of one cluster.
type Client struct {
	host      string
	transport http.RoundTripper
	timeout   time.Duration // of one request with its answer
}

// Address is a port of a pod.
type Address struct {
	Namespace string
	Pod       string
	Port      string
	TLS       bool   // the port speaks TLS; the API server does not verify the pod's certificate
	Prefix    string // of every path, as in "/prometheus"; may be empty
}

// answerTime bounds one request with its answer. The API server gives up a proxied
// request after a minute; half of it is long for the slowest query that is asked.
const answerTime = 30 * time.Second

// maxStatus is how much of an error's body is read, in bytes.
const maxStatus = 64 << 10

// New returns a client of a cluster.
func New(config *rest.Config) (*Client, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	return &Client{strings.TrimRight(config.Host, "/"), patient{transport}, answerTime}, nil
}

// Get asks for a path and returns the answer's body, of which no more than limit
// bytes can be read, and that within a bounded time. Any other answer than 200 is an
// error, which says in the API server's words why it did not reach the pod.
func (c *Client) Get(ctx context.Context, a Address, path string, limit int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(a, path), nil)
	if err != nil {
		cancel()
		return nil, err
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("there was no answer within %s: %w", c.timeout, err)
		}
		return nil, err
	}
	body := &bounded{response.Body, cancel, limit, limit}
	if response.StatusCode != http.StatusOK {
		defer body.Close()
		return nil, refusal(response.StatusCode, response.Body)
	}
	return body, nil
}

func (c *Client) url(a Address, path string) string {
	scheme := "http"
	if a.TLS {
		scheme = "https"
	}
	return fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s:%s:%s/proxy%s%s", c.host, a.Namespace, scheme, a.Pod, a.Port, strings.TrimRight(a.Prefix, "/"), path)
}

// refusal is the error of an answer that is not 200. The API server explains itself
// with a Status, Prometheus with an error of its own form.
func refusal(code int, body io.Reader) error {
	text, _ := io.ReadAll(io.LimitReader(body, maxStatus)) // without it the code still says something
	var status metav1.Status
	var own struct {
		Error string `json:"error"`
	}
	why := ""
	switch {
	case json.Unmarshal(text, &status) == nil && status.Message != "":
		why = ": " + status.Message
	case json.Unmarshal(text, &own) == nil && own.Error != "":
		why = ": " + own.Error
	}
	side := "server"
	if code < http.StatusInternalServerError {
		side = "client"
	}
	return &Refusal{Code: code, text: fmt.Sprintf("%s error: %d%s", side, code, why)}
}

// Refusal is an answer other than 200.
type Refusal struct {
	Code int
	text string
}

func (r *Refusal) Error() string { return r.text }

// bounded is a body of which only so much can be read.
type bounded struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	limit  int64
	left   int64
}

// Read fails, rather than ends, where the limit is reached: half an answer must not
// pass for a whole one.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is longer than the %d MiB that are read", b.limit>>20)
	}
	n, err := b.body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *bounded) Close() error {
	defer b.cancel()
	return b.body.Close()
}
