package run

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Phase runs one step under a name and shows how long it takes. Its error is the
// caller's to judge.
func (r *Run) Phase(name string, work func(ctx context.Context) (note string, err error)) error {
	start := time.Now()
	r.Terminal.PhaseStart(name)
	r.tell(name)
	stop := r.showProgress(name, start)
	note, err := work(r.ctx)
	if err == nil {
		err = r.ctx.Err() // work that an interrupt cut short may not have noticed
	}
	stop()
	took := time.Since(start)
	r.Report.Phases = append(r.Report.Phases, reports.Phase{Name: name, Seconds: took.Seconds()})
	if err != nil {
		r.Terminal.PhaseFailed(name, took, err)
		return err
	}
	r.Terminal.PhaseDone(name, took, note)
	return nil
}

// phase is Phase for the set-up, of which a failure ends the run.
func (r *Run) phase(name string, work func(ctx context.Context) (string, error)) error {
	if err := r.Phase(name, work); err != nil {
		return r.setUpFailed(name, err)
	}
	return nil
}

// progress is what the running phase does now, set by whoever knows.
type progress struct {
	mu   sync.Mutex
	text string
}

func (p *progress) set(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

func (p *progress) get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

// showProgress tells every second what a phase does, until it is stopped.
func (r *Run) showProgress(name string, start time.Time) (stop func()) {
	r.now.set("")
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				r.Terminal.Progress(name, r.now.get(), time.Since(start))
			}
		}
	})
	return func() {
		close(ended)
		wg.Wait()
	}
}

// buildProgress shows what the image build is doing and what is left.
func (r *Run) buildProgress(p image.Progress) {
	if p.Finished != "" && p.Took > time.Second {
		r.Terminal.Note(fmt.Sprintf("[%d/%d] %s built in %s", p.Done, p.Total, p.Finished, p.Took.Round(time.Second)))
	}
	text := fmt.Sprintf("%d of %d parts, building %s", p.Done, p.Total, strings.Join(p.Running, ", "))
	if len(p.Waiting) > 0 {
		text += "; then " + strings.Join(p.Waiting, ", ")
	}
	r.now.set(text)
}
