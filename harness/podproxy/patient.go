package podproxy

import (
	"context"
	"net/http"
	"strconv"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// patient asks again where it was told to come later, and where the API server
// dropped the connection. What a pod answers is not asked again: that it refuses may
// be what somebody wants to know.
type patient struct{ next http.RoundTripper }

const (
	// tries is how often a request is sent at most.
	tries = 4
	// firstPause is before the second try, and doubles from then on.
	firstPause = 100 * time.Millisecond
	// longestPause is the longest that an API server may ask for. Its own throttling
	// asks for one second.
	longestPause = 2 * time.Second
)

// RoundTrip sends a request that has no body, up to four times.
func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	pause := firstPause
	for try := 1; ; try++ {
		response, err := p.next.RoundTrip(r)
		if try == tries || !again(r.Context(), response, err) {
			return response, err
		}
		if response != nil {
			pause = max(pause, asked(response))
			response.Body.Close()
		}
		if err := sleep(r.Context(), pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

func again(ctx context.Context, response *http.Response, err error) bool {
	if err != nil {
		return ctx.Err() == nil && (utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err))
	}
	return response.StatusCode == http.StatusTooManyRequests
}

// asked is the pause that the header Retry-After wants, as far as it is granted.
func asked(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestPause)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
