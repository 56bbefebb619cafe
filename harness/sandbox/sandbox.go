// Package sandbox stands the guide's set-up up in one namespace of our own in a
// cluster that is not ours, which has a mesh and a Prometheus Operator already.
//
// It installs neither of them, makes nothing outside of its namespace, and touches no
// namespace that is not marked as this project's. Only one run at a time has it: a Lease
// says which. It judges nothing.
//
// Read [Sandbox] first, then [Sandbox.Claim], [Sandbox.Deploy] and [Sandbox.Remove].
package sandbox

import (
	"context"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
)

// Namespace is the one that a run makes. Its name is fixed, so that two runs meet there
// instead of doing the same beside each other.
const Namespace = "mtls-scrape-sandbox"

// Prometheus is the name of the guide's in it.
const Prometheus = "default"

// The labels of all that a run makes.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "mtls-scrape-conformance"
	RunLabel       = "mtls-scrape-conformance/run" // its value is the ID of the run
)

// Options say what to stand up.
type Options struct {
	Config      *rest.Config // may change the namespace
	RunID       string
	Revision    string        // of the mesh, or a tag of it; empty for the only one
	Registry    string        // that nodes pull every image from, as in "host:5000/path"; empty for upstream's
	Prometheus  string        // version, one of those that [image.Prometheus] has
	PodSecurity string        // level that the namespace enforces; empty for the cluster's own
	Variant     stack.Variant // paces of what happens
}

// Sandbox is the namespace of a run, and the run's way there.
type Sandbox struct {
	Options
	Client     klient.Client
	kubernetes kubernetes.Interface
	metadata   metadata.Interface
	injection  Injection
	holder     string // as the Lease names this run
	uid        types.UID
	before     listing
	release    func() // ends the renewal of the Lease; nil without one
}

// Open makes the clients of a run. Nothing is sent.
func Open(o Options) (*Sandbox, error) {
	s := &Sandbox{Options: o, holder: HolderOf(o.RunID)}
	var err error
	if s.Client, err = cluster.NewClient(o.Config); err == nil {
		s.kubernetes, err = kubernetes.NewForConfig(o.Config)
	}
	if err == nil {
		s.metadata, err = metadata.NewForConfig(o.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("making clients for the cluster: %w", err)
	}
	return s, nil
}

// Choose settles who injects sidecars into the namespace. The error is a [ChoiceError]
// if it is the user's to say, else that the cluster could not be asked or has no mesh.
func (s *Sandbox) Choose(ctx context.Context) error {
	hooks, err := s.kubernetes.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{LabelSelector: "app=sidecar-injector"})
	if err != nil {
		return fmt.Errorf("looking for the mesh's injectors: %w", err)
	}
	s.injection, err = choose(hooks.Items, s.Revision)
	return err
}

// Stands reports whether the run has made its namespace, so that there is something to
// look at and to remove.
func (s *Sandbox) Stands() bool { return s != nil && s.uid != "" }

// labels are those of all that the run makes.
func (s *Sandbox) labels() map[string]string { return LabelsOf(s.RunID) }

// LabelsOf are the labels of all that a run makes in a cluster that is not ours.
func LabelsOf(run string) map[string]string {
	return map[string]string{ManagedByLabel: ManagedBy, RunLabel: run}
}

// HolderOf is how a Lease names a run: with the host that it is on, if that has a name.
func HolderOf(run string) string {
	host, err := os.Hostname()
	if err != nil {
		return run
	}
	return run + " on " + host
}

// removeTimeout bounds the removal of the namespace, which was seen to take half a
// minute where pods end in their own time.
const removeTimeout = 2 * time.Minute
