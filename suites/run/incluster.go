package run

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/incluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/parcel"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// inClusterConfig is what a user chooses of a run that a Job in the cluster carries out,
// and what that run is told.
type inClusterConfig struct {
	InCluster bool   // have a Job in the cluster judge it
	Image     string // of the suite, as nodes pull it
	RunID     string // that somebody else gave the run; empty for one of its own
	Deliver   string // how the report leaves the run; empty if who wants it can read files
}

// deliverLog is the one way out of a pod that takes no more than to read its log.
const deliverLog = "log"

// validID is what an ID may be that becomes a part of the names of a Job's objects.
var validID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

func (c *inClusterConfig) defineInCluster(flags *flag.FlagSet) {
	flags.BoolVar(&c.InCluster, "in-cluster", false, "attach: have a Job in the cluster judge it, and bring its report here")
	flags.Func("image", "attach: the suite's own image for that Job, as nodes pull it: host/path:tag", func(s string) error {
		if _, err := name.ParseReference(s); s != "" && err != nil {
			return errors.New("use a reference such as host/path:tag")
		}
		c.Image = s
		return nil
	})
	flags.Func("run-id", "attach: ID of the run (default one that is made of the time)", func(s string) error {
		if s != "" && !validID.MatchString(s) {
			return errors.New("use at most 40 lower-case letters, digits and hyphens")
		}
		c.RunID = s
		return nil
	})
	flags.Func("deliver", "attach: print the report at the end for who can only read a pod's log: log (default it is not printed)", func(s string) error {
		if s != "" && s != deliverLog {
			return errors.New("use " + deliverLog)
		}
		c.Deliver = s
		return nil
	})
}

// inClusterSettings are those for the report.
func (c *inClusterConfig) inClusterSettings() map[string]string {
	return map[string]string{"in-cluster": fmt.Sprint(c.InCluster), "image": c.Image, "run-id": c.RunID, "deliver": c.Deliver}
}

// checkInCluster refuses what a Job could not do.
func (c *Config) checkInCluster() error {
	switch {
	case !c.InCluster:
		return nil
	case c.Mode != Attach:
		return UsageError{errors.New("in-cluster is for a cluster that is not ours: use it with -mode=attach")}
	case c.Image == "":
		return UsageError{errors.New("in-cluster needs -image=host/path:tag, the suite's own image as the nodes pull it: `make suite-image` builds one")}
	case c.MeshKubeconfig != "" || c.MeshContext != "":
		return UsageError{errors.New("in-cluster and -mesh-kubeconfig do not go together: no kubeconfig is put into the cluster; leave one of them out")}
	}
	return nil
}

// insideArguments are the options of the run inside: all that say what is judged. What
// says where files are, and the key, stays here.
func (c *Config) insideArguments(prometheus types.NamespacedName) []string {
	settings := c.Settings()
	args := []string{"-prom=" + prometheus.String()}
	for _, option := range []string{"check", "history", "label", "level", "permit", "profile", "repeat"} {
		if settings[option] != "" {
			args = append(args, "-"+option+"="+settings[option])
		}
	}
	var skipped []string
	for id, reason := range c.Skip {
		skipped = append(skipped, "-skip="+id+"="+reason)
	}
	slices.Sort(skipped)
	return append(args, skipped...)
}

// inCluster is the whole life of a run that a Job carries out in the cluster of the run's
// context. It gives the directory of its report and its exit code, which is that of the
// run inside. Where no report comes out, the run writes one of its own that says why.
func (r *Run) inCluster() (dir string, code int) {
	stop := r.handleSignals()
	defer stop()
	klog.SetLogger(logr.Discard()) // as in execute
	r.Terminal.Configuration(r.Report.Configuration)
	job, arrived := r.judgeInside()
	if job != nil {
		r.finishJob(job)
	}
	if arrived == nil {
		return r.OutDir(), r.conclude()
	}
	return r.OutDir(), r.concludeInside(*arrived)
}

// arrival is a report that came out of the cluster.
type arrival struct {
	report reports.Report
	code   int // of the process that made it
}

// judgeInside has a Job judge the cluster. Why there is no report is in that of the run.
// The Job is the caller's to finish, if there is one.
func (r *Run) judgeInside() (job *incluster.Job, arrived *arrival) {
	if r.phase("open", func(context.Context) (string, error) {
		return "Prometheus " + r.Guest.Prometheus.String(), r.Guest.missing
	}) != nil {
		return nil, nil
	}
	if r.phase("job", func(ctx context.Context) (note string, err error) {
		if job, err = r.openJob(); err != nil {
			return "", err
		}
		return job.Apply(ctx)
	}) != nil {
		return job, nil
	}
	var outcome incluster.Outcome
	if r.phase("run", func(ctx context.Context) (note string, err error) {
		outcome, err = job.Follow(ctx)
		return "ended with " + outcome.Ended, err
	}) != nil && outcome.Archive == nil {
		return job, nil
	}
	_ = r.phase("report", func(context.Context) (note string, err error) {
		arrived, note, err = r.receive(outcome)
		return note, err
	})
	return job, arrived
}

func (r *Run) openJob() (*incluster.Job, error) {
	config, err := cluster.ExistingOwning(r.Kubeconfig, r.Context, incluster.Namespace(r.ID), incluster.Owned(r.ID)...)
	if err != nil {
		return nil, err
	}
	return incluster.Open(incluster.Options{
		Config: config, RunID: r.ID, Image: r.Image, Args: r.insideArguments(r.Guest.Prometheus), Permit: r.Permit,
		Relay: r.Terminal.Relay, Started: func(pod string) {
			r.Terminal.Note("the run inside is in the pod " + incluster.Namespace(r.ID) + "/" + pod)
		},
	})
}

// receive puts a report where those of other runs are, if it is what it says: that of
// this run, whole, and in agreement with how its process ended.
func (r *Run) receive(outcome incluster.Outcome) (arrived *arrival, note string, err error) {
	if err := outcome.Missing(); err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return nil, "", fmt.Errorf("making room for the report: %w (set OUT to a folder that can be written)", err)
	}
	dir, err := os.MkdirTemp(r.Out, "."+r.ID+"-")
	if err != nil {
		return nil, "", fmt.Errorf("making room for the report: %w (set OUT to a folder that can be written)", err)
	}
	defer os.RemoveAll(dir) // gone by then, if all went well
	if err := parcel.Unpack(bytes.NewReader(outcome.Archive), dir); err != nil {
		return nil, "", err
	}
	report, err := reports.Read(dir)
	if err != nil {
		return nil, "", fmt.Errorf("what came out of the cluster: %w", err)
	}
	if report.RunID != r.ID {
		return nil, "", fmt.Errorf("what came out of the cluster is the report of the run %q and not of %s", report.RunID, r.ID)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // MkdirTemp makes it for the owner alone
		return nil, "", err
	}
	if err := os.Rename(dir, r.OutDir()); err != nil {
		return nil, "", fmt.Errorf("putting the report to the others: %w", err)
	}
	return &arrival{report, agreed(report.ExitCode, outcome.ExitCode)}, fmt.Sprintf("%d bytes, with the digest that they were sent with", len(outcome.Archive)), nil
}

// agreed is the exit code of a run inside: that of its process, unless nobody saw that or
// it says less than the report.
func agreed(report reports.ExitCode, process int) int {
	if process == incluster.Unknown || process == int(reports.ExitConformant) {
		return int(report)
	}
	return process
}

// finishJob removes what the run made in the cluster, however it went.
func (r *Run) finishJob(job *incluster.Job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), finishTimeout)
	defer cancel()
	if r.Keep {
		note := fmt.Sprintf("the namespace %s stays, with the Job in it and a role of the same name; `make clean CONTEXT=` removes them", incluster.Namespace(r.ID))
		if err := job.Release(ctx); err != nil {
			note += ": " + err.Error()
		}
		r.Terminal.Note(note)
		return
	}
	_ = r.removal(func() (string, error) { return job.Remove(ctx) }) // a failure of it is a leftover
}

// concludeInside signs the report that came out, which no key went in for, shows it, and
// returns the exit code.
func (r *Run) concludeInside(a arrival) int {
	dir := r.OutDir()
	err := reports.NoSecrets(dir)
	if err == nil && r.key != nil {
		err = reports.Attest(dir, r.key)
	}
	err = errors.Join(err, reports.Link(r.Out, r.ID), reports.GitHub(os.Stdout, a.report, os.Getenv))
	// What this run left is in no report of the run inside, which is as it was made there.
	if left := r.Report.Leftovers; len(left) > 0 {
		r.Terminal.Note("left in the cluster: " + strings.Join(left, "; "))
		if a.code == int(reports.ExitConformant) || a.code == int(reports.ExitInconclusive) {
			a.code = int(reports.ExitLeftovers)
		}
	}
	r.Terminal.Summary(a.report, filepath.Join(dir, reports.FileName))
	return concluded(reports.ExitCode(a.code), err)
}
