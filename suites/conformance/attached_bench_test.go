package conformance

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// serveTargets makes this test binary the cluster of the benchmark: how many targets it
// is to have.
const serveTargets = "SERVE_TARGETS"

// BenchmarkAttach looks as a guest at a cluster with ten thousand targets and judges
// it. The design allows 5 s and 300 MiB. The cluster is a process of its own, so that
// what is measured is what a user's process takes: of the heap the largest that was
// seen, and of the memory that the kernel gave what it says itself.
func BenchmarkAttach(b *testing.B) {
	const targets = 10_000
	config := serveCluster(b, targets)
	run.BoundMemory()
	for b.Loop() {
		stop := watchHeap()
		began, used := time.Now(), processorTime(b)
		seen := attachTo(b, config)
		for id, r := range verdicts(b, seen) {
			require.NotContains(b, []string{"fail", "inconclusive"}, string(r.Verdict), "%s: %s", id, r.Reason)
		}
		b.ReportMetric(time.Since(began).Seconds(), "seconds")
		b.ReportMetric((processorTime(b) - used).Seconds(), "cpu-seconds")
		b.ReportMetric(float64(stop())/(1<<20), "MiB-peak-heap")
		if peak, ok := peakMemory(); ok {
			b.ReportMetric(peak, "MiB-peak")
		}
		b.ReportMetric(float64(len(seen.Replicas[0].Targets)), "targets")
		b.ReportMetric(float64(seen.Requests), "requests")
	}
}

// serveCluster starts this binary once more, as the cluster. It ends with the benchmark,
// however that ends: its input is a pipe of this process.
func serveCluster(b *testing.B, targets int) *rest.Config {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", serveTargets, targets))
	cmd.Stderr = os.Stderr
	held, err := cmd.StdinPipe()
	require.NoError(b, err)
	said, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = held.Close()
		_ = cmd.Wait() // it was killed with the context, or ends with its input
	})
	host, err := bufio.NewReader(said).ReadString('\n')
	require.NoError(b, err, "the simulated cluster did not say where it is")
	return &rest.Config{Host: strings.TrimSpace(host), QPS: -1}
}

// serveAsCluster is the other end: it serves until its input ends.
func serveAsCluster(targets string) error {
	n, err := strconv.Atoi(targets)
	if err != nil {
		return fmt.Errorf("%s must be a number of targets: %w", serveTargets, err)
	}
	o := whole(nil)
	o.Watch, o.Episodes, o.RootRotation, o.Proxies, o.Probes = nil, nil, nil, nil, nil
	grow(&o, n)
	c := simulated.Start(o)
	defer c.Close()
	fmt.Println(c.Config().Host)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// processorTime is what this process has used so far: what is left of a measurement
// where others use the machine.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most that this process ever had resident, in MiB, where the kernel
// tells: proc_pid_status(5). What getrusage gives is that of whoever started it, too.
func peakMemory() (mebibytes float64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		var kibibytes float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kibibytes); n == 1 {
			return kibibytes / 1024, true
		}
	}
	return 0, false
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
