package reports

import (
	"maps"
	"slices"
	"strings"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// contradictions tells each violation that [Report.Validate] finds as a finding.
func (f *findings) contradictions(r Report) {
	err := r.Validate()
	if err == nil {
		return
	}
	_, list, _ := strings.Cut(err.Error(), "\n")
	for line := range strings.SplitSeq(list, "\n") {
		f.add("contradiction", "the report contradicts itself: %s", line)
	}
}

// compareStatement holds the statement against the report: what it says of the run,
// and where each check stands.
func (f *findings) compareStatement(r Report, said *testresult.TestResult) {
	want := resultOf(r, "")
	if said.GetResult() != want.GetResult() {
		f.add("result", "the statement says that the run %s, the report that it %s", said.GetResult(), want.GetResult())
	}
	for _, l := range []struct {
		name       string
		said, want []string
	}{
		{"passed", said.GetPassedTests(), want.GetPassedTests()},
		{"gave warnings", said.GetWarnedTests(), want.GetWarnedTests()},
		{"failed", said.GetFailedTests(), want.GetFailedTests()},
	} {
		for _, id := range l.said {
			if !slices.Contains(l.want, id) {
				f.add("listed", "the statement says that %s %s, the report does not", id, l.name)
			}
		}
		for _, id := range l.want {
			if !slices.Contains(l.said, id) {
				f.add("unlisted", "the report says that %s %s, the statement does not", id, l.name)
			}
		}
		if n := len(l.said); n != len(l.want) && slices.Equal(unique(l.said), unique(l.want)) {
			f.add("listed-twice", "the statement lists %d checks that %s, the report %d", n, l.name, len(l.want))
		}
	}
	f.compareFacts(r, said)
}

func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// compareFacts compares what the statement says of the run, the suite and the subject
// with the report.
func (f *findings) compareFacts(r Report, said *testresult.TestResult) {
	groups := map[string]map[string]string{}
	for _, d := range said.GetConfiguration() {
		if groups[d.GetName()] != nil {
			f.add("fact-twice", "the statement describes the %s twice", d.GetName())
		}
		groups[d.GetName()] = annotations(d)
	}
	r.Conclude()
	for _, g := range factsOf(r, "") {
		if g.name == "attestation" {
			continue // it is about the envelope and not about the report
		}
		got := groups[g.name]
		for _, name := range slices.Sorted(maps.Keys(merged(got, g.values))) {
			if a, b := got[name], valid(g.values[name]); a != b {
				f.add("fact", "the statement says of the %s that %s is %q, the report says %q", g.name, name, a, b)
			}
		}
	}
}

func annotations(d *intoto.ResourceDescriptor) map[string]string {
	values := map[string]string{}
	for name, v := range d.GetAnnotations().GetFields() {
		values[name] = v.GetStringValue()
	}
	return values
}

// compareSigner holds what the statement says of its signature against the envelope.
// It finds a signature that was taken away also where nobody has a key to verify one.
func (f *findings) compareSigner(signatures []dsse.Signature, said *testresult.TestResult) {
	by := ""
	for _, d := range said.GetConfiguration() {
		if d.GetName() == "attestation" {
			by = annotations(d)["signedBy"]
		}
	}
	switch {
	case by != "" && len(signatures) == 0:
		f.add("signature-stripped", "the statement was signed with the key %s, and the signature was taken away", short(19, by))
	case by == "" && len(signatures) > 0:
		f.add("signature-added", "the statement was made without a key, and a signature was added to it")
	case len(signatures) == 1 && signatures[0].KeyID != by:
		f.add("signer", "the statement was made for the key %s and is signed with %s", short(19, by), short(19, signatures[0].KeyID))
	}
}

func merged(a, b map[string]string) map[string]string {
	m := maps.Clone(b)
	maps.Copy(m, a)
	return m
}

// compareJudged holds each result against what the observations give when they are
// judged again, and returns how many were. The causes are not compared: they advise,
// and a later suite may know better.
func (v Verifier) compareJudged(r Report, judged map[string][]Check, f *findings) int {
	n := 0
	sameSuite := v.Suite == Suite{} || v.Suite == r.Suite
	for _, c := range r.Checks {
		again := judged[c.ID]
		if len(again) == 0 {
			if c.Verdict == Pass || len(judged) > 0 {
				f.add("unjudged", "check %s cannot be judged again: no observation has anything to say of it", c.ID)
			}
			continue
		}
		n++
		best := result(r, c, again)
		switch {
		case f.differs(c, best), c.Verdict != best.Verdict, r.Repetitions != nil, sameWords(c, best):
		case !sameSuite:
			f.note("check %s is worded differently by this suite than by the one that judged it, %s", c.ID, oneLine(r.Suite.Version))
		case c.Verdict == Inconclusive:
			// What could not be observed is not in the observation, and nothing is claimed.
			f.note("check %s could not be judged for another reason than the observation shows", c.ID)
		default:
			f.rewritten(c, best)
		}
	}
	if r.Repetitions != nil {
		f.note("the report is of %s, of which the bad ones and the last are kept: their verdicts were compared, not their words", count(r.Repetitions.Rounds, "round"))
	}
	if n == 0 && slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Verdict == Pass || c.Verdict == Fail }) {
		f.add("observation-none", "there is no observation to judge again: the report has nothing but its own word")
	}
	return n
}

// result is what several observations give together for a check. One in which it fails
// counts whatever others say; so does one in which it cannot be judged, if they are
// rounds of the same thing. Else the check was judged by the one that agrees, since
// not every observation holds what every check needs.
func result(r Report, c Check, again []Check) Check {
	counts := []Verdict{Fail}
	if r.Repetitions != nil {
		counts = append(counts, Inconclusive)
	}
	for _, verdict := range counts {
		for _, a := range again {
			if a.Verdict == verdict && c.Verdict != verdict {
				return a
			}
		}
	}
	best := again[0]
	for _, a := range again {
		switch {
		case a.Verdict == c.Verdict && sameWords(c, a):
			return a
		case a.Verdict == c.Verdict && best.Verdict != c.Verdict:
			best = a
		}
	}
	return best
}

// differs tells what no version of a suite may differ in.
func (f *findings) differs(c, again Check) bool {
	before := len(f.list)
	switch {
	case c.Verdict == again.Verdict:
	case c.Verdict == Skip && again.Verdict != Fail:
		// A check that was left out claims nothing, and hides nothing here. Whether its
		// profile can be claimed without it is told with the claims.
		f.note("check %s was skipped (%s); the observation, judged again, says %s", c.ID, firstLine(c.Reason), again.Verdict)
	default:
		why := ""
		if again.Reason != "" {
			why = ": " + firstLine(again.Reason)
		}
		f.add("verdict", "check %s: the report says %s, but the observation, judged again, says %s%s", c.ID, c.Verdict, again.Verdict, why)
	}
	if c.Profile != again.Profile {
		f.add("check-profile", "check %s belongs to the profile %s, the report has it in %q", c.ID, again.Profile, c.Profile)
	}
	if c.Level != again.Level {
		f.add("check-level", "check %s is %s, the report says %q", c.ID, again.Level, c.Level)
	}
	return len(f.list) > before
}

func sameWords(c, again Check) bool {
	return c.Title == again.Title && c.Reason == again.Reason && slices.Equal(c.Evidence, again.Evidence)
}

// rewritten tells what was edited of a check whose verdict is right.
func (f *findings) rewritten(c, again Check) {
	if c.Title != again.Title {
		f.add("check-title", "check %s: the report says that something else must hold than the suite does", c.ID)
	}
	if c.Reason != again.Reason {
		f.add("reason", "check %s: the reason in the report is not the one that the observation gives", c.ID)
	}
	if !slices.Equal(c.Evidence, again.Evidence) {
		f.add("evidence", "check %s: the evidence in the report is not what was observed: the observation is another one, or the report was edited", c.ID)
	}
}
