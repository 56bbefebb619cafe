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
	return b.String()
}

// Try goes through all trials.
func (s *Session) Try() error {
	config := s.run.Stack.Cluster.Kubeconfig
	g := guest{binary: s.binary, dir: filepath.Join(s.run.OutDir(), "trials"), kubeconfig: filepath.Join(filepath.Dir(config), "guest")}
	defer os.Remove(g.kubeconfig) // it lies beside the cluster's own, and goes with it
	client := s.run.Stack.Client
	err := s.run.Phase("guest", func(ctx context.Context) (string, error) {
		if err := impersonate(config, g.kubeconfig); err != nil {
			return "", err
		}
		return user, grant(ctx, client)
	})
	if err != nil {
		return err
	}
	for _, w := range wanted() {
		if err := s.run.Phase(w.Name, func(ctx context.Context) (string, error) {
			t, err := g.attach(ctx, w.Name, w.Prometheus)
			s.record.Attached = append(s.record.Attached, t)
			return t.note(), err
		}); err != nil {
			return err
		}
	}
	if err := s.run.Phase("without each rule", func(ctx context.Context) (string, error) {
		for _, rule := range observe.Rules() {
			if err := grant(ctx, client, rule); err != nil {
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
	}); err != nil {
		return err
	}
	return s.run.Phase("audit log", func(ctx context.Context) (note string, err error) {
		s.record.Audited, err = s.run.Stack.Cluster.Audited(ctx, user)
		return fmt.Sprintf("%d requests of the guest", len(s.record.Audited)), err
	})
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

// trialTimeout bounds one run of the binary, which was measured at 3 s to 10 s.
const trialTimeout = 2 * time.Minute

func fileName(rule string) string { return strings.NewReplacer(" ", "-", "/", "-").Replace(rule) }

// user is who the guest is to the API server.
const user = "system:serviceaccount:" + namespace + ":" + role

const (
	namespace = "observability"
	role      = "mtls-scrape-certify" // of manifests/certify
)
