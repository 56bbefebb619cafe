package conformance

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// keep writes the observation beside the report.
func (s *Session) keep(name string) error {
	return observe.Write(filepath.Join(s.run.OutDir(), "observations", name+".json"), s.observation)
}

// Repeat looks at the subject and judges it as often as was asked for: it is how a
// suite shows that it does not cry wolf. Each check comes out once, with its worst
// verdict. The observation of every round that was not all good is kept, and so is
// the last one.
func (s *Session) Repeat() ([]reports.Check, error) {
	var rounds [][]reports.Check
	before := len(s.run.Report.Phases)
	for n := 1; n <= s.run.Repeat; n++ {
		s.observation, s.failed = observe.Observation{}, nil
		s.run.Terminal.Note(fmt.Sprintf("round %d of %d", n, s.run.Repeat))
		var round []reports.Check
		for _, step := range s.steps() {
			for _, look := range step.looks {
				if err := look(); err != nil && s.run.Interrupted() {
					return aggregate(rounds), err
				}
			}
			for _, p := range s.judged(step.profiles...) {
				round = append(round, s.judge(p))
			}
		}
		rounds = append(rounds, round)
		if name := fmt.Sprintf("round-%02d", n); slices.ContainsFunc(round, notGood) || n == s.run.Repeat {
			if err := s.keep(name); err != nil {
				return aggregate(rounds), err
			}
		}
	}
	phases := slices.Clone(s.run.Report.Phases[before:])
	s.run.Report.Phases = append(s.run.Report.Phases[:before:before], summed(phases)...)
	s.run.Report.Repetitions = repetitions(rounds, phases)
	s.run.Terminal.Note(s.run.Report.Repetitions.String())
	return aggregate(rounds), nil
}

func notGood(c reports.Check) bool {
	return c.Verdict == reports.Fail || c.Verdict == reports.Inconclusive
}

// aggregate takes the rounds of each check together: the worst of its verdicts, and
// how often it came to each.
func aggregate(rounds [][]reports.Check) []reports.Check {
	rank := map[reports.Verdict]int{reports.Pass: 0, reports.Skip: 1, reports.Inconclusive: 2, reports.Fail: 3}
	var all []reports.Check
	for _, first := range rounds[:min(1, len(rounds))] {
		for i := range first {
			worst, times := first[i], map[reports.Verdict]int{}
			in := 1 // the round of the worst
			seconds := 0.0
			for n, round := range rounds {
				c := round[i]
				times[c.Verdict]++
				seconds += c.DurationSeconds
				if rank[c.Verdict] > rank[worst.Verdict] {
					worst, in = c, n+1
				}
			}
			if notGood(worst) {
				worst.Reason = fmt.Sprintf("in %d of %d rounds, first in round %d: %s", times[worst.Verdict], len(rounds), in, worst.Reason)
			}
			worst.DurationSeconds = seconds
			worst.Evidence = append([]reports.Evidence{{Source: "this run", Subject: fmt.Sprintf("%d rounds", len(rounds)), Text: tallied(times)}}, worst.Evidence...)
			all = append(all, worst)
		}
	}
	return all
}

func tallied(times map[reports.Verdict]int) string {
	var parts []string
	for _, v := range []reports.Verdict{reports.Pass, reports.Fail, reports.Inconclusive, reports.Skip} {
		if times[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", times[v], v))
		}
	}
	return strings.Join(parts, ", ")
}

// summed adds phases of one name up, in the order in which the names came.
func summed(phases []reports.Phase) []reports.Phase {
	var sums []reports.Phase
	for _, p := range phases {
		i := slices.IndexFunc(sums, func(s reports.Phase) bool { return s.Name == p.Name })
		if i < 0 {
			sums = append(sums, p)
			continue
		}
		sums[i].Seconds += p.Seconds
	}
	return sums
}

// repetitions are the figures of several rounds.
func repetitions(rounds [][]reports.Check, phases []reports.Phase) *reports.Repetitions {
	r := &reports.Repetitions{Rounds: len(rounds)}
	for _, round := range rounds {
		switch {
		case slices.ContainsFunc(round, func(c reports.Check) bool { return c.Verdict == reports.Fail }):
			r.Failed++
		case slices.ContainsFunc(round, notGood):
			r.Inconclusive++
		}
	}
	r.Low, r.High = wilson(r.Failed+r.Inconclusive, r.Rounds)
	seconds := map[string][]float64{}
	var names []string
	for _, p := range phases {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
		seconds[p.Name] = append(seconds[p.Name], p.Seconds)
	}
	for _, name := range names {
		mean, half := meanOf(seconds[name])
		r.Phases = append(r.Phases, reports.PhaseStatistic{Name: name, MeanSeconds: mean, HalfWidthSeconds: half})
	}
	slices.SortStableFunc(r.Phases, func(a, b reports.PhaseStatistic) int { return cmp.Compare(b.MeanSeconds, a.MeanSeconds) })
	return r
}

// z is the quantile of the normal distribution for an interval of 95 %.
const z = 1.96

// wilson is the interval in which, at 95 %, the share lies of which k of n were
// seen. Unlike the usual one it says something also where k is 0
// (Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference).
func wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m)) / (1 + z*z/m)
	return max(0, middle-half), min(1, middle+half)
}

// meanOf is the mean, and half of the interval in which it lies at 95 %.
func meanOf(values []float64) (mean, half float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	if len(values) < 2 {
		return mean, 0
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return mean, z * math.Sqrt(squares/(n-1)/n)
}
