package foreign

import "github.com/seed-140c7b37/mtls-scrape-conformance/reports"

// What takes more than reading is proven in a namespace of our own: of a good mesh, all
// of it must hold there.
var sandboxJudgesRight = Check{
	ID:    "sandbox-judges-right",
	Title: "In a namespace of its own, the guide's set-up is judged conformant, refusals included, and nothing is left",
	Assess: func(r Record, f *reports.Assessment) {
		for _, t := range r.Sandbox {
			if t.ExitCode != int(reports.ExitConformant) {
				f.Fail("the exit code is %d, not 0: %s", t.ExitCode, t.said())
			}
			passed := map[string]int{}
			for _, c := range t.Report.Checks {
				switch c.Verdict {
				case reports.Pass:
					passed[c.Profile]++
				case reports.Skip:
				default:
					f.Fail("%s is %q: %s", c.ID, c.Verdict, c.Reason)
				}
			}
			for _, profile := range []string{"setup", "scrape", "refusal", "rotation"} {
				if passed[profile] == 0 {
					f.Fail("no check of the profile %s passed", profile)
				}
			}
			f.Saw(sourceReport, t.Prometheus, "%s; %d passed", t.note(), passed["setup"]+passed["scrape"]+passed["refusal"]+passed["rotation"])
		}
	},
}
