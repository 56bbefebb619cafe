package upgrade

import (
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
)

// timeline tells of every step, its certificates and its missed scrapes, in order. The
// name of a step has its stage before it.
func timeline(r Record) []reports.Event {
	var events []reports.Event
	for _, s := range r.Steps {
		events = append(events, conformance.Timeline(s.staged())...)
	}
	slices.SortStableFunc(events, func(a, b reports.Event) int { return a.At.Compare(b.At) })
	return events
}

// tracks are what a plot shows of a record: the lanes of all steps, one below the other.
func tracks(r Record) []reports.Track {
	var all []reports.Track
	for _, s := range r.Steps {
		bound := conformance.PodsReplaced(r.Check, Profile, s.String(), regenerates(s.Step))
		if r.Check == upgradeWatched.ID {
			bound = upgradeWatched
		}
		all = merge(all, conformance.Tracks(s.staged(), bound))
	}
	return all
}

// staged is the observation of a step with its whole name, by which a reader knows on
// which way it was.
func (s Step) staged() observe.Observation {
	o := s.Observation
	o.Episodes = slices.Clone(o.Episodes)
	for i := range o.Episodes {
		o.Episodes[i].Disruption = s.String()
	}
	return o
}

// merge puts what belongs to the same lane into one.
func merge(lanes, more []reports.Track) []reports.Track {
	for _, t := range more {
		i := slices.IndexFunc(lanes, func(x reports.Track) bool { return x.Subject == t.Subject })
		if i < 0 {
			lanes = append(lanes, t)
			continue
		}
		l := &lanes[i]
		l.Bars = append(l.Bars, t.Bars...)
		l.Points = append(l.Points, t.Points...)
		slices.SortStableFunc(l.Bars, func(a, b reports.Bar) int { return a.From.Compare(b.From) })
		slices.SortStableFunc(l.Points, func(a, b reports.Point) int { return a.At.Compare(b.At) })
		l.Points = slices.Compact(l.Points) // spans that overlap hold a sample twice
	}
	return lanes
}
