package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// pastRotationsSurvived asks what Prometheus stored already. A cluster that has run for
// a day has been through what a run of the suite would have to wait for, or to bring
// about. A certificate that was not renewed, or not taken up, costs scrapes from its
// end on; that none was lost over longer than it lived says that it was. It is not
// core: which serial came to the targets was not seen.
var pastRotationsSurvived = Check{
	ID:      "past-rotations-survived",
	Title:   "Prometheus has stored every scrape around the past renewals of its certificate",
	Profile: ProfileRotation,
	Level:   reports.Extended,
	Stood:   true,
	Reads:   reads("the targets of ", "the stored scrapes of ", "the stored ends of certificates "),
	Assess: func(o *subject, f *finding) {
		if o.History == nil {
			f.Unclear("nobody asked Prometheus for what it has stored")
			return
		}
		targets, ok := tlsTargets(o, f, ", so no certificate is used")
		if !ok {
			return
		}
		for _, r := range o.Replicas {
			if !unread(o, "the stored scrapes of "+r.Pod) {
				assessPast(o, r, o.of(r, targets), f)
			}
		}
	},
}

// past is what a replica stored of its targets.
type past struct {
	losses []loss
	oldest time.Time // the first scrape of any target
	whole  int       // targets of which every scrape was stored
	young  int       // targets that are younger than the span, and whole from their first scrape on
}

// loss is a scrape that was lost, or several in a row.
type loss struct {
	target   observe.Expected
	from, to time.Time
	text     string
}

func assessPast(o *subject, r observe.Replica, targets []observe.Expected, f *finding) {
	if len(targets) == 0 {
		return
	}
	p, ok := pastOf(o, r, targets, f)
	if !ok {
		return
	}
	f.Saw(sourceQuery, r.Pod, "from %s to %s every scrape of %d of %d targets was stored, each up; of %d more, from their first one on",
		o.History.From.Format(time.DateTime), o.History.To.Format(time.DateTime), p.whole, len(targets), p.young)
	if slices.Contains(o.History.Watched, o.Prometheus.Namespace+"/"+r.Pod) {
		assessAround(o, r, p, f)
		return
	}
	assessThroughout(o, r, p, f)
}

// pastOf reads off what was lost.
func pastOf(o *subject, r observe.Replica, targets []observe.Expected, f *finding) (past, bool) {
	i := slices.IndexFunc(o.History.Replicas, func(h observe.ReplicaHistory) bool { return h.Pod == r.Pod })
	if i < 0 {
		f.Unclear("what %s has stored was not read", r.Pod)
		return past{}, false
	}
	h, index := o.History, o.targetsOf(r)
	stored := first(h.Replicas[i].Stored, func(s observe.Stored) string { return s.Pool + " " + s.URL })
	p := past{oldest: h.To}
	for _, e := range targets {
		s, ok := stored[e.Pool+" "+e.URL]
		interval := index.interval(e)
		switch {
		case !ok || s.Samples == 0:
			f.Unclear("%s has stored no scrape of %s", r.Pod, podName(e))
		case interval <= 0:
			f.Unclear("%s does not say how often it has to scrape %s", r.Pod, podName(e))
		case s.Whole(h.To.Sub(h.From), interval):
			p.whole++
			p.oldest = h.From
		case s.Open || len(s.Points) == 0:
			f.Unclear("of %s %s stored %d scrapes, %d of them up, and which were lost was not read", podName(e), r.Pod, s.Samples, s.Up)
		default:
			before, points := len(p.losses), onceReady(o, e, s.Points)
			p.losses = append(p.losses, lost(e, points, interval, h.To)...)
			if len(p.losses) == before {
				p.young++
			}
			if points[0].At.Before(p.oldest) {
				p.oldest = points[0].At
			}
		}
	}
	return p, true
}

// onceReady leaves out the first scrapes of a target as long as they failed and its pod
// was not ready: Prometheus has a pod as a target before it is.
func onceReady(o *subject, e observe.Expected, points []observe.Point) []observe.Point {
	i := slices.IndexFunc(o.Pods, func(p corev1.Pod) bool { return p.Namespace == e.Namespace && p.Name == e.Pod })
	if i < 0 {
		return points
	}
	ready := observe.ReadySince(&o.Pods[i])
	from := slices.IndexFunc(points, func(p observe.Point) bool { return p.Value == 1 || !p.At.Before(ready) })
	return points[max(from, 0):]
}

// lost finds the scrapes that failed and those that were left out, from the first on.
func lost(e observe.Expected, points []observe.Point, interval time.Duration, to time.Time) []loss {
	var found []loss
	limit := interval + scrapeTolerance(interval)
	for i, p := range points {
		next := to
		if i+1 < len(points) {
			next = points[i+1].At
		}
		if p.Value != 1 {
			found = append(found, loss{e, p.At, p.At, "a scrape of " + podName(e) + " failed at " + p.At.Format(time.DateTime)})
		}
		if next.Sub(p.At) > limit {
			found = append(found, loss{e, p.At, next, fmt.Sprintf("%s was not scraped for %s from %s on", podName(e), next.Sub(p.At).Round(time.Second), p.At.Format(time.DateTime))})
		}
	}
	return found
}

// assessAround judges a replica of which it is known when its certificate was renewed:
// what was lost near a renewal, its own or that of the target, is a failure. What was
// lost at another time had another reason, and is told.
func assessAround(o *subject, r observe.Replica, p past, f *finding) {
	own := o.Prometheus.Namespace + "/" + r.Pod
	renewals := slices.DeleteFunc(slices.Clone(o.History.Renewals), func(x observe.Renewal) bool { return x.Pod != own })
	if len(renewals) == 0 {
		f.Unclear("the certificate of %s was not renewed in what is stored, which begins at %s", r.Pod, p.oldest.Format(time.DateTime))
	}
	for _, x := range renewals {
		f.Saw(sourceQuery, r.Pod, "its certificate was renewed between %s and %s", x.After.Format(time.DateTime), x.Before.Format(time.DateTime))
	}
	elsewhere := 0
	for _, l := range p.losses {
		near := slices.IndexFunc(o.History.Renewals, func(x observe.Renewal) bool {
			return (x.Pod == own || x.Pod == podName(l.target)) && overlap(l, x)
		})
		if near < 0 {
			elsewhere++
			continue
		}
		x := o.History.Renewals[near]
		f.Fail("%s: %s, and the certificate of %s was renewed between %s and %s", r.Pod, l.text, x.Pod, x.After.Format(time.DateTime), x.Before.Format(time.DateTime))
	}
	if elsewhere > 0 {
		f.Saw(sourceQuery, r.Pod, "%d losses at other times, for other reasons than a renewal of its certificate: %s", elsewhere, some(texts(p.losses)))
	}
}

// nearby is how long before a renewal was noticed, or after, a loss may have to do with
// it: a few scrapes at the Operator's interval of 30 s.
const nearby = 2 * time.Minute

func overlap(l loss, x observe.Renewal) bool {
	return !l.to.Before(x.After.Add(-nearby)) && !l.from.After(x.Before.Add(nearby))
}

// assessThroughout judges a replica of which it is not known when its certificate was
// renewed. That nothing was lost for longer than a certificate lives proves enough; a
// loss may have any reason.
func assessThroughout(o *subject, r observe.Replica, p past, f *finding) {
	life, source := lifetime(o, replicaPod(o, r))
	span := o.History.To.Sub(p.oldest)
	switch {
	case len(p.losses) > 0:
		f.Unclear("%s lost scrapes, and when its certificate was renewed is not stored (no %s of its pod): %s", r.Pod, "istio_agent_cert_expiry_seconds", some(texts(p.losses)))
	case span < life:
		f.Unclear("%s has stored %s, and its certificate lives %s (%s): whether it was renewed in that time is not known", r.Pod, span.Round(time.Second), life, source)
	default:
		f.Saw(sourceQuery, r.Pod, "when its certificate was renewed is not stored; in %s, which is longer than one lives (%s, %s), no scrape was lost", span.Round(time.Second), life, source)
	}
}

func texts(losses []loss) []string {
	var all []string
	for _, l := range losses {
		all = append(all, l.text)
	}
	return all
}

// defaultLifetime is how long a certificate lives that nobody set otherwise: Istio's
// SECRET_TTL, security/pkg/nodeagent/cache.
const defaultLifetime = 24 * time.Hour

// lifetime is how long the certificates of a pod live, and who says so.
func lifetime(o *subject, pod *corev1.Pod) (time.Duration, string) {
	const variable = "SECRET_TTL"
	set := o.Mesh.ProxyMetadata[variable]
	if pod != nil {
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			for _, e := range c.Env {
				if e.Name == variable && e.Value != "" {
					set = e.Value
				}
			}
		}
	}
	if d, err := time.ParseDuration(strings.TrimSpace(set)); err == nil && d > 0 {
		return d, variable
	}
	return defaultLifetime, "Istio's default"
}
