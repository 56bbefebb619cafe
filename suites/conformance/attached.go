package conformance

import (
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// asked are those of the targets that were asked themselves. Of a subject that is not
// ours these are some of every monitor: it is read for a moment, and ten thousand pods
// are not asked each.
func asked(o *subject, targets []observe.Expected, f *finding) []observe.Expected {
	if o.Attached == nil {
		return targets
	}
	var some []observe.Expected
	for _, e := range targets {
		if o.asks(podName(e)) {
			some = append(some, e)
		}
	}
	switch {
	case len(targets) > 0 && len(some) == 0:
		f.Unclear("none of the %d targets was asked itself", len(targets))
	case len(some) < len(targets):
		f.Saw("this check", "what was asked", "%d of %d targets, at even distances in the order of their monitors", len(some), len(targets))
	}
	return some
}

// asks reports whether a pod, "namespace/name", was asked itself.
func (o *subject) asks(pod string) bool {
	if o.inquired == nil {
		o.inquired = map[string]bool{}
		for _, name := range o.Attached.Asked {
			o.inquired[name] = true
		}
	}
	return o.inquired[pod]
}

// assessServed goes by what a target's sidecar counts of whom it served, which needs
// no log and no certificate: the sidecar has verified whose name it counts under. It
// does not tell replicas apart, which have one name. It reports whether it is enough.
func assessServed(o *subject, r observe.Replica, e observe.Expected, proxy observe.Proxy, f *finding) bool {
	identity := observe.IdentityOf(o.Observation, replicaPod(o, r))
	i := slices.IndexFunc(proxy.Served, func(s observe.Served) bool { return s.TLS && s.Count > 0 && s.Peer == identity })
	if identity == "" || i < 0 {
		return false
	}
	f.Saw(sourceTelemetry, podName(e), "between two looks it served %s over mutual TLS, by its verified name: the counter grew by %.0f", identity, proxy.Served[i].Count)
	return true
}

// assessStored judges what the replicas of a subject have stored that is not ours:
// whatever the applications serve, each scrape's number of samples is there. Where a
// target was asked itself, the start of its process tells whose values they are.
func assessStored(o *subject, f *finding) {
	expected, _ := o.expect()
	compared, all := 0, 0
	for _, r := range o.Replicas {
		if unread(o, "the numbers of samples at "+r.Pod) || unread(o, "process start times at "+r.Pod) {
			continue
		}
		targets := o.targetsOf(r)
		scraped, starts := indexSeries(r.Scraped, sampleLabels), indexSeries(r.StartTimes, sampleLabels)
		for _, e := range o.of(r, expected) {
			assessScraped(o, r, e, targets, scraped.of(targets, e, sampleLabels), f)
			if e.Scheme != "https" || e.Pod == "" || !o.asks(podName(e)) {
				continue
			}
			all++
			if stored := starts.of(targets, e, sampleLabels); len(stored) > 0 && len(o.startTimes(podName(e))) > 0 {
				compared++
				assessOrigin(o, r, e, stored, len(targets.find(e)), f)
			}
		}
	}
	switch {
	case compared > 0 || all == 0:
	case !o.May(cluster.PortForward):
		f.withheld(cluster.PortForward, "whose values Prometheus stored was not compared with the applications' own: none of those asked has its metrics merged into its sidecar's")
	default:
		f.Unclear("whose values Prometheus stored was not compared: none of the applications asked gives process_start_time_seconds, both to Prometheus and behind its proxy")
	}
}

// assessScraped judges the number of samples that the last scrape of a target left.
func assessScraped(o *subject, r observe.Replica, e observe.Expected, targets targetIndex, own []observe.Sample, f *finding) {
	interval := targets.interval(e)
	switch {
	case len(own) == 0:
		f.Fail("%s has stored nothing of %s", r.Pod, podName(e))
	case interval <= 0:
		f.Unclear("%s does not say how often it has to scrape %s", r.Pod, podName(e))
	case o.At.Sub(own[0].At) > 2*interval:
		f.Fail("%s: what it stored of %s was scraped %s before it was asked for", r.Pod, podName(e), o.At.Sub(own[0].At))
	case own[0].Value == 0:
		f.Unclear("the last scrape of %s by %s left no sample", podName(e), r.Pod)
	default:
		f.Saw(sourceQuery, r.Pod, "the last scrape of %s left %.0f samples", podName(e), own[0].Value)
	}
}

// NeededBy are the checks that need what a rule gives, by their IDs.
func NeededBy(r observe.Rule) map[string]bool {
	needed := map[string]bool{}
	for _, c := range Catalogue() {
		for _, what := range c.Reads {
			for _, given := range r.Gives {
				if strings.HasPrefix(given, what) {
					needed[c.ID] = true
				}
			}
		}
	}
	return needed
}
