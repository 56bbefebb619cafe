package disrupt

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const (
	// refusalPatience is how long the API server may refuse pods for a webhook that
	// cannot be called until nothing is hoped for any more. One that is being replaced is
	// reached again within a second or two.
	refusalPatience = 8 * time.Second
	// refusalInterval is the pause between two tries from then on.
	refusalInterval = 2 * time.Second
)

// refusals is what the API server says against pods that a wait is for. It is asked, by a
// pod that is not to be stored, and events are not read: a controller whose pods were
// refused waits for up to minutes until it tries again, so that no event comes as long as
// the webhook stays away, nor when it is back.
type refusals struct {
	client    klient.Client
	namespace string
	workload  string // a Deployment or a StatefulSet
	next      time.Time
}

func refusalsOf(client klient.Client, namespace, workload string) *refusals {
	return &refusals{client: client, namespace: namespace, workload: workload, next: time.Now().Add(refusalPatience)}
}

// setOf is the name of the StatefulSet of a pod, which has its ordinal behind it.
func setOf(pod string) string { return pod[:max(0, strings.LastIndex(pod, "-"))] }

// uncallable is what the API server says of a webhook that it could not call, in
// apiserver/pkg/admission/plugin/webhook/errors. What a webhook, a quota or a policy
// itself refuses may be over when an old pod is gone; this is not.
const uncallable = "failed calling webhook"

// hopeless is nil as long as the pods may still come, and else the error that ends the
// wait. It costs nothing before its time has come. That nobody can be asked is no reason
// to end a wait.
func (r *refusals) hopeless(ctx context.Context) error {
	if time.Now().Before(r.next) {
		return nil
	}
	r.next = time.Now().Add(refusalInterval)
	template, err := r.template(ctx)
	if err != nil {
		return nil //nolint:nilerr // the wait has a time-out
	}
	pod := corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.GenerateName, pod.Namespace = r.workload+"-", r.namespace
	err = r.client.Resources(r.namespace).Create(ctx, &pod, func(o *metav1.CreateOptions) { o.DryRun = []string{metav1.DryRunAll} })
	if err == nil || !strings.Contains(err.Error(), uncallable) {
		return nil
	}
	return wait.Stop(fmt.Errorf("no pod can be created for %s/%s: %w (repair the webhook configuration that calls it, or what it calls)", r.namespace, r.workload, err))
}

// template is of what the workload makes its pods.
func (r *refusals) template(ctx context.Context) (corev1.PodTemplateSpec, error) {
	var d appsv1.Deployment
	err := r.client.Resources(r.namespace).Get(ctx, r.workload, r.namespace, &d)
	if !apierrors.IsNotFound(err) {
		return d.Spec.Template, err
	}
	var s appsv1.StatefulSet
	err = r.client.Resources(r.namespace).Get(ctx, r.workload, r.namespace, &s)
	return s.Spec.Template, err
}
