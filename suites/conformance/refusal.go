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
	who    string // the client, in words
	source string // of the proxy's word
	// client matches what the refused client may see. It only supports the verdict:
	// in TLS 1.3 the refusal reaches the client after it has begun to write, and
	// then what it reads is a matter of luck.
	client *regexp.Regexp
	// proxy tells how often the target's proxy refused for this very reason.
	proxy func(observe.Proxy) (times int, says string)
}

func (r refusal) assess(o *subject, f *finding) {
	targets, ok := tlsTargets(o, f, ", so there is nothing to refuse anybody at")
	if !ok {
		return
	}
	for _, e := range targets {
		r.assessTarget(o, e, f)
		assessTwin(o, e, f)
	}
}

func (r refusal) assessTarget(o *subject, e observe.Expected, f *finding) {
	name := podName(e)
	probe, ok := o.probe(r.kind, name, e.Port, e.Path)
	if !ok || len(probe.Attempts) == 0 {
		f.Unclear("nobody asked %s for its metrics as %s", name, r.who)
		return
	}
	refused := 0
	var seen []string
	for _, a := range probe.Attempts {
		switch {
		case a.NotSent:
			f.Unclear("%s could not ask %s: %s", probe.Via, name, a.Error)
		case a.Answered:
			f.Fail("%s answered %s with HTTP %d at %s: it is not refused; %s", name, r.who, a.Code, e.URL, modeOf(o, e))
			return
		case !r.client.MatchString(a.Error):
			f.Unclear("%s did not answer %s, but not as one who refuses: %q", name, r.who, a.Error)
		default:
			refused++
			if text := addresses.ReplaceAllString(a.Error, ""); !slices.Contains(seen, text) {
				seen = append(seen, text)
			}
		}
	}
	if refused == 0 {
		return
	}
	f.Saw(probe.Via, name, "%d of %d requests by %s were refused: %s", refused, len(probe.Attempts), r.who, strings.Join(seen, "; "))
	proxy, ok := o.proxy(name)
	if !ok {
		f.Unclear("the proxy of %s was not asked why it refused", name)
		return
	}
	times, says := r.proxy(proxy)
	if times < refused {
		f.Unclear("%d requests to %s by %s were refused, but its proxy gives the reason for %d only (%s)", refused, name, r.who, max(times, 0), says)
		return
	}
	f.Saw(r.source, name, "%s", says)
}

// addresses are left out of what clients saw: they differ from one try to the next.
var addresses = regexp.MustCompile(`(read|write) tcp [^ ]+: `)

// assessTwin makes sure that "refused" is not "broken for everybody": while the
// probes were refused, each replica scraped the same target with its certificate,
// and not one scrape failed.
func assessTwin(o *subject, e observe.Expected, f *finding) {
	for _, r := range o.scrapers(e) {
		if unread(o, "the up samples of "+r.Pod) {
			continue
		}
		targets := o.targetsOf(r)
		good := 0
		for _, s := range o.upOf(r).of(targets, e, seriesLabels) {
			for _, p := range s.Points {
				if p.Value != 1 {
					f.Fail("while %s was probed, the scrape of %s with its certificate failed as well, at %s", podName(e), r.Pod, p.At.Format("15:04:05.000"))
					return
				}
				good++
			}
		}
		if good == 0 {
			f.Unclear("while %s was probed, %s did not scrape it: the refusal has no twin that succeeded", podName(e), r.Pod)
			continue
		}
		f.Saw(sourceQuery, r.Pod, "the twin: %d scrapes of %s with the certificate succeeded beside the probes", good, podName(e))
	}
}

// refusalReads is what every refusal check needs to see.
var refusalReads = reads("targets by way of the API server", "the TLS counters ", "the access log ", "the up samples ")
