package conformance

import (
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// unmeshedStillScraped: no mesh has everything in it. The settings that let
// Prometheus into the mesh must not lock it out of the rest.
var unmeshedStillScraped = Check{
	ID:      "unmeshed-still-scraped",
	Title:   "Targets without a sidecar are scraped in plain text beside the meshed ones",
	Profile: ProfileScrape,
	Level:   reports.Core,
	Reads:   reads("the targets of "),
	Assess: func(o *subject, f *finding) {
		expected, _ := expect(o, f)
		if len(expected) == 0 {
			return
		}
		var plain []observe.Expected
		for _, e := range expected {
			switch {
			case e.Scheme != "http" || meshed(o, e):
			case e.Pod != "" && targetPod(o, e) == nil:
				f.Unclear("the pod %s was not seen, so it is open whether it has a sidecar", podName(e))
			default:
				plain = append(plain, e)
			}
		}
		if len(plain) == 0 {
			f.Skip("no selected monitor scrapes anything without a sidecar in plain text")
			return
		}
		wantReplicas(o, f)
		for _, r := range o.Replicas {
			if unread(o, "the targets of "+r.Pod) {
				continue
			}
			index := o.targetsOf(r)
			for _, e := range o.of(r, plain) {
				if len(index.find(e)) == 0 {
					f.Fail("%s does not scrape %s, which has no sidecar, at all%s", r.Pod, e.URL, poolHint(r, e.Pool+" "))
				}
				for _, t := range index.find(e) {
					assessUp(o, r, t, f)
				}
			}
		}
	},
}
