package upgrade

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// upgradeCanary sets a second control plane beside the first, and moves a revision tag
// that the namespace follows. Both sign with the same CA, so that it makes no
// difference which of them a proxy belongs to. The old one goes only when nothing uses
// it any more; until then the way back is to move the tag.
var upgradeCanary = Check{
	ID:     "upgrade-canary",
	Way:    "canary",
	Title:  "The mesh is upgraded by a second revision, rolled back and upgraded again, the old one is removed, and every scrape goes on at each step",
	Level:  reports.Core,
	Begins: meshBegins,
	Assess: func(r Record, f *finding) {
		f.pairs(r, Forward, Back)
		f.arrives(r, Forward, r.To)
		f.arrives(r, Back, r.From)
		f.arrives(r, Final, r.To)
		f.alone(r, Final, r.To)
	},
}
