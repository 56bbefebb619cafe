package foreign

import (
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
)

// A role that grants too much is a risk, and a run that passes without having seen is a
// lie. So each rule of the role is withheld once.
var attachNeedsEachRule = Check{
	ID:    "attach-needs-each-rule",
	Title: "Without any one rule of its role, a guest's checks that need it are inconclusive and name it, and the others are as before",
	Assess: func(r Record, f *reports.Assessment) {
		if len(r.Attached) == 0 {
			return
		}
		whole := map[string]reports.Check{}
		for _, c := range r.Attached[0].Report.Checks {
			whole[c.ID] = c
		}
		for _, t := range r.Without {
			needed := conformance.NeededBy(t.Without)
			open := 0
			for _, c := range t.Report.Checks {
				switch {
				case whole[c.ID].Verdict == reports.Skip && c.Verdict == reports.Skip:
				case !needed[c.ID]:
					if c.Verdict != whole[c.ID].Verdict {
						f.Fail("without %s, %s is %q and was %q, though it does not need it: %s", t.Without, c.ID, c.Verdict, whole[c.ID].Verdict, c.Reason)
					}
				case c.Verdict != reports.Inconclusive || !strings.Contains(c.Reason, "the missing rule: "+t.Without.String()):
					f.Fail("without %s, %s is %q and does not name the rule: %s", t.Without, c.ID, c.Verdict, c.Reason)
				default:
					open++
				}
			}
			if len(t.Report.Checks) == 0 && !told(t) {
				f.Fail("without %s, no check was judged, and what was said does not name the rule: %s", t.Without, t.Said)
			}
			f.Saw(sourceReport, t.Without.String(), "exit code %d, %d checks inconclusive", t.ExitCode, open)
		}
		if n := len(observe.Rules()); len(r.Without) != n {
			f.Fail("%d of %d rules were withheld", len(r.Without), n)
		}
	},
}

// told reports whether a run that came to no verdict names the rule that it lacks.
func told(t Trial) bool {
	said := t.Said
	if t.Report.Error != nil {
		said += t.Report.Error.Message
	}
	return strings.Contains(said, t.Without.Resource)
}
