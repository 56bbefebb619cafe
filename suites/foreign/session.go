// Package foreign proves what the suite says of clusters that are not ours: on a
// cluster with another layout than the guide's, which the suite's own set-up has no part
// in, each Prometheus gets the right verdict, by the role that manifests/certify grants
// and by no more; and the API server's own audit log says that nothing was changed.
//
// It judges no cluster itself: it runs the binary that an owner runs, as he does, and
// reads the report that he gets.
//
// Read [Catalogue] first, then [Trial].
package foreign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// Profile is the name of these checks' profile in reports.
const Profile = "foreign"

// Session is one run: what was tried as a guest, and what the API server logged of it.
type Session struct {
	run    *run.Run
	binary string
	record Record
}

// Record is what came of a run, and all that is judged.
type Record struct {
	Attached []Trial         // each Prometheus, with the role that is granted
	Without  []Trial         // one Prometheus, each time without one of the role's rules
	Audited  []auditv1.Event // what the API server logged of the guest
	Sandbox  []Trial         // a namespace of the guest's own
	Within   []auditv1.Event // what the API server logged of whoever made it
}

// NewSession plans a run. The error is the user's.
func NewSession(r *run.Run, binary string) (*Session, error) {
	if r.Select != nil || len(r.Profiles) > 0 || len(r.Levels) > 0 || r.Labels != nil || len(r.Skip) > 0 {
		return nil, errors.New("a foreign cluster is tried in whole: choose no check, profile, level, label or skip")
	}
	if r.Mode == run.Explain {
		return nil, errors.New("nothing of it is kept to be judged again but the reports of each trial, which `make verify DIR=` verifies")
	}
	binary, err := filepath.Abs(binary)
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		return nil, fmt.Errorf("the binary that an owner runs: %w (`make foreign` builds it)", err)
	}
	r.Total = len(Catalogue())
	r.Report.Profiles = []reports.Profile{{Name: Profile}}
	return &Session{run: r, binary: binary}, nil
}

// DryRun lists what would be tried.
func (s *Session) DryRun() string {
	var b strings.Builder
	for _, w := range wanted() {
		fmt.Fprintf(&b, "attach to %-24s %s\n", w.Prometheus, w.Title)
	}
	fmt.Fprintf(&b, "attach to %-24s without each of the %d rules of its role\n", wanted()[0].Prometheus, len(observe.Rules()))
	fmt.Fprintf(&b, "make the namespace %s, judge the guide's set-up in it, and remove it\n", sandbox.Namespace)
	return b.String()
}

// Try goes through all trials.
func (s *Session) Try() error {
	reader, err := s.guest(reading)
	if err != nil {
		return err
	}
	if err := s.run.Phase("first scrapes", s.awaitScrapes); err != nil {
		return err
	}
	for _, w := range wanted() {
		if err := s.run.Phase(w.Name, func(ctx context.Context) (string, error) {
			t, err := reader.attach(ctx, w.Name, w.Prometheus)
			s.record.Attached = append(s.record.Attached, t)
			return t.note(), err
		}); err != nil {
			return err
		}
	}
	if err := s.run.Phase("without each rule", func(ctx context.Context) (string, error) { return s.without(ctx, reader) }); err != nil {
		return err
	}
	maker, err := s.guest(making)
	if err != nil {
		return err
	}
	if err := s.run.Phase("sandbox", func(ctx context.Context) (string, error) {
		t, err := maker.sandbox(ctx)
		s.record.Sandbox = append(s.record.Sandbox, t)
		return t.note(), err
	}); err != nil {
		return err
	}
	return s.run.Phase("audit log", func(ctx context.Context) (note string, err error) {
		if s.record.Audited, err = s.run.Stack.Cluster.Audited(ctx, user(reading)); err != nil {
			return "", err
		}
		s.record.Within, err = s.run.Stack.Cluster.Audited(ctx, user(making))
		return fmt.Sprintf("%d requests of who reads, %d of who has a sandbox", len(s.record.Audited), len(s.record.Within)), err
	})
}

// awaitScrapes waits until each Prometheus has scraped what it has: a guest does not wait
// for one that has just been made. One whose web port is not the Operator's default is as
// old as the others.
func (s *Session) awaitScrapes(ctx context.Context) (string, error) {
	config, err := s.run.Stack.Cluster.REST()
	if err != nil {
		return "", err
	}
	var notes []string
	for _, w := range wanted() {
		if w.TLS {
			continue
		}
		_, name, _ := strings.Cut(w.Prometheus, "/")
		o, err := observe.NewObserver(config, namespace, name)
		if err != nil {
			return "", err
		}
		notes = append(notes, name+": "+o.Rescraped(ctx, s.run.Settle))
	}
	return strings.Join(notes, "; "), nil
}

// guest grants a role of manifests/certify and gives the way in that it grants.
func (s *Session) guest(role string) (guest, error) {
	config := s.run.Stack.Cluster.Kubeconfig
	g := guest{binary: s.binary, dir: filepath.Join(s.run.OutDir(), "trials"), kubeconfig: filepath.Join(filepath.Dir(config), role)}
	return g, s.run.Phase("role "+role, func(ctx context.Context) (string, error) {
		// It lies beside the cluster's own, and goes with it.
		if err := impersonate(config, g.kubeconfig, user(role)); err != nil {
			return "", err
		}
		return user(role), grant(ctx, s.run.Stack.Client, role)
	})
}

// without attaches once without each of the rules.
func (s *Session) without(ctx context.Context, g guest) (string, error) {
	for _, rule := range observe.Rules() {
		if err := grant(ctx, s.run.Stack.Client, reading, rule); err != nil {
			return "", err
		}
		t, err := g.attach(ctx, "without-"+fileName(rule.String()), wanted()[0].Prometheus)
		if err != nil {
			return "", err
		}
		t.Without = rule
		s.record.Without = append(s.record.Without, t)
	}
	return fmt.Sprintf("%d rules", len(s.record.Without)), nil
}

// describe fills in what the report says of the cluster.
func (s *Session) describe() {
	told := &s.run.Report.Subject
	for _, t := range s.record.Attached {
		if t.Report.Subject.Istio != "" {
			*told = t.Report.Subject
		}
		s.run.Report.APIRequests += t.Report.APIRequests
	}
	told.ImageSource = s.run.Stack.Source
}

// What bounds one run of the binary: attaching was measured at 3 s to 10 s, a sandbox at
// two minutes.
const (
	trialTimeout   = 2 * time.Minute
	sandboxTimeout = 8 * time.Minute
)

func fileName(rule string) string { return strings.NewReplacer(" ", "-", "/", "-").Replace(rule) }

// namespace is where the owner has his Prometheus objects, and guests their accounts.
const namespace = "observability"

// The roles of manifests/certify.
const (
	reading = "mtls-scrape-certify"
	making  = "mtls-scrape-sandbox"
)

// user is who a guest is to the API server.
func user(role string) string { return "system:serviceaccount:" + namespace + ":" + role }
