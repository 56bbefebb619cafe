package observe

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// Admission is what was seen while a policy was in effect that admits nobody but
// Prometheus.
type Admission struct {
	From     time.Time                         `json:"from"`
	To       time.Time                         `json:"to"`
	Policies []*securityv1.AuthorizationPolicy `json:"policies"` // every one of the subject at that time
	Probes   []Probe                           `json:"probes"`   // by another workload of the mesh
	Traffic  []ProxyTraffic                    `json:"traffic"`  // what the targets' proxies logged from From to To
	Marks    []Mark                            `json:"marks"`
	Error    string                            `json:"error,omitempty"`
}

// policyTimeout bounds the wait for a policy to reach the proxies, which takes a
// second or two.
const policyTimeout = 15 * time.Second

// Admission asks every target as another workload of the mesh until the policy
// that was just applied is felt, and then in earnest. The observation is one that
// was made just before. That the policy is never felt is for the check to judge.
func (o *Observer) Admission(ctx context.Context, before Observation) (*Admission, error) {
	p := &pass{Observer: o, o: before}
	p.o.Unread = nil
	var policies securityv1.AuthorizationPolicyList
	p.list("authorization policies", &policies)(ctx)
	targets := p.probed()
	_ = wait.For(ctx, "the policy to be felt at every target", func(ctx context.Context) (bool, string, error) {
		probes, err := p.askAsMember(ctx, OtherIdentity, targets, 1, memberCertificates)
		return err == nil && !slices.ContainsFunc(probes, func(x Probe) bool {
			return slices.ContainsFunc(x.Attempts, func(a Attempt) bool { return a.Code != http.StatusForbidden })
		}), "", err
	}, wait.Timeout(policyTimeout))
	a := &Admission{From: time.Now().UTC(), Policies: policies.Items}
	probes, err := p.askAsMember(ctx, OtherIdentity, targets, attempts, memberCertificates)
	p.unread("targets by way of another workload of the mesh", err)
	a.Probes = probes
	p.awaitTwin(ctx, targets, a.From)
	var reads []func(context.Context)
	for _, name := range ExpectedPods(before) {
		if !slices.ContainsFunc(targets, func(e Expected) bool { return e.Namespace+"/"+e.Pod == name }) {
			continue
		}
		reads = append(reads, func(ctx context.Context) {
			namespace, pod, _ := strings.Cut(name, "/")
			requests, err := p.settledLog(ctx, namespace, pod, a.From)
			p.unread("the access log of the proxy of "+name, err)
			p.mu.Lock()
			defer p.mu.Unlock()
			a.Traffic = append(a.Traffic, ProxyTraffic{Pod: name, Requests: requests})
		})
	}
	each(ctx, reads...)
	a.To = time.Now().UTC()
	slices.SortFunc(a.Traffic, func(x, y ProxyTraffic) int { return strings.Compare(x.Pod, y.Pod) })
	for _, u := range p.o.Unread {
		a.Error = u.What + " could not be read: " + u.Reason
	}
	return a, ctx.Err()
}
