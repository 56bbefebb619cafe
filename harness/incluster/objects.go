package incluster

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/sandbox"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// objects are all that a run makes, in the order in which it does: the namespace first
// and the Job last. They are those of manifests/certify, and the role is the one that a
// guest from outside gets, but for the names of the mesh's configuration and what the
// owner has permitted.
func (j *Job) objects(revisions []string) ([]*unstructured.Unstructured, error) {
	role, err := manifests.ReadFile(manifests.CertifyRole)
	if err != nil {
		return nil, err
	}
	job, err := manifests.ReadFile(manifests.CertifyJob)
	if err != nil {
		return nil, err
	}
	objects := slices.Concat(job[:1], role, job[1:])
	for _, u := range objects {
		if u.GetKind() != "ClusterRole" {
			continue
		}
		if err := j.extend(u, revisions); err != nil {
			return nil, err
		}
	}
	return manifests.Apply(objects, j.named, manifests.InNamespace(Namespace(j.RunID)), j.labelled, manifests.OnlyKind("Job", j.furnished)), nil
}

// extend adds to the role what differs from cluster to cluster, and from owner to owner.
func (j *Job) extend(u *unstructured.Unstructured, revisions []string) error {
	var r rbacv1.ClusterRole
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &r); err != nil {
		return fmt.Errorf("reading the role of manifests/%s: %w", manifests.CertifyRole, err)
	}
	for i := range r.Rules {
		names := &r.Rules[i].ResourceNames
		if !slices.Contains(*names, "istio") {
			continue
		}
		for _, revision := range revisions {
			if n := mesh.Named("istio", revision); !slices.Contains(*names, n) {
				*names = append(*names, n)
			}
		}
	}
	for _, p := range j.Permit {
		// Which verb it takes depends on how the stream is opened, which is the client's
		// to choose: https://kubernetes.io/docs/reference/access-authn-authz/authorization/
		r.Rules = append(r.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/" + string(p)}, Verbs: []string{"create", "get"}})
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&r)
	u.Object = object
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return err
}

// named puts the run's ID behind the name of what is in no namespace.
func (j *Job) named(u *unstructured.Unstructured) {
	if manifests.ClusterScoped(u.GetKind()) {
		u.SetName(Namespace(j.RunID))
	}
	if u.GetKind() == "ClusterRoleBinding" {
		manifests.Set(Namespace(j.RunID), "roleRef", "name")(u)
	}
}

// labelled marks an object as of this run, and the Job's pod.
func (j *Job) labelled(u *unstructured.Unstructured) {
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	for k, v := range sandbox.LabelsOf(j.RunID) {
		labels[k] = v
	}
	u.SetLabels(labels)
	if u.GetKind() == "Job" {
		manifests.Set(j.RunID, "spec", "template", "metadata", "labels", sandbox.RunLabel)(u)
	}
}

// furnished gives the Job its image and its options.
func (j *Job) furnished(u *unstructured.Unstructured) {
	at := []string{"spec", "template", "spec", "containers"}
	containers, _, _ := unstructured.NestedSlice(u.Object, at...)
	for _, c := range containers {
		fields, ok := c.(map[string]any)
		if !ok || fields["name"] != container {
			continue
		}
		args, _, _ := unstructured.NestedSlice(fields, "args")
		for _, a := range append([]string{"-run-id=" + j.RunID}, j.Args...) {
			args = append(args, a)
		}
		fields["args"], fields["image"] = args, j.Image
	}
	manifests.Set(containers, at...)(u)
}
