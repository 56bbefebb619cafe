package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// plotWidth is the width of a lane in units of its own, which the browser stretches
	// to the width of the page.
	plotWidth = 1000
	// plotColumns is how many moments of a lane are told apart: about one for every
	// four pixels of a wide page. Scrapes within one are drawn as one, as missed if any
	// of them was.
	plotColumns = 250
	// plotLanes is how many lanes are drawn; the others share one.
	plotLanes = 40
	// plotRows is how many certificates are drawn one below the other, and rowHeight
	// how high each row is, in pixels. Three overlap while a root is being replaced.
	plotRows  = 4
	rowHeight = 11
	// clockFormat is how a time is shown. All times are in UTC.
	clockFormat = "15:04:05"
)

// plotView is the plot over time.
type plotView struct {
	Day, Start, Middle, End string
	Bands                   []bandView
	Lanes                   []laneView
}

// bandView is a disruption, which concerns every lane.
type bandView struct {
	from            time.Time
	X, Width        string
	Label, From, To string
}

// laneView is a lane: its shapes, and the same in words.
type laneView struct {
	Name, Summary         string
	Certificates, Scrapes int
	Missed, Height        int    // Height is in pixels
	LastEnd               string // of its certificates
	Bars                  []barView
	OK                    string // the path of the scrapes that succeeded
	Losses                []lossView
}

type barView struct{ X, Y, Width, Label string }

// lossView is a moment in which scrapes were missed.
type lossView struct{ X, Label string }

// drawPlot is the plot of a report, or nil if nothing was watched.
func drawPlot(r Report) *plotView {
	tracks := lanes(r)
	s, ok := scaleOf(tracks, r.EndedAt)
	if !ok {
		return nil
	}
	p := &plotView{
		Day:   s.from.UTC().Format("2006-01-02"),
		Start: clock(s.from), Middle: clock(s.from.Add(s.to.Sub(s.from) / 2)), End: clock(s.to),
	}
	for _, t := range tracks {
		for _, b := range t.Bars {
			if b.Kind == DisruptionBar {
				p.Bands = append(p.Bands, bandView{b.From, units(s.x(b.From)), s.width(b), oneLine(b.Label), clock(b.From), clock(b.To)})
			}
		}
	}
	slices.SortStableFunc(p.Bands, func(a, b bandView) int { return a.from.Compare(b.from) })
	shown, rest := chosen(tracks)
	for _, t := range shown {
		p.Lanes = append(p.Lanes, s.lane(t))
	}
	if len(rest) > 0 {
		together := Track{Subject: fmt.Sprintf("%d more lanes together", len(rest))}
		for _, t := range rest {
			together.Points = append(together.Points, t.Points...)
		}
		p.Lanes = append(p.Lanes, s.lane(together))
	}
	if len(p.Lanes) == 0 {
		p.Lanes = append(p.Lanes, laneView{Name: "disruptions", Height: 2 + 2*rowHeight, Summary: "no lane of scrapes or certificates was recorded"})
	}
	return p
}

// chosen are the lanes that are drawn, in their order: those with bars, then those
// with missed scrapes, then others, as many as there is room for. Lanes with nothing
// but disruptions are none.
func chosen(tracks []Track) (shown, rest []Track) {
	rank := func(t Track) int {
		for _, b := range t.Bars {
			if b.Kind != DisruptionBar {
				return 0
			}
		}
		switch {
		case t.missed() > 0:
			return 1
		case len(t.Points) > 0:
			return 2
		}
		return 3
	}
	var byRank [3]int
	for _, t := range tracks {
		if k := rank(t); k < 3 {
			byRank[k]++
		}
	}
	room := plotLanes
	for k := range byRank {
		byRank[k] = min(byRank[k], room)
		room -= byRank[k]
	}
	for _, t := range tracks {
		switch k := rank(t); {
		case k == 3:
		case byRank[k] > 0:
			byRank[k]--
			shown = append(shown, t)
		default:
			rest = append(rest, t)
		}
	}
	return shown, rest
}

// scale maps times to units of a lane.
type scale struct{ from, to time.Time }

// scaleOf spans everything that was seen. The end of a certificate may be a day away
// and is cut off at the end of the run.
func scaleOf(tracks []Track, ended time.Time) (s scale, ok bool) {
	see := func(t time.Time) {
		if t.IsZero() {
			return
		}
		if !ok || t.Before(s.from) {
			s.from = t
		}
		if !ok || t.After(s.to) {
			s.to = t
		}
		ok = true
	}
	for _, t := range tracks {
		for _, b := range t.Bars {
			see(b.From)
			if b.Kind == DisruptionBar || b.To.Before(ended) {
				see(b.To)
			}
		}
		for _, p := range t.Points {
			see(p.At)
		}
	}
	if !ended.Before(s.from) && ok {
		see(ended)
	}
	if s.to.Sub(s.from) < time.Second {
		s.to = s.from.Add(time.Second)
	}
	return s, ok
}

// x is where a time is, within the lane.
func (s scale) x(t time.Time) float64 {
	f := t.Sub(s.from).Seconds() / s.to.Sub(s.from).Seconds()
	return plotWidth * max(0, min(1, f))
}

// width is how long a bar is, never too short to be seen.
func (s scale) width(b Bar) string { return units(max(2, s.x(b.To)-s.x(b.From))) }

func (s scale) lane(t Track) laneView {
	v := laneView{Name: oneLine(t.Subject), Scrapes: len(t.Points), Missed: t.missed()}
	var last time.Time
	var ends []time.Time // of the last bar of each row
	for _, b := range t.Bars {
		if b.Kind == DisruptionBar {
			continue
		}
		v.Certificates++
		last = later(last, b.To)
		row := freeRow(ends, b.From)
		if row == len(ends) {
			ends = append(ends, time.Time{})
		}
		ends[row] = later(ends[row], b.To)
		label := fmt.Sprintf("%s, %s to %s", oneLine(b.Label), clock(b.From), stamp(b.To))
		v.Bars = append(v.Bars, barView{units(s.x(b.From)), units(float64(2 + row*rowHeight)), s.width(b), label})
	}
	v.Height = 2 + max(2, len(ends))*rowHeight
	if v.Certificates > 0 {
		v.LastEnd = stamp(last)
	}
	v.OK, v.Losses = s.marks(t.Points)
	v.Summary = v.words()
	return v
}

// freeRow is the first row in which nothing lasts at a time. Certificates overlap, and
// what overlaps is drawn one below the other; if there is no room, in the last row.
func freeRow(ends []time.Time, at time.Time) int {
	for i, end := range ends {
		if !at.Before(end) {
			return i
		}
	}
	return min(len(ends), plotRows-1)
}

// words is a lane for whoever does not see it.
func (v laneView) words() string {
	var s []string
	if v.Certificates > 0 {
		s = append(s, count(v.Certificates, "certificate")+", the last until "+v.LastEnd)
	}
	switch {
	case v.Scrapes > 0 && v.Missed == v.Scrapes:
		s = append(s, fmt.Sprintf("%s missed", count(v.Missed, "scrape")))
	case v.Scrapes > 0:
		s = append(s, fmt.Sprintf("%s, %d missed", count(v.Scrapes, "scrape"), v.Missed))
	}
	return strings.Join(s, "; ")
}

// marks draws the scrapes of a lane: a short line for each column with scrapes, and a
// tall one of its own for each with missed ones.
func (s scale) marks(points []Point) (path string, losses []lossView) {
	type column struct {
		ok, missed int
		first      time.Time // the first that was missed
	}
	columns := map[int]*column{}
	for _, p := range points {
		i := min(plotColumns-1, int(s.x(p.At)*plotColumns/plotWidth))
		c := columns[i]
		if c == nil {
			c = &column{}
			columns[i] = c
		}
		if p.OK {
			c.ok++
			continue
		}
		if c.missed++; c.missed == 1 {
			c.first = p.At
		}
	}
	var b strings.Builder
	for i := range plotColumns {
		c := columns[i]
		if c == nil {
			continue
		}
		x := (float64(i) + 0.5) * plotWidth / plotColumns
		if c.missed == 0 {
			fmt.Fprintf(&b, "M%s 8v8", units(x))
			continue
		}
		losses = append(losses, lossView{units(x), fmt.Sprintf("%s missed at %s", count(c.missed, "scrape"), clock(c.first))})
	}
	return b.String(), losses
}

func units(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

func clock(t time.Time) string { return t.UTC().Format(clockFormat) }

// stamp is a time that may lie on another day.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 " + clockFormat) }
