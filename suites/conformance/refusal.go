package conformance

import (
	"regexp"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// refusal is what the refusal checks have in common: a client that must be
// refused, for one reason, by the target's proxy, while the twin with the right
// certificate is served.
type refusal struct {
	kind   string // of the probe
	source string // of the proxy's word
	// client matches what the refused client may see. It only supports the verdict:
	// in TLS 1.3 the refusal reaches the client after it has begun to write, and
	// then what it reads is a matter of luck.
	client *regexp.Regexp
	// proxy tells how often the target's proxy refused for this very reason.
	proxy func(observe.Proxy) (times int, says string)
}

func (r refusal) assess(o observe.Observation, f *finding) {
	meshed := 0
	for _, e := range observe.ExpectedTargets(o) {
		if e.Scheme != "https" || e.Pod == "" {
			continue
		}
		meshed++
		r.assessTarget(o, e, f)
		assessTwin(o, e, f)
	}
	if meshed == 0 {
		f.unclear("no target is expected to be scraped over TLS, so there is nothing to refuse anybody at")
	}
}

func (r refusal) assessTarget(o observe.Observation, e observe.Expected, f *finding) {
	name := e.Namespace + "/" + e.Pod
	i := slices.IndexFunc(o.Probes, func(p observe.Probe) bool {
		return p.Kind == r.kind && p.Pod == name && p.Port == e.Port && p.Path == e.Path
	})
	if i < 0 {
		f.unclear("%s was not probed", name)
		return
	}
	probe := o.Probes[i]
	var seen []string
	for _, a := range probe.Attempts {
		switch {
		case a.NotSent:
			f.unclear("%s could not ask %s: %s", probe.Via, name, a.Error)
		case a.Answered:
			f.fail("%s answered %s with HTTP %d at %s: it is not refused", name, r.kind, a.Code, e.URL)
		case !r.client.MatchString(a.Error):
			f.unclear("%s did not answer, but not as one who refuses: %s", name, a.Error)
		default:
			if text := addresses.ReplaceAllString(a.Error, ""); !slices.Contains(seen, text) {
				seen = append(seen, text)
			}
		}
	}
	if len(seen) == 0 {
		return
	}
	f.saw(probe.Via, name, "%d requests without a certificate were refused: %s", len(probe.Attempts), strings.Join(seen, "; "))
	j := slices.IndexFunc(o.Proxies, func(p observe.Proxy) bool { return p.Pod == name })
	if j < 0 {
		f.unclear("the proxy of %s was not asked why it refused", name)
		return
	}
	times, says := r.proxy(o.Proxies[j])
	if times < len(probe.Attempts) {
		f.unclear("%d requests to %s were refused, but its proxy gives the reason for %d only (%s)", len(probe.Attempts), name, times, says)
		return
	}
	f.saw(r.source, name, "%s", says)
}

// addresses are left out of what clients saw: they differ from one try to the next.
var addresses = regexp.MustCompile(`(read|write) tcp [^ ]+: `)

// assessTwin makes sure that "refused" is not "broken for everybody": while the
// probes were refused, each replica scraped the same target with its certificate,
// and not one scrape failed.
func assessTwin(o observe.Observation, e observe.Expected, f *finding) {
	for _, r := range o.Replicas {
		good := 0
		for _, s := range r.Up {
			if s.Labels["namespace"] != e.Namespace || s.Labels["pod"] != e.Pod || s.Labels["instance"] != e.Address {
				continue
			}
			for _, p := range s.Points {
				if p.Value != 1 {
					f.fail("while %s/%s was probed, the scrape of %s with its certificate failed as well, at %s", e.Namespace, e.Pod, r.Pod, p.At.Format("15:04:05.000"))
					return
				}
				good++
			}
		}
		if good == 0 {
			f.unclear("while %s/%s was probed, %s did not scrape it: the refusal has no twin that succeeded", e.Namespace, e.Pod, r.Pod)
			continue
		}
		f.saw(sourceQuery, r.Pod, "the twin: %d scrapes of %s/%s with the certificate succeeded beside the probes", good, e.Namespace, e.Pod)
	}
}

// refusalReads is what every refusal check needs to see.
var refusalReads = []string{"the Prometheus ", "service monitors", "services", "endpoint slices", "pods", "namespaces", "targets by way of ", "the TLS counters ", "the access log ", "the up samples "}
