package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// rootRotated is the change that a mesh makes once in years, and that nobody dares
// to rehearse on it: the new root is trusted beside the old one, then signs, then
// stands alone. In the end the old root must be worth nothing, or the change has
// brought nothing.
var rootRotated = Check{
	ID:       "root-rotated",
	Title:    "The mesh's root is replaced step by step without a missed scrape, and the old one opens no door",
	Profile:  ProfileRotation,
	Level:    reports.Extended,
	Disrupts: "the root of the mesh is replaced",
	Shared:   "root-rotated",
	Long:     "it takes half a minute",
	Reads:    reads(),
	Assess: func(o *subject, f *finding) {
		r := o.RootRotation
		if r == nil {
			f.Unclear("nobody replaced the root of the mesh")
			return
		}
		targets, ok := tlsTargets(o, f, ", so no root is used")
		if !ok {
			return
		}
		for _, replica := range o.Replicas {
			assessScrapes(o, replica, o.of(replica, targets), span{"the rotation of the root", r.From, r.To, r.Up}, f)
		}
		if r.Error != "" {
			stepFailed(r, f)
			return
		}
		for _, m := range r.Marks {
			f.Saw(sourceAPI, "the mesh", "%s: %s", m.At.Format(time.TimeOnly), m.Step)
		}
		for _, replica := range o.Replicas {
			assessRoots(r, replica, f)
		}
		for _, e := range targets {
			assessOldRoot(r, e, f)
		}
	},
}

// stepFailed tells a rotation that was not begun from one that did not get through.
func stepFailed(r *observe.RootRotation, f *finding) {
	if len(r.Marks) == 0 {
		f.Unclear("the root of the mesh could not be replaced: %s", r.Error)
		return
	}
	f.Fail("after the step %s the rotation of the root got stuck: %s", r.Marks[len(r.Marks)-1].Step, r.Error)
}

// assessRoots: the files of a replica went from the old root by way of both to the
// new one, and ended with a certificate that the new one vouches for.
func assessRoots(r *observe.RootRotation, replica observe.Replica, f *finding) {
	var seen []string
	var last observe.Certificate
	for _, s := range sightingsOf(r.Certs, replica.Pod) {
		last = s.Certificate
		if text := rootsText(r, last); len(seen) == 0 || seen[len(seen)-1] != text {
			seen = append(seen, text)
		}
	}
	switch {
	case len(seen) == 0:
		f.Unclear("the certificate of %s was not seen during the rotation of the root", replica.Pod)
	case !slices.Equal(last.Roots, []string{r.NewRoot}):
		f.Fail("in the end %s trusts %s, it should be the new root alone", replica.Pod, rootsText(r, last))
	case !last.ChainsTo:
		f.Fail("in the end the certificate of %s, signed by %s, does not chain to the new root", replica.Pod, last.Issuer)
	default:
		f.Saw(sourceFiles, replica.Pod, "root-cert.pem held %s; the certificate is now signed by %s", strings.Join(seen, ", then "), last.Issuer)
	}
}

func rootsText(r *observe.RootRotation, c observe.Certificate) string {
	var names []string
	for _, root := range c.Roots {
		switch {
		case root == r.NewRoot:
			names = append(names, "the new root")
		case slices.Contains(r.OldRoots, root):
			names = append(names, "the old root")
		default:
			names = append(names, "another root, "+root[:min(8, len(root))])
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " and ")
}

// assessOldRoot: a certificate of the old root was served before and is refused
// now, for its root, while the same workload's new one is served.
func assessOldRoot(r *observe.RootRotation, e observe.Expected, f *finding) {
	before, after, twin := answers(r.Before, e), answers(r.After, e), answers(r.Twin, e)
	switch {
	case before.served == 0:
		f.Unclear("before the rotation %s did not serve the certificate that was then kept (%s): that it is refused later shows nothing", podName(e), before)
	case after.served > 0:
		f.Fail("after the rotation %s still served a certificate of the old root (%s): the old root is still trusted", podName(e), after)
	case after.refused == 0:
		f.Unclear("nobody showed %s a certificate of the old root after the rotation", podName(e))
	case twin.served == 0:
		f.Fail("after the rotation %s did not serve a workload of the mesh with its new certificate (%s)", podName(e), twin)
	default:
		i := slices.IndexFunc(r.Proxies, func(p observe.Proxy) bool { return p.Pod == podName(e) })
		refusals := int64(0)
		if i >= 0 {
			refusals = r.Proxies[i].After["fail_verify_error"] - r.Proxies[i].Before["fail_verify_error"]
		}
		if refusals < int64(after.refused) {
			f.Unclear("%d requests to %s with the old root were refused, but its proxy gives the reason for %d only (ssl.fail_verify_error)", after.refused, podName(e), refusals)
			return
		}
		f.Saw(sourceCounter, podName(e), "a certificate of the old root: %s before, %s after (ssl.fail_verify_error rose by %d); the same workload with its new one: %s", before, after, refusals, twin)
	}
}

// tally is how requests fared.
type tally struct{ served, refused int }

func (t tally) String() string { return fmt.Sprintf("%d served, %d refused", t.served, t.refused) }

func answers(probes []observe.Probe, e observe.Expected) (t tally) {
	for _, p := range probes {
		if p.Pod != podName(e) || p.Port != e.Port || p.Path != e.Path {
			continue
		}
		for _, a := range p.Attempts {
			switch {
			case a.NotSent:
			case a.Answered && a.Code == 200:
				t.served++
			default:
				t.refused++
			}
		}
	}
	return t
}
