package conformance

import (
	"maps"
	"slices"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Tracks are what a plot of the run shows: the certificates of each replica and of
// each target, every disruption, and every scrape as a point. What excuses a missed
// one is a check of the catalogue, or one of others that the run has.
func Tracks(o observe.Observation, others ...Check) []reports.Track {
	b := tracks{lanes: map[string]*reports.Track{}, checks: append(Catalogue(), others...)}
	if w := o.Watch; w != nil {
		b.certificates(w.Certs)
		b.certificates(w.Shown)
		b.scrapes(o, w.Up)
	}
	if v := o.WithoutCA; v != nil {
		b.disruption(v.Job, withoutCATitle, v.Marks)
	}
	if a := o.Admission; a != nil {
		b.disruption(OnlyPrometheus, onlyPrometheusTitle, a.Marks)
	}
	if r := o.RootRotation; r != nil {
		b.certificates(r.Certs)
		b.scrapes(o, r.Up)
		b.roots(r)
	}
	for _, e := range o.Episodes {
		b.disruption(e.Disruption, e.Title, e.Marks)
		b.scrapes(o, e.Up)
	}
	var all []reports.Track
	for _, subject := range slices.Sorted(maps.Keys(b.lanes)) {
		t := b.lanes[subject]
		slices.SortStableFunc(t.Bars, func(x, y reports.Bar) int { return x.From.Compare(y.From) })
		slices.SortFunc(t.Points, func(x, y reports.Point) int { return x.At.Compare(y.At) })
		t.Points = slices.Compact(t.Points) // spans that overlap hold a sample twice
		all = append(all, *t)
	}
	return all
}

// tracks are those being made.
type tracks struct {
	lanes  map[string]*reports.Track // by subject
	checks []Check                   // whose bounds excuse missed scrapes
}

func (b tracks) of(subject string) *reports.Track {
	if b.lanes[subject] == nil {
		b.lanes[subject] = &reports.Track{Subject: subject}
	}
	return b.lanes[subject]
}

// certificates makes a bar of each certificate, from when it was first seen to its
// end. One that was seen again is the same.
func (b tracks) certificates(sightings []observe.Sighting) {
	for _, s := range sightings {
		t := b.of(s.Pod)
		bar := reports.Bar{From: s.At, To: s.Certificate.NotAfter, Kind: reports.CertificateBar, Label: s.Certificate.Serial}
		if !slices.ContainsFunc(t.Bars, func(x reports.Bar) bool { return x.Kind == bar.Kind && x.Label == bar.Label }) {
			t.Bars = append(t.Bars, bar)
		}
	}
}

func (b tracks) scrapes(o observe.Observation, up []observe.ReplicaUp) {
	for _, u := range up {
		for _, s := range u.Series {
			target := s.Labels["namespace"] + "/" + s.Labels["pod"]
			if s.Labels["pod"] == "" {
				target = s.Labels["instance"]
			}
			if s.Labels["job"] == WithoutCA {
				target += " without caFile"
			}
			t := b.of(u.Pod + " to " + target)
			for _, p := range s.Points {
				point := reports.Point{At: p.At, OK: p.Value == 1}
				if !point.OK {
					point.ExcusedBy = excusedBy(b.checks, o, missed{u.Pod, s.Labels, p.At})
				}
				t.Points = append(t.Points, point)
			}
		}
	}
}

// disruption is a bar from its beginning to its end.
func (b tracks) disruption(name, title string, marks []observe.Mark) {
	var from, to time.Time
	for _, m := range marks {
		switch m.Step {
		case disrupt.Begins:
			from = m.At
		case disrupt.Undone:
			to = m.At
		}
	}
	if from.IsZero() {
		return
	}
	if to.IsZero() {
		to = from
	}
	t := b.of(name)
	t.Bars = append(t.Bars, reports.Bar{From: from, To: to, Kind: reports.DisruptionBar, Label: title})
}

// roots are the steps of a rotation, each until the next.
func (b tracks) roots(r *observe.RootRotation) {
	for i, m := range r.Marks {
		to := r.To
		if i+1 < len(r.Marks) {
			to = r.Marks[i+1].At
		}
		t := b.of(RootRotation)
		t.Bars = append(t.Bars, reports.Bar{From: m.At, To: to, Kind: reports.DisruptionBar, Label: m.Step})
	}
}
