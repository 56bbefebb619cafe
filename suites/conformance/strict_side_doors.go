package conformance

import (
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// strictSideDoors is for owners who want no metrics without mTLS anywhere. The
// guide's own set-up does not hold it, so it runs only when it is asked for.
var strictSideDoors = Check{
	ID:       "strict-side-doors",
	Title:    "No port serves metrics without mTLS",
	Profile:  ProfileRefusal,
	Level:    reports.Provisional,
	Optional: true,
	Reads:    reads("targets by way of the API server"),
	Assess: func(o *subject, f *finding) {
		assessDoors(o, f, func(d door, probe observe.Probe, a observe.Attempt) {
			f.Fail("port %s of %s (%s) serves at least %d bytes by plain HTTP, without mTLS, at %s", d.port, d.pod, d.what, a.Bytes, probe.Path)
		})
	},
}
