package reports

import (
	"cmp"
	"slices"
	"strings"
)

// changeOf compares two verdicts of a check that both reports have.
func changeOf(before, after Verdict) Change {
	switch {
	case before == after:
		return Unchanged
	case after == Pass:
		return Better
	case after == Fail, before == Pass, before == Skip:
		return Worse
	}
	return Changed
}

func checkChanges(before, after Report) []CheckChange {
	changes := []CheckChange{}
	// A check that is listed twice contradicts its report; its last result is taken.
	earlier := map[string]Check{}
	for _, c := range before.Checks {
		earlier[c.ID] = c
	}
	seen := map[string]bool{}
	for _, c := range after.Checks {
		k := CheckChange{
			ID: c.ID, Profile: c.Profile, Change: Appeared, After: c.outcome(), Reason: c.Reason, Counts: c.Level.Gates(),
			AfterSeconds: number(c.DurationSeconds),
		}
		if b, ok := earlier[c.ID]; ok {
			k.Before, k.BeforeSeconds = b.outcome(), number(b.DurationSeconds)
			k.Change = changeOf(k.Before, k.After)
			// A check that was made provisional in between still lost what it proved.
			k.Counts = k.Counts || b.Level.Gates()
		}
		seen[c.ID] = true
		changes = append(changes, k)
	}
	for _, b := range before.Checks {
		if !seen[b.ID] {
			changes = append(changes, CheckChange{
				ID: b.ID, Profile: b.Profile, Change: Vanished, Before: b.outcome(), Reason: b.Reason, Counts: b.Level.Gates(),
				BeforeSeconds: number(b.DurationSeconds),
			})
		}
	}
	return changes
}

func side(r Report) Side {
	s := Side{RunID: r.RunID, StartedAt: utc(r.StartedAt), Verdict: r.Verdict, ExitCode: r.ExitCode, Suite: r.Suite, Unexcused: unexcused(r)}
	if d := r.EndedAt.Sub(r.StartedAt); d > 0 {
		s.Seconds = d.Seconds()
	}
	for _, t := range lanes(r) {
		s.LostScrapes += t.missed()
	}
	return s
}

func subjectChanges(before, after Report) []FieldChange {
	changes := []FieldChange{}
	b, a := before.Subject.fields(), after.Subject.fields()
	b = append(b, field{"suite", "Suite", strings.TrimSpace(before.Suite.Version + " " + before.Suite.Commit)})
	a = append(a, field{"suite", "Suite", strings.TrimSpace(after.Suite.Version + " " + after.Suite.Commit)})
	for i := range b {
		if b[i].Value != a[i].Value {
			changes = append(changes, FieldChange{b[i].Label, b[i].Value, a[i].Value})
		}
	}
	return changes
}

// phaseChanges adds up what a report has several times, as a phase that runs again.
func phaseChanges(before, after Report) []PhaseChange {
	changes := []PhaseChange{}
	at := map[string]int{}
	add := func(phases []Phase, seconds func(*PhaseChange) *float64) {
		for _, p := range phases {
			i, ok := at[p.Name]
			if !ok {
				i = len(changes)
				at[p.Name] = i
				changes = append(changes, PhaseChange{Name: p.Name})
			}
			*seconds(&changes[i]) += number(p.Seconds)
		}
	}
	add(after.Phases, func(c *PhaseChange) *float64 { return &c.AfterSeconds })
	add(before.Phases, func(c *PhaseChange) *float64 { return &c.BeforeSeconds })
	return changes
}

func lostChanges(before, after Report) []LostChange {
	sums := map[string]*LostChange{}
	add := func(r Report, n func(*LostChange) *int) {
		for _, t := range lanes(r) {
			m := t.missed()
			if m == 0 {
				continue
			}
			if sums[t.Subject] == nil {
				sums[t.Subject] = &LostChange{Subject: t.Subject}
			}
			*n(sums[t.Subject]) += m
		}
	}
	add(before, func(c *LostChange) *int { return &c.Before })
	add(after, func(c *LostChange) *int { return &c.After })
	changes := make([]LostChange, 0, len(sums))
	for _, c := range sums {
		changes = append(changes, *c)
	}
	slices.SortFunc(changes, func(a, b LostChange) int { return cmp.Compare(a.Subject, b.Subject) })
	return changes
}

// unexcused counts the missed scrapes of a report that are covered by the bound of no
// check that passed.
func unexcused(r Report) int {
	passed := map[string]bool{}
	for _, c := range r.Checks {
		passed[c.ID] = c.outcome() == Pass
	}
	n := 0
	for _, t := range lanes(r) {
		for _, p := range t.Points {
			if !p.OK && !passed[p.ExcusedBy] {
				n++
			}
		}
	}
	return n
}
