// Package diagnosis explains failed checks: which setting is broken, what was
// seen, and what to change.
//
// A [Rule] recognises one kind of misconfiguration between the operator's
// selectors and the application's socket. It is a pure function of what was
// observed; [Diagnose] runs all of them and ranks what they find for each failed
// check. Certain is what the observation proves: a wrong setting together with
// the symptom that it causes. Everything else is likely or possible, and says
// what would prove it.
//
// The package never reads a cluster or a clock, never judges (a subject in order
// has no causes, whatever is asked) and never takes the text of an error for
// proof where the objects tell more.
//
// Read [Rule] first, then [Diagnose], then any file of rules such as policy.go.
package diagnosis

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Rule recognises one kind of misconfiguration. Each has a page in hints.
type Rule struct {
	Code  string // stable, kebab-case: added, never renamed
	Title string // what is wrong, in a sentence
	Layer Layer
	// Proof is where to look when the rule is not certain: it is what tells this
	// cause from the others that remain.
	Proof string
	// Hides names the rules that find mere consequences of this one. Where this
	// rule is certain, they say nothing about the same thing.
	Hides []string
	// Explain looks for the misconfiguration.
	Explain func(f *facts) []finding
}

// finding is one place at which a rule found what it looks for.
type finding struct {
	about      []string // what it concerns, by the names that facts.go makes
	seen       string
	change     string // object, field, value
	confidence reports.Confidence
	layer      Layer // where it makes itself felt, if not in the rule's
}

// Rules lists every rule, causes before their consequences.
func Rules() []Rule {
	return slices.Concat(operatorRules, podRules, controlPlaneRules, injectionRules, volumeRules, fileRules,
		[]Rule{rootReplaced}, certificateRules, monitorRules, serviceRules, discoveryRules, configurationRules, clientRules, versionRules,
		targetRules, policyRules, authorizationRules, protocolRules, captureRules, applicationRules, answerRules, rotationRules,
		outageRules, doorRules, []Rule{unexplained})
}

// Diagnose returns, for each check that did not pass, the causes that the
// observation shows, the best first. A check that nothing explains has no entry.
func Diagnose(o observe.Observation, failed []reports.Check) map[string][]reports.Cause {
	explained := map[string][]reports.Cause{}
	var found []ranked
	for _, c := range failed {
		if c.Verdict != reports.Fail && c.Verdict != reports.Inconclusive {
			continue
		}
		if found == nil {
			found = findAll(o)
		}
		for _, r := range found {
			if concerns(c.ID, r.felt()) {
				explained[c.ID] = append(explained[c.ID], r.cause())
			}
		}
	}
	return explained
}

// ranked is what a rule found, everything with the same remedy taken together.
type ranked struct {
	rule  Rule
	order int
	finding
	others []string // what else was seen that the same change cures
}

// felt is the layer in which a finding does harm.
func (r ranked) felt() Layer { return cmp.Or(r.layer, r.rule.Layer) }

func findAll(o observe.Observation) []ranked {
	f := newFacts(o)
	var all []ranked
	for i, r := range Rules() {
		for _, x := range r.Explain(f) {
			all = append(all, ranked{rule: r, order: i, finding: x})
		}
	}
	return rank(merge(dropConsequences(all)))
}

// dropConsequences removes what only follows from something certain, and the last
// resort where anything better is known.
func dropConsequences(all []ranked) []ranked {
	hidden := map[string]map[string]bool{} // code, then what is explained
	explained := map[string]bool{}
	for _, r := range all {
		if r.rule.Code != unexplained.Code && concerns("targets-up", r.felt()) {
			for _, a := range r.about {
				if r.confidence == reports.Certain || strings.HasPrefix(a, "target ") {
					explained[a] = true
				}
			}
		}
		if r.confidence != reports.Certain {
			continue
		}
		for _, code := range r.rule.Hides {
			if hidden[code] == nil {
				hidden[code] = map[string]bool{}
			}
			for _, a := range r.about {
				hidden[code][a] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(r ranked) bool {
		by := hidden[r.rule.Code]
		if r.rule.Code == unexplained.Code {
			by = explained
		}
		return slices.ContainsFunc(r.about, func(a string) bool { return by[a] })
	})
}

// merge takes findings with one remedy together: a Service with a hundred pods is
// one thing to repair.
func merge(all []ranked) []ranked {
	type key struct {
		code, change string
	}
	at := map[key]int{}
	var merged []ranked
	for _, r := range all {
		k := key{r.rule.Code, r.change}
		i, ok := at[k]
		if !ok {
			at[k] = len(merged)
			merged = append(merged, r)
			continue
		}
		m := &merged[i]
		if weight[r.confidence] < weight[m.confidence] {
			m.confidence = r.confidence
		}
		if r.seen != m.seen && !slices.Contains(m.others, r.seen) {
			m.others = append(m.others, r.seen)
		}
	}
	return merged
}

var weight = map[reports.Confidence]int{reports.Certain: 0, reports.Likely: 1, reports.Possible: 2}

func rank(all []ranked) []ranked {
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(weight[a.confidence], weight[b.confidence]), cmp.Compare(a.order, b.order),
			strings.Compare(a.change, b.change))
	})
	return all
}

// shown is how many places with one remedy are spelt out.
const shown = 2

func (r ranked) cause() reports.Cause {
	seen := r.seen
	for i, o := range r.others {
		if i+1 == shown {
			seen += fmt.Sprintf("; and %d more like it", len(r.others)-i)
			break
		}
		seen += "; " + o
	}
	if r.confidence != reports.Certain && r.rule.Proof != "" {
		seen += ". To tell it from other causes: " + r.rule.Proof
	}
	return reports.Cause{Code: r.rule.Code, Seen: seen, Change: r.change, Doc: docs + r.rule.Code + ".md", Confidence: r.confidence}
}

// Codes lists the codes of all rules, sorted.
func Codes() []string {
	codes := map[string]bool{}
	for _, r := range Rules() {
		codes[r.Code] = true
	}
	return slices.Sorted(maps.Keys(codes))
}
