// Package preflight looks, before a cluster is judged that is not ours, for what would
// make the judging worth little: a clock that is off, a permission that lacks, versions
// that are known not to work together, and proxies that are too old for the control plane
// which is to come.
//
// It only reads, and judges nothing of what the conformance suite does.
//
// Read [Run] first.
package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// State is what came of a look.
type State string

// The states.
const (
	OK   State = "ok"
	Warn State = "warn" // something will be left open, or is known to go wrong at times
	Fail State = "fail" // what is judged would not be worth believing
	Skip State = "skip"
)

// Result is what one look found.
type Result struct {
	Name  string
	State State
	Text  string
}

// Subject is what is looked at.
type Subject struct {
	Config     *rest.Config
	Mesh       *rest.Config // of the mesh's own API, if that is elsewhere; else nil
	Prometheus types.NamespacedName
	Next       string // version of Istio that its owner means to upgrade to; empty for none

	client kubernetes.Interface
	mesh   kubernetes.Interface // at the mesh's own API; nil if that is the cluster's
	pods   []corev1.Pod         // of the Prometheus
}

// look is one of the things that are looked for.
type look struct {
	name string
	at   func(ctx context.Context, s *Subject) (State, string)
}

var looks = []look{
	{"preflight-clock", clock},
	{"preflight-permissions", permissions},
	{"preflight-mesh-permissions", meshPermissions},
	{"preflight-leftovers", leftovers},
	{"preflight-prometheus", reachable},
	{"preflight-versions", versions},
	{"preflight-skew", skewed},
}

// timeout bounds one look.
const timeout = 20 * time.Second

// Names lists what is looked for.
func Names() []string {
	var names []string
	for _, l := range looks {
		names = append(names, l.name)
	}
	return names
}

// Run looks for everything but what is skipped, whose reasons are given by name.
func Run(ctx context.Context, s Subject, skip map[string]string) ([]Result, error) {
	var err error
	if s.client, err = kubernetes.NewForConfig(s.Config); err != nil {
		return nil, fmt.Errorf("making a client to look with: %w", err)
	}
	if s.Mesh != nil {
		if s.mesh, err = kubernetes.NewForConfig(s.Mesh); err != nil {
			return nil, fmt.Errorf("making a client to look at the mesh's own API with: %w", err)
		}
	}
	list, err := s.client.CoreV1().Pods(s.Prometheus.Namespace).List(ctx, metav1.ListOptions{LabelSelector: observe.PrometheusLabel + "=" + s.Prometheus.Name})
	if err == nil { // else the permissions say so
		s.pods = list.Items
	}
	var results []Result
	for _, l := range looks {
		r := Result{Name: l.name, State: Skip, Text: skip[l.name]}
		if _, skipped := skip[l.name]; !skipped {
			bounded, cancel := context.WithTimeout(ctx, timeout)
			r.State, r.Text = l.at(bounded, &s)
			cancel()
		}
		results = append(results, r)
	}
	return results, ctx.Err()
}

// Failed lists in words what is wrong, if anything is.
func Failed(results []Result) string {
	var all []string
	for _, r := range slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.State != Fail }) {
		all = append(all, fmt.Sprintf("%s: %s (-skip=%s=why goes on without)", r.Name, r.Text, r.Name))
	}
	return strings.Join(all, "\n")
}
