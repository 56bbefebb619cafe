package conformance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// hostile looks as a guest at a good cluster that makes looking hard.
func hostile(t *testing.T, before func(w http.ResponseWriter, r *http.Request) bool) observe.Observation {
	t.Helper()
	c := simulated.New(t, whole(t))
	c.Before = before
	return attach(t, c)
}

// noLie fails for a check that fails: what is looked at is good.
func noLie(t *testing.T, o observe.Observation) (passed int) {
	t.Helper()
	for id, r := range verdicts(t, o) {
		assert.NotEqual(t, reports.Fail, r.Verdict, "%s: %s", id, r.Reason)
		if r.Verdict == reports.Pass {
			passed++
		}
	}
	return passed
}

func TestAnAPIServerThatThrottlesAndDropsConnectionsMakesNoFailure(t *testing.T) {
	var n atomic.Int64
	passed := noLie(t, hostile(t, func(w http.ResponseWriter, r *http.Request) bool {
		switch i := n.Add(1); {
		case i%5 == 0 && strings.Contains(r.URL.Path, "/proxy/"):
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		case i%7 == 0:
			panic(http.ErrAbortHandler)
		}
		return false
	}))
	assert.Positive(t, passed)
}

func TestATargetThatServesFiftyMegabytesIsReadWithoutKeepingThem(t *testing.T) {
	line := "flood_total{x=\"" + strings.Repeat("y", 1000) + "\"} 1\n"
	passed := noLie(t, hostile(t, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/stats/prometheus") {
			for n := 0; n < 50<<20; n += len(line) {
				if _, err := fmt.Fprint(w, line); err != nil {
					return true
				}
			}
		}
		return false
	}))
	assert.Equal(t, 8, passed, "all but those that take a permission")
}

// A proxy that accepts and never answers costs a bounded time, however many of them are.
func TestProxiesThatNeverAnswerAreGivenUpTogether(t *testing.T) {
	c := simulated.New(t, whole(t))
	c.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		silent := strings.HasSuffix(r.URL.Path, "/stats/prometheus") || strings.HasSuffix(r.URL.Path, "/log")
		if silent {
			<-r.Context().Done() // until whoever asks gives up
		}
		return silent
	}
	observer, err := observe.NewObserver(cluster.ReadOnly(c.Config()), "default", "default")
	require.NoError(t, err)
	o, err := observer.Attach(t.Context(), observe.Guest{History: time.Hour, Settle: 3 * time.Second, Asking: 200 * time.Millisecond})
	require.NoError(t, err)
	noLie(t, o)
	require.NotEmpty(t, o.Attached.Asked)
	for _, pod := range o.Attached.Asked {
		i := slices.IndexFunc(o.Unread, func(u observe.Unread) bool { return u.What == "what the sidecar of "+pod+" served" })
		require.GreaterOrEqual(t, i, 0, "%s is not said to be unread", pod)
		assert.Contains(t, o.Unread[i].Reason, "took longer than the 200ms that they may together")
	}
	result := mutualTLSOnTheWire.Judge(o)
	assert.Equal(t, reports.Inconclusive, result.Verdict, result.Reason)
	assert.Equal(t, reports.Pass, targetsUp.Judge(o).Verdict, "what needs no sidecar is judged")
}

func TestATargetThatServesALineWithoutEndIsInconclusive(t *testing.T) {
	o := hostile(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/stats/prometheus") {
			return false
		}
		_, _ = fmt.Fprint(w, strings.Repeat("x", 2<<20))
		return true
	})
	noLie(t, o)
	assert.NotEmpty(t, o.Unread)
}

func TestAPodThatIsGoneWhileItIsReadMakesNoPass(t *testing.T) {
	o := hostile(t, func(w http.ResponseWriter, r *http.Request) bool {
		gone := strings.Contains(r.URL.Path, "prometheus-default-1")
		if gone {
			http.NotFound(w, r)
		}
		return gone
	})
	noLie(t, o)
	assert.Equal(t, reports.Inconclusive, targetsUp.Judge(o).Verdict)
}

func TestAListWhosePagesAreGoneIsBegunAnew(t *testing.T) {
	began := 0
	o := hostile(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v1/pods" {
			return false
		}
		if began++; began > 1 {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`))
		return true
	})
	assert.Equal(t, 2, began)
	assert.Empty(t, o.Unread)
}

func TestWhatATargetIsCalledIsOnlyText(t *testing.T) {
	const name = "<script>alert(1)</script>\x1b[31m\x00`|[x](javascript:y)"
	spoilt := whole(t)
	for i := range spoilt.Replicas[0].Targets {
		spoilt.Replicas[0].Targets[i].Health = "down"
		spoilt.Replicas[0].Targets[i].LastError = name
		spoilt.Replicas[0].Targets[i].Labels[name] = name
	}
	o := attach(t, simulated.New(t, spoilt))
	all := verdicts(t, o)
	assert.Equal(t, reports.Fail, all["targets-up"].Verdict)
	report := reports.Report{SchemaVersion: reports.SchemaVersion, RunID: "x1", StartedAt: o.At, EndedAt: o.At.Add(time.Second)}
	for _, r := range all {
		report.Checks = append(report.Checks, r)
	}
	report.Conclude()
	dir := filepath.Join(t.TempDir(), "x1")
	_, err := reports.WriteAll(dir, report, nil)
	require.NoError(t, err)
	for _, file := range []string{"report.html", "summary.md"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		assert.NotContains(t, string(content), "<script>alert", file)
		assert.NotContains(t, string(content), "\x1b", file)
	}
}
