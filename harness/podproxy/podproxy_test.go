package podproxy

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

var somePod = Address{Namespace: "shop", Pod: "cart-0", Port: "15020"}

// client reaches pods that all answer in one way.
func client(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := New(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	return c
}

func TestAPodIsAskedAtItsPortAndPath(t *testing.T) {
	for name, c := range map[string]struct {
		address Address
		path    string
	}{
		"plain":        {somePod, "/api/v1/namespaces/shop/pods/http:cart-0:15020/proxy/metrics"},
		"over TLS":     {Address{Namespace: "shop", Pod: "cart-0", Port: "9090", TLS: true}, "/api/v1/namespaces/shop/pods/https:cart-0:9090/proxy/metrics"},
		"below a path": {Address{Namespace: "shop", Pod: "cart-0", Port: "9090", Prefix: "/prom/"}, "/api/v1/namespaces/shop/pods/http:cart-0:9090/proxy/prom/metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			var method, path string
			body, err := client(t, func(_ http.ResponseWriter, r *http.Request) { method, path = r.Method, r.URL.Path }).Get(t.Context(), c.address, "/metrics", 1)
			require.NoError(t, err)
			body.Close()
			assert.Equal(t, c.path, path)
			assert.Equal(t, http.MethodGet, method)
		})
	}
}

func TestARefusalIsToldInTheWordsOfWhoeverRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		code       int
		body, says string
	}{
		"the API server": {503, `{"kind":"Status","message":"error trying to reach service: connection reset by peer"}`, "server error: 503: error trying to reach service: connection reset by peer"},
		"by permissions": {403, `{"kind":"Status","message":"pods \"http:x:1\" is forbidden"}`, `client error: 403: pods "http:x:1" is forbidden`},
		"Prometheus":     {400, `{"status":"error","error":"parse error"}`, "client error: 400: parse error"},
		"somebody else":  {502, "<html>" + strings.Repeat("x", maxStatus), "server error: 502"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, c.body)
			}).Get(t.Context(), somePod, "/", 1)
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal)
			assert.Equal(t, c.code, refusal.Code)
			assert.EqualError(t, err, c.says)
		})
	}
}

func TestAPodThatNeverAnswersCostsABoundedTime(t *testing.T) {
	for name, begin := range map[string]string{"at all": "", "to its end": "half an answer"} {
		t.Run(name, func(t *testing.T) {
			c := client(t, func(w http.ResponseWriter, r *http.Request) {
				if begin != "" {
					_, _ = io.WriteString(w, begin)
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
			c.timeout = 50 * time.Millisecond
			body, err := c.Get(t.Context(), somePod, "/", 1<<20)
			if begin == "" {
				require.ErrorContains(t, err, "there was no answer within 50ms")
				return
			}
			require.NoError(t, err)
			defer body.Close()
			_, err = io.ReadAll(body)
			assert.ErrorContains(t, err, "deadline exceeded")
		})
	}
}

func TestAnAnswerWithoutEndIsNotReadToItsEnd(t *testing.T) {
	sent := &atomic.Int64{}
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := io.WriteString(w, strings.Repeat("metric 1\n", 1000))
			if err != nil {
				return
			}
			sent.Add(int64(n))
		}
	})
	body, err := c.Get(t.Context(), somePod, "/metrics", 2<<20)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, bufio.NewReader(body))
	assert.EqualError(t, err, "the answer is longer than the 2 MiB that are read")
	assert.EqualValues(t, 2<<20, n)
	body.Close()
	assert.Less(t, sent.Load(), int64(50<<20), "what is left is not fetched")
}

func TestWhoIsToldToComeLaterDoes(t *testing.T) {
	asked := 0
	body, err := client(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < tries {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}).Get(t.Context(), somePod, "/", 1)
	require.NoError(t, err)
	body.Close()
	assert.Equal(t, tries, asked)
}

func TestWhoIsAlwaysToldToComeLaterGivesUp(t *testing.T) {
	asked := 0
	_, err := client(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusTooManyRequests)
	}).Get(t.Context(), somePod, "/", 1)
	assert.EqualError(t, err, "client error: 429")
	assert.Equal(t, tries, asked)
}

func TestAConnectionThatIsDroppedIsMadeAgain(t *testing.T) {
	asked := 0
	body, err := client(t, func(http.ResponseWriter, *http.Request) {
		if asked++; asked == 1 {
			panic(http.ErrAbortHandler)
		}
	}).Get(t.Context(), somePod, "/", 1)
	require.NoError(t, err)
	body.Close()
	assert.Equal(t, 2, asked)
}

func TestHowLongToWaitIsGrantedUpToABound(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "1": time.Second, "3600": longestPause, "-1": 0, "soon": 0} {
		assert.Equal(t, want, asked(&http.Response{Header: http.Header{"Retry-After": {header}}}), header)
	}
}
