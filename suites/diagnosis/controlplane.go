package diagnosis

import (
	"fmt"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// controlPlaneRules are about istiod, which injects proxies and signs certificates.
var controlPlaneRules = []Rule{
	{
		Code: "control-plane-down", Layer: LayerControlPlane,
		Title:   "No istiod runs: no proxy is injected and no certificate renewed",
		Proof:   "whether it failed before or after the subject did: certificates that were issued go on working until they end",
		Hides:   []string{"certificate-file-missing", "certificate-expired", "injection-pod-older", "injector-missing"},
		Explain: controlPlaneDown,
	},
	{
		Code: "injector-missing", Layer: LayerControlPlane,
		Title:   "The cluster has no injection webhook",
		Hides:   []string{"injection-pod-older", "injection-not-requested", "target-not-in-mesh"},
		Explain: injectorMissing,
	},
}

func controlPlaneDown(f *facts) []finding {
	var down []string
	if len(f.o.Mesh.ControlPlanes) > 0 {
		for _, c := range f.o.Mesh.ControlPlanes {
			if c.Ready > 0 {
				return nil
			}
			down = append(down, fmt.Sprintf("Deployment %s has %d of %d pods ready", c.Name, c.Ready, c.Replicas))
		}
	} else {
		for _, p := range f.o.Pods {
			if p.Labels["app"] != "istiod" {
				continue
			}
			if ready(&p) {
				return nil
			}
			down = append(down, fmt.Sprintf("pod %s/%s is not ready: %s", p.Namespace, p.Name, podState(&p)))
		}
	}
	if len(down) == 0 {
		return nil // it may run outside of the cluster
	}
	x := finding{about: []string{aboutPrometheus}, seen: strings.Join(down, ", "), change: "start istiod: scale its Deployment up, and see its log and events", confidence: reports.Possible}
	for _, r := range f.replicas {
		x.about = append(x.about, "replica "+r.name)
		if f.wantsIstiod(r) {
			x.confidence = reports.Certain
		}
	}
	if len(f.replicas) < f.wanted() {
		x.confidence = reports.Certain
	}
	return []finding{x}
}

// wantsIstiod reports whether a replica lacks what only istiod can give it.
func (f *facts) wantsIstiod(r *replica) bool {
	if r.pod != nil && proxyOf(r.pod) == nil {
		return true
	}
	if r.seen == nil {
		return true
	}
	for _, x := range r.files {
		if strings.Contains(strings.ToLower(x.Error), "no such file") {
			return true
		}
	}
	return r.seen.Certificate != nil && r.seen.Certificate.NotAfter.Before(f.o.At)
}

func injectorMissing(f *facts) []finding {
	if f.o.Mesh.RootNamespace == "" || len(f.o.Mesh.Injectors) > 0 {
		return nil
	}
	if _, unread := f.unread("injection webhooks"); unread {
		return nil
	}
	const (
		seen   = "no MutatingWebhookConfiguration of the cluster injects sidecars"
		change = "install Istio's injection webhook: it comes with istiod, or with a revision's tag"
	)
	var found []finding
	for _, r := range f.replicas {
		if r.pod != nil && proxyOf(r.pod) == nil {
			found = append(found, certain(r.about(), seen, change))
		}
	}
	f.eachTargetWithoutProxy(func(t *target, c reports.Confidence) {
		found = append(found, t.finding(c, fmt.Sprintf("%s, and pod %s has no %s; %s", seen, t.name, proxyName, t.says()), change+"; then restart the workload of "+ownerOf(t.pod)))
	})
	return found
}
