// Package run is the life of one run of a suite: options, phases, signals,
// evidence, clean-up, report, exit code.
//
// It is a thin adapter over sigs.k8s.io/e2e-framework that closes what that
// leaves open: a set-up that fails is in the report, an error of the clean-up
// counts, a signal ends a run in order, and every wait says what it waited for.
// It knows nothing of what is checked.
//
// Read [Main] first, then [Run].
package run

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sonobuoy"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Run is one run while it lasts.
type Run struct {
	Config
	ID       string
	Env      env.Environment
	Stack    *stack.Stack
	Guest    *Guest           // of a run in a cluster that is not ours
	Sandbox  *sandbox.Sandbox // the namespace of our own there, if the run makes one
	Shared   sandbox.Shared   // what others use there as well
	Report   *reports.Report
	Terminal *reports.Terminal
	Total    int // how many checks there are, for "[n/N]"

	ctx    context.Context
	cancel context.CancelFunc
	// enough ends with the first signal, by which a watch ends in order.
	enough context.Context
	endNow context.CancelFunc
	suite  Suite
	plugin *sonobuoy.Plugin // nil if Sonobuoy did not start this process
	dir    string           // of the cluster: kubeconfig and what its node mounts
	ownDir bool             // this run made it; else it may be that of a cluster which stands
	now    progress
}

// Version and Commit are set when the binary is built.
var (
	Version = "devel"
	Commit  = "unknown"
)

// Suite is what a run is of.
type Suite struct {
	// Test is the name of the one test that needs a subject.
	Test string
	// Variant is what a cluster of the suite's own is set up with; nil stands for that
	// of the main job.
	Variant *stack.Variant
	// Setting is set up in place of the guide's; nil stands for that.
	Setting *stack.Setting
	// Plan takes the run over before anything is made. An error is the user's: he
	// asked for something that is not there.
	Plan func(r *Run) error
	// DryRun says what would run.
	DryRun func(r *Run)
	// Explain judges a kept observation.
	Explain func(r *Run) error
	// Guests are the modes that it has for clusters which are not ours.
	Guests []Mode
	// Verifier verifies reports of the suite. Whose key and which version is for the run
	// to say.
	Verifier reports.Verifier
}

// Main runs a suite as its TestMain and returns the exit code. However it ends, a
// Sonobuoy that waits for its results gets some.
func Main(m *testing.M, s Suite) (code int) {
	plugin := asPlugin()
	defer func() { handOverEnd(plugin, code) }()
	code = int(reports.ExitSetupFailed) // the runtime's own code of a program that crashes
	code = carryOut(m, s, plugin)
	return code
}

func carryOut(m *testing.M, s Suite, plugin *sonobuoy.Plugin) int {
	config, err := Load(flag.CommandLine, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		flag.CommandLine.SetOutput(os.Stdout)
		flag.PrintDefaults()
		return 0
	}
	if err != nil {
		return usage(err)
	}
	switch config.Mode {
	case Unit:
		// Without a subject only the suite's own tests can run.
		mustSet("test.skip", "^"+s.Test+"$")
		return m.Run()
	case Down, Clean:
		return cleanUp(config)
	case Compare:
		return compare(config)
	case Verify:
		return verify(config, s.Verifier)
	}
	mustSet("test.run", "^"+s.Test+"$")
	r := newRun(config, s)
	r.plugin = plugin
	defer r.cancel()
	if r.Mode.Guest() && !slices.Contains(s.Guests, r.Mode) {
		return usage(fmt.Errorf("this binary has no mode %q: bin/conformance has attach, doctor and sandbox, bin/upgrade has watch", r.Mode))
	}
	if err := s.Plan(r); err != nil {
		return usage(err)
	}
	switch {
	case r.DryRun:
		s.DryRun(r)
		return 0
	case r.Mode == Explain:
		if err := s.Explain(r); err != nil {
			return usage(err)
		}
		r.Report.Conclude()
		r.Terminal.Summary(*r.Report, r.Observation)
		return int(r.Report.ExitCode)
	}
	if len(r.Contexts) > 0 {
		return r.fleet()
	}
	if r.Mode.reads() {
		if err := r.guest(); err != nil {
			return usage(err)
		}
	}
	if r.Mode == Sandbox {
		if err := r.sandbox(); err != nil {
			return usage(err)
		}
	}
	switch {
	case r.Mode == Doctor:
		return r.doctor()
	case r.InCluster:
		_, code := r.inCluster()
		return code
	}
	return r.execute(m)
}

func usage(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return int(reports.ExitUsage)
}

func mustSet(name, value string) {
	if f := flag.Lookup(name); f.Value.String() != "" {
		return // the user knows better
	}
	if err := flag.Set(name, value); err != nil {
		panic(err) // the flags are go test's own
	}
}

func newRun(c Config, s Suite) *Run {
	now := time.Now()
	id := cmp.Or(c.RunID, now.UTC().Format("20060102-150405")+fmt.Sprintf("-%04x", os.Getpid()&0xffff))
	if c.Cluster == "" && !c.Mode.Guest() {
		c.Cluster = cluster.Prefix + id
	}
	r := &Run{
		Config:   c,
		suite:    s,
		ID:       id,
		Terminal: reports.NewTerminal(os.Stdout, reports.StyleOf(os.Stdout)),
		Stack:    &stack.Stack{},
		dir:      clusterDir(c.Cache, c.Cluster),
		Report: &reports.Report{
			SchemaVersion: reports.SchemaVersion, RunID: id, StartedAt: now.UTC(),
			Suite: reports.Suite{Version: Version, Commit: Commit}, Configuration: c.Settings(),
		},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.enough, r.endNow = context.WithCancel(r.ctx)
	return r
}

// execute is the whole life. Whatever happens in it, the report is written.
func (r *Run) execute(m *testing.M) int {
	stop := r.handleSignals()
	defer stop()
	klog.SetLogger(logr.Discard()) // the framework's and client-go's own; what matters is in errors
	r.Terminal.Configuration(r.Report.Configuration)
	e, err := env.NewWithContext(r.ctx, envconf.New())
	if err != nil {
		panic(err) // it only refuses a missing context
	}
	r.Env = e
	r.Env.Setup(func(ctx context.Context, _ *envconf.Config) (context.Context, error) { return ctx, r.setUp() })
	r.Env.Finish(func(ctx context.Context, _ *envconf.Config) (context.Context, error) { return ctx, r.finish() })
	r.Env.Run(m) // its code knows of failed tests only; the report's knows all
	return r.conclude()
}

// handleSignals ends the run in order at the first signal, and at once at the
// second. The first that comes to a watch is its end, and none of the run.
func (r *Run) handleSignals() (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case s := <-signals:
				if r.Mode == WatchOver && r.enough.Err() == nil {
					r.Terminal.Note(fmt.Sprintf("%v: the watch ends; once more to interrupt the run", s))
					r.endNow()
					n--
					continue
				}
				if n > 0 {
					fmt.Fprintf(os.Stderr, "\n%v again: leaving everything as it is; `make clean` removes it\n", s)
					handOverEnd(r.plugin, int(reports.ExitInterrupted))
					os.Exit(int(reports.ExitInterrupted))
				}
				r.Terminal.Note(fmt.Sprintf("%v: keeping what was found and cleaning up; once more to leave at once", s))
				r.cancel()
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// setUp brings the subject about.
func (r *Run) setUp() error {
	switch r.Mode {
	case Attach, WatchOver:
		return r.openGuest()
	case Sandbox:
		return r.setUpSandbox()
	}
	if err := r.makeDir(); err != nil {
		return r.setUpFailed("prepare", fmt.Errorf("making room for the cluster's files: %w (set CACHE to a folder that can be written)", err))
	}
	options := stack.Options{
		ClusterName: r.Cluster, Dir: r.dir, Cache: r.Cache, Images: r.Images, Mirror: r.Mirror, Lock: r.Lock,
		Kubernetes: r.Kubernetes, Prometheus: r.Prometheus, Istio: r.Istio, Next: r.Next, NextPrometheus: r.NextPrometheus,
		Operator: r.Operator, NextOperator: r.NextOperator,
		Variant: stack.Default, Setting: r.suite.Setting,
		Phase: r.phase, Log: func(format string, args ...any) { r.Terminal.Note(fmt.Sprintf(format, args...)) },
		Progress: r.buildProgress,
	}
	if r.Mode == Check {
		return r.phase("open", func(ctx context.Context) (string, error) {
			s, err := stack.Open(ctx, options)
			r.Stack = s
			return "cluster " + r.Cluster, err
		})
	}
	if r.suite.Variant != nil {
		options.Variant = *r.suite.Variant
	}
	s, err := stack.Up(options)
	r.Stack = s
	return err
}

func (r *Run) makeDir() error {
	_, err := os.Stat(r.dir)
	r.ownDir = os.IsNotExist(err)
	return os.MkdirAll(r.dir, 0o755)
}

// setUpFailed puts the failure of a phase into the report.
func (r *Run) setUpFailed(phase string, err error) error {
	if r.Report.Error == nil && r.ctx.Err() == nil {
		r.Report.Error = &reports.SetupError{Phase: phase, Message: err.Error()}
	}
	return err
}

// conclude writes the report and returns the exit code.
func (r *Run) conclude() int {
	r.Report.Interrupted = r.ctx.Err() != nil
	r.Report.EndedAt = time.Now().UTC()
	dir := filepath.Join(r.Out, r.ID)
	leak := reports.NoSecrets(dir)
	if leak != nil && r.Report.Error == nil {
		r.Report.Error = &reports.SetupError{Phase: "secrets", Message: leak.Error()}
	}
	r.Report.Conclude()
	if r.Mode == Up && r.Report.Error == nil && !r.Report.Interrupted {
		return int(reports.ExitConformant) // nothing was judged, and nothing was asked to be
	}
	written, err := reports.WriteAll(dir, *r.Report, r.key)
	if err == nil {
		err = reports.Link(r.Out, r.ID)
	}
	if len(written) > 0 { // what the report itself quotes was not searched yet
		quoted := reports.NoSecrets(dir, written...)
		err = errors.Join(err, quoted, r.deliver(dir, leak != nil || quoted != nil))
	}
	err = errors.Join(err, reports.GitHub(os.Stdout, *r.Report, os.Getenv))
	r.Terminal.Summary(*r.Report, filepath.Join(dir, reports.FileName)) // its last line is the run's
	return concluded(r.Report.ExitCode, err)
}

// concluded is the exit code of what was found, or that of a failed set-up if all is
// well and nobody could be told: a verdict that nobody can read is none.
func concluded(code reports.ExitCode, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if code == reports.ExitConformant {
			code = reports.ExitSetupFailed
		}
	}
	return int(code)
}
