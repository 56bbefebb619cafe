package conformance

import (
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// sideDoorsKnown: "metrics are served over mTLS only" is not true of a usual
// installation, whatever the mode. The agent and the proxy have ports of their own
// that are never intercepted, and the guide itself opens Prometheus'. An owner
// must know; whether he minds is for him to say, hence [strictSideDoors].
var sideDoorsKnown = Check{
	ID:      "side-doors-known",
	Title:   "The ports that serve metrics without mTLS are known",
	Profile: ProfileRefusal,
	Level:   reports.Extended,
	Reads:   reads("targets by way of the API server"),
	Assess: func(o *subject, f *finding) {
		assessDoors(o, f, func(d door, probe observe.Probe, a observe.Attempt) {
			f.Saw(probe.Via, d.pod, "port %s (%s) serves at least %d bytes by plain HTTP, without mTLS, at %s", d.port, d.what, a.Bytes, probe.Path)
		})
	},
}
