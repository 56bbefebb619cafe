package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

var (
	//go:embed html/fleet.html.tmpl
	fleetSource string
	// fleetPage shares the look, the words and the badges of the page of a report.
	fleetPage = template.Must(template.Must(htmlPage.Clone()).New("fleet").Parse(fleetSource))
)

// fleetView is all that the page of a fleet shows, ready to be filled in.
type fleetView struct {
	Fleet
	CSS           template.CSS
	Policy        string
	Tone          Verdict
	Began, Took   string
	ProfileNames  []string
	Rows          []fleetRow
	Matrix        []fleetLine
	Remedies      []fleetRemedy
	SubjectLabels []string
}

type fleetRow struct {
	FleetCluster
	Tone  Verdict
	Link  string    // to its report; empty if there is none
	Cells []Profile // by the names of all clusters' profiles
	Facts []field
}

// fleetLine is a check, with a cell for each cluster.
type fleetLine struct {
	FleetCheck
	Cells []fleetCell
}

type fleetCell struct {
	FleetResult
	Link string // to the check in the cluster's report
	Why  string // the code of the cause or, if none is known, the reason
}

// roomForReason is how many characters of a reason a cell shows.
const roomForReason = 80

// fleetRemedy is something to change, and the checks of which clusters it is to turn green.
type fleetRemedy struct {
	Cause Cause
	Turns []fleetTurn
}

type fleetTurn struct {
	ID string
	fleetCell
}

// HTML renders a fleet as one page that needs no network and no script: each cluster with
// its profiles and its claim, what to change where, the checks that are not passed
// everywhere, and what the subjects are. It links to the report of each cluster.
func (f Fleet) HTML() ([]byte, error) {
	v := f.view()
	v.CSS, v.Policy = template.CSS(htmlCSS), contentPolicy() //nolint:gosec // it is embedded, not quoted
	var b bytes.Buffer
	if err := fleetPage.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("cannot render %s of run %q: %w; %s has all of it", FleetHTMLFile, f.RunID, err, FleetFile)
	}
	return b.Bytes(), nil
}

func (f Fleet) view() fleetView {
	v := fleetView{Fleet: f, Tone: f.tone(), ProfileNames: f.profiles()}
	if !f.StartedAt.IsZero() {
		v.Began = stamp(f.StartedAt) + " UTC"
	}
	if d := f.EndedAt.Sub(f.StartedAt); d > 0 && !f.StartedAt.IsZero() {
		v.Took = seconds(d) + " in all"
	}
	links := map[string]string{}
	for _, c := range f.Clusters {
		row := fleetRow{FleetCluster: c, Tone: c.tone, Facts: c.Subject.fields()}
		if c.RunID != "" && c.Dir != "" {
			row.Link = "./" + c.Dir + "/" + HTMLFile // whatever the folder is called, it is no address
			links[c.Name] = row.Link
		}
		for _, name := range v.ProfileNames {
			row.Cells = append(row.Cells, c.profile(name))
		}
		v.Rows = append(v.Rows, row)
	}
	for _, l := range (Subject{}).fields() {
		v.SubjectLabels = append(v.SubjectLabels, l.Label)
	}
	for _, k := range f.Checks {
		line := fleetLine{FleetCheck: k}
		for _, c := range f.Clusters {
			line.Cells = append(line.Cells, cellOf(k, c.Name, links[c.Name]))
		}
		v.Matrix = append(v.Matrix, line)
	}
	v.Remedies = fleetRemedies(v.Matrix)
	return v
}

// cellOf is a check in a cluster, with a link to it if the page of the report is sure to
// have it under its own name.
func cellOf(k FleetCheck, cluster, report string) fleetCell {
	c := fleetCell{FleetResult: k.of(cluster)}
	switch {
	case c.Cause != nil:
		c.Why = c.Cause.Code
	case c.troubled():
		c.Why = short(roomForReason, c.Reason)
	}
	if report != "" && c.Verdict != "" {
		c.Link = report
		if checkID.MatchString(k.ID) && !strings.HasPrefix(k.ID, "profile-") {
			c.Link += "#" + k.ID
		}
	}
	return c
}

// fleetRemedies groups what needs a look by its best cause, in the order of the checks;
// what nothing explains comes last.
func fleetRemedies(lines []fleetLine) []fleetRemedy {
	var all []fleetRemedy
	var unexplained fleetRemedy
	at := map[[2]string]int{}
	for _, l := range lines {
		for _, c := range l.Cells {
			turn := fleetTurn{l.ID, c}
			switch {
			case !c.troubled():
				continue
			case c.Cause == nil:
				unexplained.Turns = append(unexplained.Turns, turn)
				continue
			}
			key := [2]string{c.Cause.Code, c.Cause.Change}
			i, ok := at[key]
			if !ok {
				i = len(all)
				at[key] = i
				all = append(all, fleetRemedy{Cause: *c.Cause})
			}
			all[i].Turns = append(all[i].Turns, turn)
		}
	}
	if len(unexplained.Turns) > 0 {
		all = append(all, unexplained)
	}
	return all
}
