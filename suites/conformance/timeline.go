package conformance

import (
	"fmt"
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Timeline tells what happened during a run, in order: certificates by serial,
// disruptions and their steps, and every scrape that failed.
func Timeline(o observe.Observation) []reports.Event {
	var events []reports.Event
	if w := o.Watch; w != nil {
		for _, s := range w.Certs {
			events = append(events,
				reports.Event{At: s.At, Kind: reports.CertificateStart, Subject: s.Pod, Text: "serial " + s.Certificate.Serial + " is in the file"},
				reports.Event{At: s.Certificate.NotAfter, Kind: reports.CertificateEnd, Subject: s.Pod, Text: "serial " + s.Certificate.Serial + " ends"},
			)
		}
		events = append(events, missedScrapes(w.Up)...)
	}
	if v := o.WithoutCA; v != nil {
		events = append(events, steps(v.Job, withoutCATitle, v.Marks)...)
	}
	if r := o.RootRotation; r != nil {
		for _, m := range r.Marks {
			events = append(events, reports.Event{At: m.At, Kind: reports.Note, Subject: RootRotation, Text: m.Step})
		}
		events = append(events, missedScrapes(r.Up)...)
	}
	if a := o.Admission; a != nil {
		events = append(events, steps(OnlyPrometheus, onlyPrometheusTitle, a.Marks)...)
	}
	for _, e := range o.Episodes {
		events = append(events, steps(e.Disruption, e.Title, e.Marks)...)
		events = append(events, missedScrapes(e.Up)...)
	}
	slices.SortStableFunc(events, func(a, b reports.Event) int { return a.At.Compare(b.At) })
	return events
}

// steps are those of a disruption.
func steps(name, title string, marks []observe.Mark) []reports.Event {
	var events []reports.Event
	for _, m := range marks {
		kind := reports.Note
		switch m.Step {
		case disrupt.Begins:
			kind = reports.DisruptionStart
		case disrupt.Undone:
			kind = reports.DisruptionEnd
		}
		events = append(events, reports.Event{At: m.At, Kind: kind, Subject: name, Text: title + ": " + m.Step})
	}
	return events
}

func missedScrapes(up []observe.ReplicaUp) []reports.Event {
	var events []reports.Event
	for _, u := range up {
		for _, s := range u.Series {
			for _, p := range s.Points {
				if p.Value != 1 {
					events = append(events, reports.Event{At: p.At, Kind: reports.ScrapeMissed, Subject: u.Pod, Text: fmt.Sprintf("the scrape of %s failed", s.Labels["pod"])})
				}
			}
		}
	}
	return events
}
