package upgrade

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// upgradeInPlace replaces the control plane that there is. From then on, pods get the
// new proxy as they are made anew, in whatever order; so every pair of old and new
// proxy must get along, and again on the way back, where newer proxies are served by
// an older control plane.
var upgradeInPlace = Check{
	ID:     "upgrade-in-place",
	Way:    "in-place",
	Title:  "The mesh is upgraded in place and rolled back, and every scrape goes on at each step",
	Level:  reports.Core,
	Begins: meshBegins,
	Assess: func(r Record, f *finding) {
		f.pairs(r, Forward, Back)
		f.arrives(r, Forward, r.To)
		f.arrives(r, Back, r.From)
		f.alone(r, Forward, r.To)
		f.alone(r, Back, r.From)
	},
}
