package upgrade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// Session is one run of the gate.
type Session struct {
	run     *run.Run
	planned []Check
	mistake func(s *subject, check string)
	records []Record
	// observer looks on; until is when what it saw last ended.
	observer *observe.Observer
	until    time.Time
}

// Options are those that only upgrades have.
type Options struct {
	Ways    string // in-place, canary or both of the mesh, or prometheus, or operator
	Mistake string // to make on purpose, by its name; empty for none
}

// settingWays and settingMistake are the names of their flags, and of their settings in
// a report.
const (
	settingWays    = "upgrade"
	settingMistake = "mistake"
)

func (o Options) settings() map[string]string {
	return map[string]string{settingWays: o.Ways, settingMistake: o.Mistake}
}

// NewSession plans a run. The error is the user's.
func NewSession(r *run.Run, o Options) (*Session, error) {
	if r.Select != nil || len(r.Profiles) > 0 || len(r.Levels) > 0 || r.Labels != nil || len(r.Skip) > 0 {
		return nil, errors.New("an upgrade is judged by all of its checks: choose its way with -upgrade (UPGRADE= of make), and no check, profile, level, label or skip")
	}
	s := &Session{run: r, planned: checksOf(o.Ways)}
	if r.Mode == run.WatchOver {
		return s, s.planWatch(r, o)
	}
	if len(s.planned) == 0 {
		return nil, fmt.Errorf("there is no way %q to upgrade: use in-place, canary or both for the mesh, or prometheus, or operator", o.Ways)
	}
	var err error
	if s.mistake, err = parseMistake(o.Mistake, s.planned); err != nil {
		return nil, err
	}
	if r.Mode == run.Explain {
		return s, nil
	}
	if err := twoVersions(r, s.planned[0]); err != nil {
		return nil, err
	}
	if r.Report.Configuration == nil {
		r.Report.Configuration = map[string]string{}
	}
	maps.Copy(r.Report.Configuration, o.settings())
	r.Total = len(s.planned)
	r.Report.Profiles = []reports.Profile{{Name: Profile}}
	return s, nil
}

// twoVersions refuses what is no upgrade.
func twoVersions(r *run.Run, c Check) error {
	of, flags, from, to := "Istio", "-istio and the second with -next", r.Istio, r.Next
	switch c.ID {
	case upgradePrometheus.ID:
		of, flags, from, to = "Prometheus", "-prometheus and the second with -next-prometheus", r.Prometheus, r.NextPrometheus
	case upgradeOperator.ID:
		of, flags, from, to = "the Operator", "-operator and the second with -next-operator", r.Operator, r.NextOperator
	}
	if to == "" || to == from {
		return fmt.Errorf("an upgrade is from one version of %s to another: give the first with %s (FROM= and TO= of make), not %s and %q", of, flags, from, to)
	}
	return nil
}

// DryRun lists the steps that would be made.
func (s *Session) DryRun() string {
	if s.run.Mode == run.WatchOver {
		return upgradeWatched.ID + ": " + upgradeWatched.Title + "\n"
	}
	var b strings.Builder
	subject := subject{namespace: stack.Namespace}
	subject.from.Version, subject.to.Version = s.run.Istio, s.run.Next
	subject.prometheus.from.Version, subject.prometheus.to.Version = s.run.Prometheus, s.run.NextPrometheus
	subject.operator.from.Version, subject.operator.to.Version = s.run.Operator, s.run.NextOperator
	for _, c := range s.planned {
		fmt.Fprintf(&b, "%s: %s\n", c.ID, c.Title)
		subject := subject
		s.mistake(&subject, c.ID)
		for _, m := range subject.plan(c.ID) {
			fmt.Fprintf(&b, "  %-32s %s\n", m.Name, m.change.Title)
		}
	}
	return b.String()
}

// Explain judges the kept record of an upgrade: the same verdict as when it was made.
func (s *Session) Explain() error {
	r, err := read(s.run.Observation)
	if err != nil {
		return err
	}
	result, err := judged(r)
	if err != nil {
		return fmt.Errorf("judging %s again: %w", s.run.Observation, err)
	}
	s.run.Total = 1
	s.records = []Record{r}
	s.describe()
	s.run.Add(result)
	return nil
}

// Prepare makes sure that nothing of an earlier run is in the way.
func (s *Session) Prepare() error {
	return s.run.Phase("prepare", func(ctx context.Context) (string, error) {
		subject := newSubject(s.run.Stack)
		restored, err := disrupt.Restore(ctx, subject.client)
		if err != nil {
			return "", err
		}
		check, err := subject.unfinished(ctx)
		if err != nil {
			return "", err
		}
		if check != "" {
			if err := subject.goBack(ctx, check); err != nil {
				return "", fmt.Errorf("rolling back the %s that an earlier run left half way: %w", check, err)
			}
			restored = append(restored, "what an "+check+" had left half way")
		}
		if len(restored) > 0 {
			s.run.Terminal.Note("an earlier run had left, and this one put in order: " + strings.Join(restored, ", "))
		}
		if s.observer, err = s.newObserver(); err != nil {
			return "", err
		}
		from, to := subject.versions(s.planned[0].ID)
		return "from " + from + " to " + to, nil
	})
}

func (s *Session) newObserver() (*observe.Observer, error) {
	config, err := s.run.Stack.Cluster.REST()
	if err != nil {
		return nil, err
	}
	return observe.NewObserver(config, stack.Namespace, "default")
}

// Upgrade goes the way that a check judges, keeps the record of it and judges it. An
// error is of the run: that a step fails is for the check to say.
func (s *Session) Upgrade(c Check) (reports.Check, error) {
	subject := newSubject(s.run.Stack)
	s.mistake(&subject, c.ID)
	record := Record{Check: c.ID}
	record.From, record.To = subject.versions(c.ID)
	moves := subject.plan(c.ID)
	for _, m := range moves {
		record.Planned = append(record.Planned, m.Name)
	}
	s.until = time.Time{}
	err := s.walk(&record, moves, subject)
	s.records = append(s.records, record)
	s.describe()
	return c.Judge(record), errors.Join(err, record.write(filepath.Join(s.run.OutDir(), "observations", c.ID+".json")))
}

// walk makes one move after the other. What is not in order before is not upgraded;
// after the first step after which something is amiss the way is back.
func (s *Session) walk(record *Record, moves []move, subject subject) error {
	for _, m := range moves {
		if !goesOn(*record, m.Stage) {
			continue
		}
		if len(record.Steps) == 1 { // from here on something is changed
			if err := s.run.Phase("note", func(ctx context.Context) (string, error) { return "", subject.note(ctx, record.Check) }); err != nil {
				return err
			}
		}
		err := s.run.Phase(m.String(), func(ctx context.Context) (string, error) {
			step, err := s.take(ctx, m)
			if err != nil {
				return "", err
			}
			record.Steps = append(record.Steps, step)
			return step.note(), nil
		})
		if err != nil {
			if len(record.Steps) > 0 {
				s.run.Report.Leftovers = append(s.run.Report.Leftovers, s.halfWay(record.Check)...)
			}
			return err
		}
	}
	return s.run.Phase("end", func(ctx context.Context) (string, error) { return s.end(ctx, *record, subject) })
}

// goesOn reports whether a step of a stage is to be made after those that were.
func goesOn(r Record, stage Stage) bool {
	if len(r.Steps) > 0 && !r.begins() {
		return false // what is of another version already is not upgraded by this way
	}
	for _, s := range r.Steps {
		if len(s.bad()) == 0 && s.episode().Error == "" {
			continue
		}
		if s.Stage == Before || stage != Back {
			return false
		}
	}
	return true
}

// end leaves nothing half way: what did not come to its end is rolled back.
func (s *Session) end(ctx context.Context, r Record, subject subject) (string, error) {
	if len(r.Steps) <= 1 {
		return "nothing was changed", nil
	}
	note := "the upgrade came to its end"
	if r.Steps[len(r.Steps)-1].Name != r.Planned[len(r.Planned)-1] {
		note = "rolled back to " + r.From
		if err := subject.rollBack(ctx, r.Check); err != nil {
			s.run.Report.Leftovers = append(s.run.Report.Leftovers, s.halfWay(r.Check)...)
			return "", err
		}
	}
	return note, subject.note(ctx, "")
}

// halfWay tells of an upgrade that was left as it is, if the cluster stays.
func (s *Session) halfWay(check string) []string {
	if s.run.Mode != run.Check && !s.run.Keep {
		return nil
	}
	way := ""
	for _, c := range Catalogue() {
		if c.ID == check && !c.ofMesh() {
			way = " UPGRADE=" + c.Way
		}
	}
	return []string{fmt.Sprintf("an %s is half way: the next `make upgrade MODE=check CLUSTER=%s%s` with the same FROM and TO rolls it back", check, s.run.Cluster, way)}
}

// take makes a move, and looks at the subject while it is made and after it.
func (s *Session) take(ctx context.Context, m move) (Step, error) {
	var o observe.Observation
	e, err := s.observer.Episode(ctx, s.until, m.Step, m.change.Title, settleAgain, func(ctx context.Context, mark func(string)) (err error) {
		failed := disrupt.Run(ctx, m.change, mark)
		o, err = s.look(ctx, m.watch && failed == nil)
		return cmp.Or(failed, err)
	})
	if err != nil {
		return Step{}, err
	}
	s.until = e.To
	o.Episodes = []observe.Episode{e}
	s.run.Report.APIRequests += o.Requests
	return Step{Name: m.Name, Observation: o, Checks: judge(m.Step, o)}, nil
}

// look is at the subject as it stands, which an observer made just now tells from how
// it was before. That scrapes do not settle is for the checks to say.
func (s *Session) look(ctx context.Context, watch bool) (observe.Observation, error) {
	if err := s.awaitGone(ctx); err != nil {
		return observe.Observation{}, err
	}
	observer, err := s.newObserver()
	if err != nil {
		return observe.Observation{}, err
	}
	observer.Settle(ctx, s.run.Settle)
	o, err := observer.Observe(ctx)
	if err != nil || !watch {
		return o, err
	}
	return observer.Watch(ctx, o, s.run.Watch)
}

const (
	// settleAgain is how long scrapes may take to be well once more after a look, which
	// has waited for them already: seven of them, at an interval of 2 s.
	settleAgain = 15 * time.Second
	// goneTimeout bounds the end of a pod: its grace period is 30 s at most.
	goneTimeout = time.Minute
	// discoveryDelay is how long Prometheus may keep a target that is gone: its
	// discovery hands changes on every 5 s (updatert in its discovery/manager.go).
	discoveryDelay = 6 * time.Second
)

// awaitGone waits until the pods that a step has replaced are gone, and known to be.
func (s *Session) awaitGone(ctx context.Context) error {
	some := false
	err := wait.For(ctx, "the replaced pods to be gone", func(ctx context.Context) (bool, string, error) {
		var pods corev1.PodList
		if err := s.run.Stack.Client.Resources(stack.Namespace).List(ctx, &pods); err != nil {
			return false, "", err
		}
		var going []string
		for _, p := range pods.Items {
			if p.DeletionTimestamp != nil {
				going = append(going, p.Name)
			}
		}
		some = some || len(going) > 0
		return len(going) == 0, strings.Join(going, ", "), nil
	}, wait.Timeout(goneTimeout))
	if err != nil || !some {
		return err
	}
	select {
	case <-time.After(discoveryDelay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note says in a few words what came of a step.
func (s Step) note() string {
	if e := s.episode(); e.Error != "" {
		return "failed: " + e.Error
	}
	var names []string
	for _, c := range s.bad() {
		names = append(names, c.ID+" "+string(c.Verdict))
	}
	if len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%d checks hold; %s", len(s.Checks), s.episode().Settled)
}

// describe fills in what the report says of the subject, and its timeline.
func (s *Session) describe() {
	report := s.run.Report
	report.Timeline, report.Tracks = nil, nil
	for _, r := range s.records {
		if len(r.Steps) == 0 {
			continue
		}
		o := r.Steps[len(r.Steps)-1].Observation
		subject := &report.Subject
		subject.Kubernetes, subject.Istio, subject.DataPlane, subject.Operator = o.Versions.Kubernetes, o.Versions.Istio, o.Versions.DataPlane, o.Versions.Operator
		subject.TrustDomain = o.TrustDomain
		if len(o.Replicas) > 0 {
			subject.Prometheus = o.Replicas[0].Version
		}
		if s.run.Stack != nil {
			subject.ImageSource = s.run.Stack.Source
		}
		report.Timeline = append(report.Timeline, timeline(r)...)
		report.Tracks = merge(report.Tracks, tracks(r))
	}
}
