package conformance

import (
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
)

// BenchmarkAttach looks as a guest at a cluster with ten thousand targets and judges
// it. The design allows 5 s and 300 MiB. The heap that is reported is the largest that
// was seen, with that of the simulated cluster in it.
func BenchmarkAttach(b *testing.B) {
	const targets = 10_000
	o := whole(b)
	o.Watch, o.Episodes, o.RootRotation, o.Proxies, o.Probes = nil, nil, nil, nil, nil
	grow(&o, targets)
	c := simulated.New(b, o)
	for b.Loop() {
		stop := watchHeap()
		began, used := time.Now(), processorTime(b)
		seen := attach(b, c)
		for id, r := range verdicts(b, seen) {
			require.NotContains(b, []string{"fail", "inconclusive"}, string(r.Verdict), "%s: %s", id, r.Reason)
		}
		b.ReportMetric(time.Since(began).Seconds(), "seconds")
		b.ReportMetric((processorTime(b) - used).Seconds(), "cpu-seconds")
		b.ReportMetric(float64(stop())/(1<<20), "MiB-peak-heap")
		b.ReportMetric(float64(len(seen.Replicas[0].Targets)), "targets")
		b.ReportMetric(float64(seen.Requests), "requests")
	}
}

// processorTime is what this process has used so far: what is left of a measurement
// where others use the machine.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchHeap looks at the heap, in bytes, until it is stopped, and returns the most that
// it saw.
func watchHeap() (stop func() uint64) {
	const pause = 5 * time.Millisecond
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var largest uint64
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				most <- largest
				return
			case <-ticker.C:
				metrics.Read(sample)
				largest = max(largest, sample[0].Value.Uint64())
			}
		}
	}()
	return func() uint64 { close(done); return <-most }
}
