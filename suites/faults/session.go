package faults

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// Session is one run of the catalogue of faults.
type Session struct {
	run      *run.Run
	planned  []Fault
	outcomes []Outcome
}

// NewSession plans a run. The error is the user's.
func NewSession(r *run.Run) (*Session, error) {
	if len(r.Profiles) > 0 || len(r.Levels) > 0 || r.Labels != nil {
		return nil, errors.New("faults have neither profiles nor levels nor labels: select them by their IDs, with -check (FAULT= of make)")
	}
	s := &Session{run: r}
	for id, reason := range r.Skip {
		if _, ok := find(id); !ok {
			return nil, fmt.Errorf("the skip list names %q, which is no fault", id)
		}
		if reason == "" {
			return nil, fmt.Errorf("the skip list gives no reason for %s: write %s=why", id, id)
		}
	}
	for _, f := range Catalogue() {
		// Without the good set-up beside them, the others would show little.
		if r.Select == nil || f.ID == Control || r.Select.MatchString(f.ID) {
			s.planned = append(s.planned, f)
		}
	}
	if r.Select != nil && len(s.planned) == 1 && !r.Select.MatchString(Control) {
		return nil, fmt.Errorf("no fault is selected: none has an ID that matches %s", r.Select)
	}
	r.Total = len(s.planned)
	r.Report.Profiles = []reports.Profile{{Name: Profile}}
	return s, nil
}

// DryRun lists the faults that would be tried.
func (s *Session) DryRun() string {
	var b strings.Builder
	for _, f := range s.planned {
		how := ""
		if f.Watch {
			how += ", watched"
		}
		if f.alone() {
			how += ", alone"
		}
		fmt.Fprintf(&b, "try   %-50s %s (%s%s)\n", f.ID, f.Title, f.Layer, how)
	}
	fmt.Fprintf(&b, "%d subjects would be made\n", len(s.planned))
	return b.String()
}

// Explain judges a kept observation of a fault, which its name tells: the same
// outcome as when it was made.
func (s *Session) Explain() error {
	name := filepath.Base(s.run.Observation)
	f, ok := find(strings.TrimSuffix(name, ".json"))
	if !ok {
		return fmt.Errorf("%s is not the observation of a fault: its name has to be that of one, as in prometheus-paused.json; for others use `make explain`", s.run.Observation)
	}
	o, err := observe.Read(s.run.Observation)
	if err != nil {
		return err
	}
	s.run.Total = 1
	s.add(Outcome{Fault: f, Result: Compare(f, Judge(f, o))})
	return nil
}

func (s *Session) add(o Outcome) {
	s.outcomes = append(s.outcomes, o)
	s.run.Add(o.Report())
}

// Options are those that only the faults have.
type Options struct {
	Parallel int    // how many subjects stand at a time
	Record   string // folder for recordings, empty for none
}

// Try tries the planned faults, and calls done with each outcome.
func (s *Session) Try(options Options, done func(reports.Check)) error {
	var runner *Runner
	err := s.run.Phase("prepare", func(ctx context.Context) (note string, err error) {
		runner, note, err = s.prepare(ctx, options)
		return note, err
	})
	if err != nil {
		return err
	}
	var faults []Fault
	for _, f := range s.planned {
		if reason, skipped := s.run.Skip[f.ID]; skipped {
			o := Outcome{Fault: f, Skipped: reason}
			s.outcomes = append(s.outcomes, o)
			done(o.Report())
			continue
		}
		faults = append(faults, f)
	}
	err = s.run.Phase("faults", func(ctx context.Context) (string, error) {
		runner.Run(ctx, faults, func(o Outcome) {
			s.outcomes = append(s.outcomes, o)
			done(o.Report())
		})
		return ScoreLine(s.outcomes), nil
	})
	s.describe()
	if s.run.Mode == run.Check { // the cluster stays, and nothing of ours may
		err = errors.Join(err, s.run.Phase("namespaces gone", func(ctx context.Context) (string, error) { return "", s.awaitGone(ctx) }))
	}
	return err
}

// prepare makes sure that nothing of an earlier run is in the way, and finds out
// which images the cluster's own set-up has.
func (s *Session) prepare(ctx context.Context, options Options) (*Runner, string, error) {
	config, err := s.run.Stack.Cluster.REST()
	if err != nil {
		return nil, "", err
	}
	// What a client allows itself by default is for one thing at a time.
	config.QPS, config.Burst = 100, 200
	client, err := cluster.NewClient(config)
	if err != nil {
		return nil, "", err
	}
	if err := observe.Teach(); err != nil {
		return nil, "", err
	}
	restored, err := disrupt.Restore(ctx, client)
	if err != nil {
		return nil, "", err
	}
	removed, err := RemoveLeftovers(ctx, client)
	if err != nil {
		return nil, "", err
	}
	if left := slices.Concat(restored, removed); len(left) > 0 {
		s.run.Terminal.Note("an earlier run had left, and this one put in order: " + strings.Join(left, ", "))
	}
	images, err := images(ctx, client)
	if err != nil {
		return nil, "", err
	}
	return &Runner{
		Client: client, Config: config, RunID: s.run.ID, Images: images, Parallel: options.Parallel, Settle: s.run.Settle,
		Dir: filepath.Join(s.run.OutDir(), "observations"), Record: options.Record, Keep: s.run.Keep,
	}, fmt.Sprintf("%d subjects, %d at a time", len(s.planned), options.Parallel), nil
}

// images are those that the set-up beside the Operator has, by upstream's
// reference: wherever they came from, they are on the node.
func images(ctx context.Context, client klient.Client) (map[string]string, error) {
	var prometheus monitoringv1.Prometheus
	if err := client.Resources(stack.Namespace).Get(ctx, prometheusName, stack.Namespace, &prometheus); err != nil {
		return nil, fmt.Errorf("looking up which images the cluster has, by its Prometheus %s/%s: %w (faults need a cluster that `make up` or `make faults` made)", stack.Namespace, prometheusName, err)
	}
	var pods corev1.PodList
	if err := client.Resources(stack.Namespace).List(ctx, &pods); err != nil {
		return nil, fmt.Errorf("looking up which images the cluster has: %w", err)
	}
	found := map[string]string{}
	note := func(name, reference string) {
		if upstream := image.Find(name).Reference; reference != upstream {
			found[upstream] = reference
		}
	}
	if prometheus.Spec.Image != nil {
		note("prometheus", *prometheus.Spec.Image)
	}
	for _, p := range pods.Items {
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			switch c.Name {
			case "productpage":
				note("bookinfo-productpage-v1", c.Image)
			case "istio-proxy":
				note("proxyv2", c.Image)
			}
		}
	}
	return found, nil
}

// awaitGone reports as left behind what does not go.
func (s *Session) awaitGone(ctx context.Context) error {
	if s.run.Keep {
		return nil // what was not as the catalogue says stays on purpose
	}
	err := AwaitGone(ctx, s.run.Stack.Client)
	if err != nil {
		s.run.LeftBehind(err)
	}
	return err
}

// describe fills in what the report says of the cluster, from the good set-up, and
// the score.
func (s *Session) describe() {
	r := s.run.Report
	r.Subject.ImageSource = s.run.Stack.Source
	if o, err := observe.Read(filepath.Join(s.run.OutDir(), "observations", Control+".json")); err == nil {
		r.Subject.Kubernetes, r.Subject.Istio, r.Subject.DataPlane, r.Subject.Operator = o.Versions.Kubernetes, o.Versions.Istio, o.Versions.DataPlane, o.Versions.Operator
		r.Subject.TrustDomain = o.TrustDomain
		if len(o.Replicas) > 0 {
			r.Subject.Prometheus = o.Replicas[0].Version
		}
		r.APIRequests = o.Requests
	}
	r.Timeline = append(r.Timeline, reports.Event{At: time.Now().UTC(), Kind: reports.Note, Subject: "the catalogue of faults", Text: ScoreLine(s.outcomes)})
}

// Table is what was tried, in the order of the catalogue, and the score.
func (s *Session) Table() (string, error) {
	order := map[string]int{}
	for i, f := range s.planned {
		order[f.ID] = i
	}
	sorted := slices.SortedStableFunc(slices.Values(s.outcomes), func(a, b Outcome) int { return order[a.ID] - order[b.ID] })
	var b strings.Builder
	b.WriteByte('\n')
	err := WriteTable(&b, sorted)
	b.WriteString("\n" + ScoreLine(sorted) + "\n")
	return b.String(), err
}
