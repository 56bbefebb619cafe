package image

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Progress is what a build is doing now.
type Progress struct {
	Done, Total int
	Running     []string // parts being built
	Waiting     []string // parts whose turn has not come
	Finished    string   // the part that has just been finished, if any
	Took        time.Duration
	Elapsed     time.Duration // since the build began
}

// tracker turns starts and ends of parts into Progress.
type tracker struct {
	mu      sync.Mutex
	start   time.Time
	report  func(Progress)
	waiting []string
	running map[string]time.Time
	total   int
	done    int
}

func newTracker(report func(Progress), names []string) *tracker {
	return &tracker{start: time.Now(), report: report, waiting: slices.Clone(names), running: map[string]time.Time{}, total: len(names)}
}

func (t *tracker) track(name string, work func() error) error {
	t.event(func(*Progress) {
		t.waiting = slices.DeleteFunc(t.waiting, func(w string) bool { return w == name })
		t.running[name] = time.Now()
	})
	err := work()
	t.event(func(p *Progress) {
		if err == nil {
			t.done++
			p.Finished, p.Took = name, time.Since(t.running[name])
		}
		delete(t.running, name)
	})
	return err
}

func (t *tracker) event(change func(*Progress)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var p Progress
	change(&p)
	p.Done, p.Total, p.Elapsed = t.done, t.total, time.Since(t.start)
	p.Running, p.Waiting = slices.Sorted(maps.Keys(t.running)), slices.Clone(t.waiting)
	t.report(p)
}
