package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// monitorsAccepted follows each monitor on its way: selected by its labels, not
// rejected by the Operator, a job in what every replica has loaded, with the files
// that it names, and a scrape pool. On each of these steps a monitor can get lost
// without a word to the one who applied it.
var monitorsAccepted = Check{
	ID:      "monitors-accepted",
	Title:   "Every monitor is selected, accepted and loaded with its TLS settings",
	Profile: ProfileSetup,
	Level:   reports.Core,
	Reads: []string{"the Prometheus ", "namespaces", "pods", "service monitors", "pod monitors", "probe objects", "scrape configs", "events",
		"the configuration of ", "the scrape pools of "},
	Assess: func(o *subject, f *finding) {
		if o.Prometheus == nil {
			f.Unclear("the Prometheus under test was not seen")
			return
		}
		wantReplicas(o, f)
		monitors := observe.Monitors(o.Observation)
		if !slices.ContainsFunc(monitors, func(m observe.Monitor) bool { return m.Selected }) {
			noneSelected(o, monitors, f)
			return
		}
		loaded := map[string]map[string]loadedJob{}
		for _, r := range o.Replicas {
			loaded[r.Pod] = jobsOf(r, f)
		}
		for _, m := range monitors {
			if !m.Selected {
				assessUnselected(o, m, f)
				continue
			}
			assessConditions(o, m, f)
			for _, j := range m.Jobs {
				for _, r := range o.Replicas {
					if loaded[r.Pod] != nil {
						assessJob(o, r, m, j, loaded[r.Pod], f)
					}
				}
			}
		}
	},
}

// assessJob follows one job of a monitor into one replica.
func assessJob(o *subject, r observe.Replica, m observe.Monitor, j observe.Job, loaded map[string]loadedJob, f *finding) {
	have, ok := loaded[j.Name]
	if !ok {
		f.Fail("%s, %s: %s has no job %s in its configuration%s", m, j.Field, r.Pod, j.Name, whyNot(o, m, j))
		return
	}
	if e, ok := rejection(o, m); ok && o.At.Sub(e.Last) < resync {
		f.Unclear("%s was rejected at %s (%s): the job that %s has may be the one from before", m, e.Last.Format(time.TimeOnly), e.Message, r.Pod)
		return
	}
	wrong := f.Failures()
	if have.scheme() != j.Scheme {
		f.Fail("%s, %s: the scheme is %s, the job of %s has %s", m, j.Field, j.Scheme, r.Pod, have.scheme())
	}
	for _, role := range []string{observe.RoleCA, observe.RoleCert, observe.RoleKey} {
		if want, got := j.File(role), have.file(role); want != "" && got != want {
			f.Fail("%s, %s: the %s file is %s, the job of %s has %q", m, j.Field, role, want, r.Pod, got)
		}
	}
	switch {
	case unread(o, "the scrape pools of "+r.Pod):
	case !slices.Contains(r.ScrapePools, j.Name):
		f.Fail("%s, %s: the job is in the configuration of %s, but there is no scrape pool for it: Prometheus could not make its client%s", m, j.Field, r.Pod, unreadable(r, j))
	case f.Failures() == wrong:
		f.Saw(sourceConfig, r.Pod, "%s: job %s with its settings, and a scrape pool", m, j.Name)
	}
}

// noneSelected says why of each of the monitors, those first that were likely
// meant.
func noneSelected(o *subject, monitors []observe.Monitor, f *finding) {
	const enough = 10
	f.Fail("%s selects none of the %d monitors that there are", prometheusName(o), len(monitors))
	slices.SortStableFunc(monitors, func(a, b observe.Monitor) int { return likely(o, b) - likely(o, a) })
	for _, m := range monitors[:min(len(monitors), enough)] {
		f.Fail("%s", whyUnselected(o, m))
	}
}

func likely(o *subject, m observe.Monitor) int {
	n := 0
	if m.InReach {
		n++
	}
	if namesMounted(o, m) {
		n += 2
	}
	return n
}

// assessUnselected judges a monitor that the Prometheus does not select. Another
// Prometheus may, and then it is none of this one's business. One that names files
// which this Prometheus has mounted, and that nobody selects, is lost.
func assessUnselected(o *subject, m observe.Monitor, f *finding) {
	if !m.InReach || !namesMounted(o, m) {
		return
	}
	for _, p := range o.OtherPrometheuses {
		if observe.SelectedBy(o.Observation, p, m) {
			f.Saw(sourceAPI, m.String(), "is selected by Prometheus %s/%s", p.Namespace, p.Name)
			return
		}
	}
	if o.OtherPrometheuses == nil {
		f.Unclear("%s; whether another Prometheus selects it was not seen", whyUnselected(o, m))
		return
	}
	f.Fail("%s, and no other Prometheus selects it either", whyUnselected(o, m))
}

// namesMounted reports whether a monitor names files in a volume that the
// Prometheus mounts.
func namesMounted(o *subject, m observe.Monitor) bool {
	for _, j := range m.Jobs {
		for _, file := range j.Files {
			for _, v := range o.Prometheus.Spec.VolumeMounts {
				if strings.HasPrefix(file.By, m.String()) && strings.HasPrefix(file.Path, strings.TrimRight(v.MountPath, "/")+"/") {
					return true
				}
			}
		}
	}
	return false
}

func whyUnselected(o *subject, m observe.Monitor) string {
	field, objects, namespaces := observe.Selector(o.Prometheus, m.Kind)
	switch {
	case objects == nil:
		return fmt.Sprintf("%s is not selected: %s has no spec.%s, which selects nothing", m, prometheusName(o), field)
	case !m.InReach && namespaces == nil:
		return fmt.Sprintf("%s is not selected: without a spec.%s, %s selects in its own namespace only", m, strings.Replace(field, "Selector", "NamespaceSelector", 1), prometheusName(o))
	case !m.InReach:
		return fmt.Sprintf("%s is not selected: its namespace has the labels %v, %s wants %s", m, namespaceLabels(o, m.Namespace), prometheusName(o), metav1.FormatLabelSelector(namespaces))
	}
	return fmt.Sprintf("%s is not selected: its labels are %v, spec.%s of %s wants %s", m, m.Labels, field, prometheusName(o), metav1.FormatLabelSelector(objects))
}

// whyNot explains why a selected monitor has no job, as far as somebody said so.
func whyNot(o *subject, m observe.Monitor, j observe.Job) string {
	if e, ok := rejection(o, m); ok {
		return fmt.Sprintf(": the Operator rejected it: %s", e.Message)
	}
	if o.Prometheus.Spec.ArbitraryFSAccessThroughSMs.Deny && m.Kind == "ServiceMonitor" && len(j.Files) > 0 {
		return fmt.Sprintf(": %s has spec.arbitraryFSAccessThroughSMs.deny, which rejects ServiceMonitors that name files", prometheusName(o))
	}
	return ", and nobody says why"
}

// resync is after how long the Operator, which looks at everything again every
// five minutes, would have repeated what it said.
const resync = 10 * time.Minute

// rejection is the newest event by which the Operator rejected a monitor as it is.
func rejection(o *subject, m observe.Monitor) (newest observe.Event, found bool) {
	for _, e := range o.Events {
		if e.Reason == "InvalidConfiguration" && e.Kind == m.Kind && e.Namespace == m.Namespace && e.Name == m.Name && !e.Last.Before(m.Created) && (!found || e.Last.After(newest.Last)) {
			newest, found = e, true
		}
	}
	return newest, found
}

// assessConditions reads what the Operator writes into a monitor's status, which
// it does only if told to.
func assessConditions(o *subject, m observe.Monitor, f *finding) {
	for _, b := range m.Bindings {
		if b.Name != o.Prometheus.Name || b.Namespace != o.Prometheus.Namespace {
			continue
		}
		for _, c := range b.Conditions {
			if c.Type == "Accepted" && c.Status != monitoringv1.ConditionTrue {
				f.Fail("%s is not accepted by %s: %s: %s", m, prometheusName(o), c.Reason, c.Message)
			}
		}
	}
}

// unreadable names the files of a job that the container cannot use.
func unreadable(r observe.Replica, j observe.Job) string {
	text := ""
	for _, file := range r.Files {
		named := slices.ContainsFunc(j.Files, func(n observe.NamedFile) bool { return n.Path == file.Path })
		if reason := file.Error + file.ParseError; named && reason != "" {
			text += "; " + file.Path + ": " + reason
		}
	}
	return text
}

func prometheusName(o *subject) string {
	return "Prometheus " + o.Prometheus.Namespace + "/" + o.Prometheus.Name
}
