// Package incluster has a cluster judge itself: a Job in it runs the suite, and the report
// comes out by the log of its pod.
//
// It makes a namespace, an account, a role that reads, and the Job, each of this run
// alone, and nothing else; it removes them again. It judges nothing, and never reads what
// is not its own. What the run inside does is bounded by its role, and by itself.
//
// Read [Job] first, then [Job.Apply], [Job.Follow] and [Job.Remove].
package incluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"istio.io/api/label"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
)

const (
	// name is that of all that manifests/certify has, and the beginning of what is made
	// of it that is in no namespace.
	name = "mtls-scrape-certify"
	// container is that of the suite in the Job's pod.
	container = "conformance"
	// rbac is the group of roles and their bindings.
	rbac = "rbac.authorization.k8s.io"
)

// Options say what is to be judged, by what.
type Options struct {
	Config  *rest.Config // may make what is the run's: see [Namespace] and [Owned]
	RunID   string
	Image   string
	Args    []string // of the run inside, beyond those of manifests/certify/job.yaml
	Permit  []cluster.Permission
	Relay   func(line string) // is given each line that the run inside prints
	Started func(pod string)  // is told when it runs
}

// Job is a run inside, and the way to it.
type Job struct {
	Options
	client     klient.Client
	kubernetes kubernetes.Interface
	lasts      time.Duration // how long the Job may run; zero before it is applied
}

// Namespace is that of a run.
func Namespace(runID string) string { return name + "-" + runID }

// Owned are the objects of a run that are in no namespace, for [cluster.Owning].
func Owned(runID string) []string {
	return []string{
		cluster.OwnedPath(rbac, "v1", "clusterroles", Namespace(runID)),
		cluster.OwnedPath(rbac, "v1", "clusterrolebindings", Namespace(runID)),
	}
}

// Open makes the clients. Nothing is sent.
func Open(o Options) (*Job, error) {
	j := &Job{Options: o}
	var err error
	if j.client, err = cluster.NewClient(o.Config); err == nil {
		j.kubernetes, err = kubernetes.NewForConfig(o.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("making clients for the cluster: %w", err)
	}
	return j, nil
}

// margin is for how long a Job is waited for that should have ended: the time that its
// pod has to end, 30 s, and as much for the cluster to notice.
const margin = time.Minute

// Apply makes the Job and all that it needs. What was made until an error is there for
// [Job.Remove].
func (j *Job) Apply(ctx context.Context) (note string, err error) {
	objects, err := j.objects(j.revisions(ctx))
	if err != nil {
		return "", err
	}
	job := objects[len(objects)-1]
	seconds, _, err := unstructured.NestedInt64(job.Object, "spec", "activeDeadlineSeconds")
	if err != nil {
		return "", fmt.Errorf("manifests/certify/job.yaml: %w", err)
	}
	j.lasts = time.Duration(seconds) * time.Second
	for i, u := range objects {
		if err := cluster.Apply(ctx, j.client, u); err != nil {
			return "", explained(err)
		}
		if i > 0 {
			continue
		}
		// First of all, so that nobody takes the namespace for one that was left.
		if err := sandbox.Reserve(ctx, j.kubernetes, Namespace(j.RunID), sandbox.HolderOf(j.RunID), sandbox.LabelsOf(j.RunID), time.Now(), j.lasts+margin); err != nil {
			return "", explained(err)
		}
	}
	return fmt.Sprintf("Job %s/%s, image %s", Namespace(j.RunID), job.GetName(), j.Image), nil
}

// explained says what to do about an error that is a lack of permission.
func explained(err error) error {
	if !apierrors.IsForbidden(err) {
		return err
	}
	return fmt.Errorf("%w\n  To make a Job there takes create, patch and delete on namespaces, serviceaccounts, leases, jobs, clusterroles and clusterrolebindings, and to have oneself what manifests/certify/rbac.yaml grants. Without IN_CLUSTER=1, `make certify` makes nothing and only reads", err)
}

// revisions are those of the mesh's control planes, after which their configuration is
// named. If they cannot be listed, there are none: the run inside then says what it could
// not read.
func (j *Job) revisions(ctx context.Context) []string {
	all, err := j.kubernetes.AppsV1().Deployments("").List(ctx, metav1.ListOptions{LabelSelector: "app=istiod"})
	if err != nil {
		return nil
	}
	var found []string
	for _, d := range all.Items {
		if r := d.Labels[label.IoIstioRev.Name]; r != "" {
			found = append(found, r)
		}
	}
	return found
}

// Remove takes away whatever the run made, waits until it is gone, and says so. The
// error has a line for each thing that is left. It can be called again, and after an
// [Job.Apply] that failed.
func (j *Job) Remove(ctx context.Context) (note string, err error) {
	id := Namespace(j.RunID)
	roles := j.kubernetes.RbacV1()
	var failures []error
	failed := func(what string, err error) {
		if err != nil && !apierrors.IsNotFound(err) {
			failures = append(failures, fmt.Errorf("%s: %w", what, err))
		}
	}
	failed("clusterrolebinding "+id, roles.ClusterRoleBindings().Delete(ctx, id, metav1.DeleteOptions{}))
	failed("clusterrole "+id, roles.ClusterRoles().Delete(ctx, id, metav1.DeleteOptions{}))
	n, err := j.kubernetes.CoreV1().Namespaces().Get(ctx, id, metav1.GetOptions{})
	if err == nil {
		err = sandbox.RemoveNamespace(ctx, j.kubernetes, id, n.UID)
	}
	failed("namespace "+id, err)
	if len(failures) > 0 {
		return "", errors.Join(append(failures, errors.New("`make clean CONTEXT=` removes what is left"))...)
	}
	return "the Job, its role and its namespace are gone", nil
}

// Release leaves everything as it is, for others to clear up when they like.
func (j *Job) Release(ctx context.Context) error {
	return sandbox.GiveUp(ctx, j.kubernetes, Namespace(j.RunID))
}
