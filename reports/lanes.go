package reports

import (
	"slices"
	"strings"
	"time"
)

// lanes are the tracks of a report, completed by what only its timeline knows:
// certificates, disruptions or missed scrapes of which no track has any.
func lanes(r Report) []Track {
	tracks := slices.Clone(r.Tracks)
	for i := range tracks {
		// What is added must not go into what the caller's lists have room for.
		tracks[i].Bars, tracks[i].Points = slices.Clip(tracks[i].Bars), slices.Clip(tracks[i].Points)
	}
	has := func(kind BarKind) bool {
		return slices.ContainsFunc(r.Tracks, func(t Track) bool {
			return slices.ContainsFunc(t.Bars, func(b Bar) bool { return b.Kind == kind })
		})
	}
	at := map[string]int{}
	for i, t := range tracks {
		if _, ok := at[t.Subject]; !ok {
			at[t.Subject] = i
		}
	}
	lane := func(subject string) *Track {
		i, ok := at[subject]
		if !ok {
			i = len(tracks)
			at[subject] = i
			tracks = append(tracks, Track{Subject: subject})
		}
		return &tracks[i]
	}
	add := func(bars map[string][]Bar) {
		for _, subject := range subjects(r.Timeline, bars) {
			t := lane(subject)
			t.Bars = append(t.Bars, bars[subject]...)
		}
	}
	if !has(CertificateBar) {
		add(pair(r.Timeline, CertificateStart, CertificateEnd, CertificateBar, r.EndedAt))
	}
	if !has(DisruptionBar) {
		add(pair(r.Timeline, DisruptionStart, DisruptionEnd, DisruptionBar, r.EndedAt))
	}
	if !slices.ContainsFunc(r.Tracks, func(t Track) bool { return len(t.Points) > 0 }) {
		for _, e := range r.Timeline {
			if e.Kind == ScrapeMissed {
				t := lane(e.Subject)
				t.Points = append(t.Points, Point{At: e.At})
			}
		}
	}
	return tracks
}

// subjects are the keys of bars in the order in which the timeline names them.
func subjects(timeline []Event, bars map[string][]Bar) []string {
	var names []string
	seen := map[string]bool{}
	for _, e := range timeline {
		if _, ok := bars[e.Subject]; ok && !seen[e.Subject] {
			seen[e.Subject] = true
			names = append(names, e.Subject)
		}
	}
	return names
}

// pair makes a bar of each event of one kind and the event of the other that ends it,
// by subject. If both name a serial, it must be the same; else what began first ends
// first. What has no end lasts to the end of the run.
func pair(timeline []Event, start, end EventKind, kind BarKind, last time.Time) map[string][]Bar {
	bars := map[string][]Bar{}
	open := map[string][]int{} // indexes of bars without an end, by subject and serial
	events := slices.Clone(timeline)
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		key := e.Subject + "\x00" + serial(e.Text)
		switch e.Kind {
		case start:
			open[key] = append(open[key], len(bars[e.Subject]))
			bars[e.Subject] = append(bars[e.Subject], Bar{From: e.At, Kind: kind, Label: barLabel(e.Text)})
		case end:
			if n := open[key]; len(n) > 0 {
				bars[e.Subject][n[0]].To = e.At
				open[key] = n[1:]
			}
		}
	}
	for _, list := range bars {
		for i := range list {
			if list[i].To.IsZero() {
				list[i].To = later(list[i].From, last)
			}
		}
	}
	return bars
}

// serial is what follows the word "serial" in a text, by which the events at both
// ends of a certificate are told from those of the next one.
func serial(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if w == "serial" && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}

// barLabel is the text of an event without the part that says that something began.
func barLabel(text string) string {
	if s := serial(text); s != "" {
		return "serial " + s
	}
	return strings.TrimSuffix(text, ": begins")
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// missed counts the scrapes of a track that failed.
func (t Track) missed() int {
	n := 0
	for _, p := range t.Points {
		if !p.OK {
			n++
		}
	}
	return n
}
