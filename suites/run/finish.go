package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/evidence"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// finishTimeout bounds what a run does after it is decided: evidence and removal.
const finishTimeout = 3 * time.Minute

// finish takes evidence if anything is not as it should be, and then removes what
// the run made. It runs to its end also if the run was interrupted.
func (r *Run) finish() error {
	if !r.Mode.ours() {
		return nil // nothing was made, and logs of a cluster that is not ours stay there
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), finishTimeout)
	defer cancel()
	if r.unsound() {
		r.takeEvidence(ctx)
	}
	if r.Mode == Check {
		_ = os.Remove(r.dir) // it is empty if there was no cluster; the cluster itself is not this run's
		return nil
	}
	if r.Keep && r.Stack != nil && r.Stack.Cluster != nil {
		r.Terminal.Note(fmt.Sprintf("the cluster %s stays; KUBECONFIG=%s; `make down CLUSTER=%s` removes it", r.Cluster, filepath.Join(r.dir, "kubeconfig"), r.Cluster))
		return nil
	}
	start := time.Now()
	r.Terminal.PhaseStart("clean-up")
	stood := r.Stack != nil && r.Stack.Cluster != nil
	err := r.Stack.Down(ctx)
	if r.ownDir || stood {
		err = errors.Join(err, os.RemoveAll(r.dir))
	}
	took := time.Since(start)
	r.Report.Phases = append(r.Report.Phases, reports.Phase{Name: "clean-up", Seconds: took.Seconds()})
	if err != nil {
		r.Terminal.PhaseFailed("clean-up", took, err)
		r.Report.Leftovers = append(r.Report.Leftovers, strings.Split(err.Error(), "\n")...)
		return err
	}
	r.Terminal.PhaseDone("clean-up", took, "nothing is left")
	return nil
}

// unsound reports whether anything calls for evidence.
func (r *Run) unsound() bool {
	if r.Report.Error != nil || r.ctx.Err() != nil {
		return true
	}
	for _, c := range r.Report.Checks {
		if c.Verdict == reports.Fail || c.Verdict == reports.Inconclusive {
			return true
		}
	}
	return false
}

// takeEvidence keeps objects and logs. A failure of it is told and changes no
// verdict.
func (r *Run) takeEvidence(ctx context.Context) {
	if r.Stack == nil || r.Stack.Cluster == nil {
		return
	}
	start := time.Now()
	r.Terminal.PhaseStart("evidence")
	dir := filepath.Join(r.Out, r.ID, "evidence")
	config, err := r.Stack.Cluster.REST()
	if err == nil {
		err = evidence.Collect(ctx, config, dir)
	}
	took := time.Since(start)
	r.Report.Phases = append(r.Report.Phases, reports.Phase{Name: "evidence", Seconds: took.Seconds()})
	if err != nil {
		r.Terminal.PhaseFailed("evidence", took, err)
		return
	}
	r.Terminal.PhaseDone("evidence", took, dir)
}

// cleanUp removes clusters of this project: one by name, or all of them.
func cleanUp(c Config) int {
	ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	names := []string{c.Cluster}
	e, err := engine.Find(ctx, engine.Options{StateDir: filepath.Join(c.Cache, "engine"), Log: func(string, ...any) {}})
	if err == nil && c.Mode == Clean && c.Cluster == "" {
		names, err = cluster.Names(ctx, e)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return int(reports.ExitSetupFailed)
	}
	code := reports.ExitConformant
	for _, n := range names {
		err := cluster.Remove(ctx, e, n)
		if err == nil {
			err = os.RemoveAll(filepath.Join(c.Cache, "clusters", n))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = reports.ExitLeftovers
			continue
		}
		fmt.Println("removed", n)
	}
	if len(names) == 0 {
		fmt.Println("nothing to remove")
	}
	return int(code)
}
