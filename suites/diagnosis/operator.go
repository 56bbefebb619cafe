package diagnosis

import (
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// operatorRules are about the Prometheus object and the operator that turns it
// into pods.
var operatorRules = []Rule{
	{
		Code: "prometheus-not-found", Layer: LayerOperator,
		Title:   "The Prometheus object could not be read",
		Explain: prometheusNotFound,
	},
	{
		Code: "prometheus-paused", Layer: LayerOperator,
		Title:   "The operator is told to leave this Prometheus alone",
		Proof:   "whether the StatefulSet and the loaded configuration are older than the objects that they are made from",
		Explain: prometheusPaused,
	},
	{
		Code: "operator-not-running", Layer: LayerOperator,
		Title:   "No operator runs that could act on Prometheus and monitors",
		Proof:   "the operator's own pod and its log",
		Hides:   []string{"prometheus-not-reconciled", "configuration-outdated", "pods-missing"},
		Explain: operatorNotRunning,
	},
	{
		Code: "prometheus-not-reconciled", Layer: LayerOperator,
		Title:   "The operator tried to act on the Prometheus and could not",
		Hides:   []string{"pods-missing", "configuration-outdated"},
		Explain: prometheusNotReconciled,
	},
}

func prometheusNotFound(f *facts) []finding {
	if f.o.Prometheus != nil {
		return nil
	}
	reason, _ := f.unread("the Prometheus ")
	return []finding{certain([]string{aboutPrometheus}, firstOf(reason, "there is no Prometheus object in the observation"),
		"name the Prometheus to be judged by its namespace and name, and let the suite's account get prometheuses.monitoring.coreos.com")}
}

func prometheusPaused(f *facts) []finding {
	if !f.spec.Paused {
		return nil
	}
	x := certain([]string{aboutPrometheus}, f.prometheus+" has spec.paused true: no change of it or of its monitors has any effect",
		f.prometheus+": set spec.paused to false")
	// Paused is how things were left; it explains what is absent, not what fails.
	if len(f.replicas) >= f.wanted() && !f.poolsMissing() {
		x.confidence = reports.Possible
	}
	return []finding{x}
}

// poolsMissing reports whether some replica lacks the job of an expected target.
func (f *facts) poolsMissing() bool {
	for _, t := range f.targets {
		for _, r := range f.replicas {
			if r.seen != nil && !r.pools[t.Pool] {
				return true
			}
		}
	}
	return false
}

func operatorNotRunning(f *facts) []finding {
	if f.o.Prometheus == nil {
		return nil
	}
	if _, unread := f.unread("pods"); unread || len(f.o.Pods) == 0 {
		return nil
	}
	var pods []*corev1.Pod
	for _, p := range f.pods {
		if isOperator(p) {
			pods = append(pods, p)
			if ready(p) {
				return nil
			}
		}
	}
	about := []string{aboutPrometheus}
	if len(pods) == 0 {
		x := certain(about, "no pod in the cluster runs the Prometheus Operator", "start the Prometheus Operator: scale its Deployment to 1, or install it")
		x.confidence = reports.Likely // it may run outside of the cluster
		if len(f.o.StatefulSets) == 0 && len(f.replicas) == 0 {
			x.confidence = reports.Certain
		}
		return []finding{x}
	}
	x := certain(about, fmt.Sprintf("the operator's pod %s/%s is not ready: %s", pods[0].Namespace, pods[0].Name, podState(pods[0])),
		"repair the operator's pod: nothing that is changed in Prometheus or monitors has an effect before it runs")
	if len(f.replicas) >= f.wanted() && !f.poolsMissing() {
		x.confidence = reports.Possible
	}
	return []finding{x}
}

func isOperator(p *corev1.Pod) bool {
	if p.Labels["app.kubernetes.io/name"] == "prometheus-operator" {
		return true
	}
	for _, c := range p.Spec.Containers {
		if strings.Contains(c.Image, "/prometheus-operator:") || strings.Contains(c.Image, "/prometheus-operator@") {
			return true
		}
	}
	return false
}

func prometheusNotReconciled(f *facts) []finding {
	if f.o.Prometheus == nil {
		return nil
	}
	for _, c := range f.o.Prometheus.Status.Conditions {
		if c.Type == monitoringv1.Reconciled && c.Status == monitoringv1.ConditionFalse {
			return []finding{certain([]string{aboutPrometheus}, fmt.Sprintf("%s has condition Reconciled False: %s", f.prometheus, firstOf(c.Message, c.Reason, "no message")),
				f.prometheus+": correct what the message names")}
		}
	}
	return nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
