package conformance

import (
	"fmt"
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Timeline tells what happened during a run, in order: certificates by serial,
// disruptions, and every scrape that failed.
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
	for _, e := range o.Episodes {
		for _, m := range e.Marks {
			kind := reports.Note
			switch m.Step {
			case "begins":
				kind = reports.DisruptionStart
			case "undone":
				kind = reports.DisruptionEnd
			}
			events = append(events, reports.Event{At: m.At, Kind: kind, Subject: e.Disruption, Text: e.Title + ": " + m.Step})
		}
		events = append(events, missedScrapes(e.Up)...)
	}
	slices.SortStableFunc(events, func(a, b reports.Event) int { return a.At.Compare(b.At) })
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
