package reports

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// htmlEvents is how many events the page lists; a plot shows more than a list does.
	htmlEvents = 300
	// htmlLeftovers is how many things that were left behind the page lists.
	htmlLeftovers = 100
	// htmlText bounds, in bytes, one piece of evidence on the page, so that 200 of them
	// for each check of the catalogue stay within 10 MB.
	htmlText = 2000
)

// pageView is all that the page shows, ready to be filled in.
type pageView struct {
	CSS    template.CSS
	Script template.JS
	Policy string

	Tone                 Verdict // in whose colour the outcome is shown
	Word, Headline       string
	ExitCode             int
	RunID, Started, Took string
	Error                *SetupError
	Leftovers            []string
	MoreLeftovers        int
	Interrupted          bool
	Profiles             []profileView
	Remedies             []remedyView
	Checks               int
	Groups               []groupView
	Edges                []edgeView
	Subject              Subject
	Facts, Settings      []field
	Plot                 *plotView
	Phases               []phaseView
	Repetitions          *Repetitions
	Events               []eventView
	MoreEvents           int
}

type profileView struct {
	Profile
	Anchor      string
	Provisional int // how many of its checks do not count
}

type groupView struct {
	Name, Anchor string
	Checks       []checkView
}

type checkView struct {
	Check
	Anchor       string
	Verdict      Verdict // as it is counted
	Counts       bool
	Took         string
	Seen         []Evidence
	MoreEvidence int
}

// remedyView is something to change and the checks that it is to turn green.
type remedyView struct {
	Cause  Cause
	Checks []checkView
}

type edgeView struct {
	Number  int
	Name    string
	Verdict Verdict // empty if nothing of it was checked
	Checks  []checkView
}

type phaseView struct{ Name, Took, Width string }

type eventView struct{ At, Kind, Subject, Text string }

// view turns a concluded report into what the page shows.
func view(r Report) pageView {
	checks := checkViews(r)
	v := pageView{
		Tone: r.tone(), Word: r.Word(), Headline: r.Headline(), ExitCode: int(r.ExitCode), RunID: r.RunID,
		Error: r.Error, Leftovers: r.Leftovers, Interrupted: r.Interrupted, Checks: len(checks), Subject: r.Subject,
		Plot: drawPlot(r), Phases: phaseViews(r.Phases), Repetitions: r.Repetitions, Took: times(r),
	}
	if !r.StartedAt.IsZero() {
		v.Started = stamp(r.StartedAt) + " UTC"
	}
	if v.MoreLeftovers = len(r.Leftovers) - htmlLeftovers; v.MoreLeftovers > 0 {
		v.Leftovers = r.Leftovers[:htmlLeftovers]
	}
	for i, p := range r.Profiles {
		pv, g := profileView{Profile: p, Anchor: fmt.Sprintf("profile-%d", i+1)}, groupView{Name: p.Name}
		g.Anchor = pv.Anchor
		for _, c := range checks {
			if c.Profile != p.Name {
				continue
			}
			g.Checks = append(g.Checks, c)
			if !c.Counts {
				pv.Provisional++
			}
		}
		v.Profiles = append(v.Profiles, pv)
		if len(g.Checks) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	v.Remedies = remedyViews(r, checks)
	v.Edges = edgeViews(checks)
	for _, f := range append(r.Subject.fields(), field{"", "Suite", strings.TrimSpace(r.Suite.Version + " " + r.Suite.Commit)}) {
		if f.Value != "" {
			v.Facts = append(v.Facts, f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Configuration)) {
		v.Settings = append(v.Settings, field{name, name, r.Configuration[name]})
	}
	v.Events, v.MoreEvents = eventViews(r.Timeline)
	return v
}

// checkViews gives each check an address: its ID, so that a link to it holds for the
// next report as well, unless it is none or is taken.
func checkViews(r Report) []checkView {
	taken := map[string]bool{}
	views := make([]checkView, 0, len(r.Checks))
	for i, c := range r.Checks {
		v := checkView{Check: c, Anchor: c.ID, Verdict: c.outcome(), Counts: c.Level.Gates(), Took: seconds(span(c.DurationSeconds))}
		if !checkID.MatchString(c.ID) || taken[c.ID] || strings.HasPrefix(c.ID, "profile-") {
			v.Anchor = fmt.Sprintf("check-%d", i+1)
		}
		taken[v.Anchor] = true
		v.Seen = c.Evidence
		if v.MoreEvidence = len(c.Evidence) - mostSeen; v.MoreEvidence > 0 {
			v.Seen = c.Evidence[:mostSeen]
		}
		views = append(views, v)
	}
	return views
}

// remedyViews keeps the addresses of the checks: they follow from the position of a
// check in the report.
func remedyViews(r Report, checks []checkView) []remedyView {
	var views []remedyView
	for _, m := range remedies(r) {
		v := remedyView{Cause: m.Cause}
		for _, i := range m.Checks {
			v.Checks = append(v.Checks, checks[i])
		}
		views = append(views, v)
	}
	return views
}

func edgeViews(checks []checkView) []edgeView {
	views := make([]edgeView, 0, len(edges))
	for _, e := range edges {
		v := edgeView{Number: e.Number, Name: e.Name}
		var judged []Check
		for _, id := range e.Checks {
			for _, c := range checks {
				if c.ID == id {
					v.Checks = append(v.Checks, c)
					judged = append(judged, c.Check)
				}
			}
		}
		v.Verdict = worst(judged)
		views = append(views, v)
	}
	return views
}

// phaseViews gives each phase a bar, the longest the whole width.
func phaseViews(phases []Phase) []phaseView {
	var longest time.Duration
	for _, p := range phases {
		longest = max(longest, span(p.Seconds))
	}
	views := make([]phaseView, 0, len(phases))
	for _, p := range phases {
		width := 0.0
		if longest > 0 {
			width = max(0.5, 100*span(p.Seconds).Seconds()/longest.Seconds())
		}
		views = append(views, phaseView{p.Name, seconds(span(p.Seconds)), units(width)})
	}
	return views
}

func eventViews(timeline []Event) (views []eventView, more int) {
	for i, e := range timeline {
		if i == htmlEvents {
			return views, len(timeline) - i
		}
		views = append(views, eventView{stamp(e.At), strings.ReplaceAll(string(e.Kind), "-", " "), e.Subject, e.Text})
	}
	return views, 0
}
