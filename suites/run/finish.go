package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/evidence"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// finishTimeout bounds what a run does after it is decided: evidence and removal.
const finishTimeout = 3 * time.Minute

// finish takes evidence if anything is not as it should be, and then removes what
// the run made. It runs to its end also if the run was interrupted.
func (r *Run) finish() error {
	if r.Mode.reads() {
		return nil // nothing was made, and logs of a cluster that is not ours stay there
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), finishTimeout)
	defer cancel()
	if r.Mode == Sandbox {
		return r.finishSandbox(ctx)
	}
	r.verifyImages()
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
	return r.removal(func() (string, error) {
		stood := r.Stack != nil && r.Stack.Cluster != nil
		err := r.Stack.Down(ctx)
		if r.ownDir || stood {
			err = errors.Join(err, os.RemoveAll(r.dir))
		}
		return "nothing is left", err
	})
}

// verifyImages sees that nothing else ran in a cluster that the run made than what its
// report says. What did is a set-up that failed, as far as the report is concerned: what
// was judged is not what was asked for. It is left to those who reach the end: of others
// the report says already what they lack.
func (r *Run) verifyImages() {
	made := r.Mode == E2E || r.Mode == Up
	if !made || r.Report.Error != nil || r.ctx.Err() != nil || r.Stack == nil || r.Stack.Client == nil || len(r.Stack.References) == 0 {
		return
	}
	_ = r.phase("images in use", func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		return r.Stack.VerifyImages(ctx)
	}) // the report has its error
}

// LeftBehind notes what did not go that the run had put into a cluster which stays: one
// leftover, and so the run's exit code.
func (r *Run) LeftBehind(err error) {
	r.Report.Leftovers = append(r.Report.Leftovers, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// removal is the phase that removes what the run made. Every line of its error is
// something that is left.
func (r *Run) removal(remove func() (note string, err error)) error {
	start := time.Now()
	r.Terminal.PhaseStart("clean-up")
	note, err := remove()
	took := time.Since(start)
	r.Report.Phases = append(r.Report.Phases, reports.Phase{Name: "clean-up", Seconds: took.Seconds()})
	if err != nil {
		r.Terminal.PhaseFailed("clean-up", took, err)
		r.Report.Leftovers = append(r.Report.Leftovers, strings.Split(err.Error(), "\n")...)
		return err
	}
	r.Terminal.PhaseDone("clean-up", took, note)
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
	namespace := "" // all of a cluster of our own
	if r.Mode == Sandbox {
		namespace = r.SubjectNamespace()
	} else if r.Stack == nil || r.Stack.Cluster == nil {
		return
	}
	start := time.Now()
	r.Terminal.PhaseStart("evidence")
	dir := filepath.Join(r.Out, r.ID, "evidence")
	config, err := r.REST()
	if err == nil {
		err = evidence.Collect(ctx, config, dir, namespace)
	}
	took := time.Since(start)
	r.Report.Phases = append(r.Report.Phases, reports.Phase{Name: "evidence", Seconds: took.Seconds()})
	if err != nil {
		r.Terminal.PhaseFailed("evidence", took, err)
		return
	}
	r.Terminal.PhaseDone("evidence", took, dir)
}
