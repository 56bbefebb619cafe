package reports

// edge is a connection in the picture of the subject and what was verified of it.
type edge struct {
	Number int
	Name   string
	Checks []string // IDs of the catalogue; those that a report lacks are left out
}

// edges are the connections of the picture, by the numbers that it shows.
var edges = []edge{
	{1, "Proxy writes the certificate files that Prometheus reads", []string{"prometheus-sidecar-injected", "certificates-mounted", "certificate-identity"}},
	{2, "Monitors become Prometheus' configuration", []string{"monitors-accepted", "targets-complete"}},
	{3, "Prometheus scrapes the mesh with its own certificate, past its own proxy", []string{
		"traffic-not-intercepted", "targets-up", "metrics-queryable", "mutual-tls-on-the-wire", "secure-metrics-ports",
	}},
	{4, "Prometheus scrapes in plain text what has no sidecar", []string{"unmeshed-still-scraped"}},
	{5, "Anyone else is refused", []string{
		"plaintext-refused", "no-certificate-refused", "foreign-certificate-refused", "identity-authorized", "side-doors-known", "strict-side-doors",
	}},
	{6, "The mesh renews certificates, and scraping goes on", []string{
		"scraper-certificate-rotated", "target-certificate-rotated", "rotation-without-ca-file", "root-rotated",
		"control-plane-outage-survived", "prometheus-restart-survived", "sidecar-restart-survived", "workload-rollout-survived", "operator-restart-survived",
		"upgrade-in-place", "upgrade-canary",
	}},
}

// worst is the verdict over some checks: the one that needs a look most. It is empty
// for no check at all.
func worst(checks []Check) Verdict {
	rank := map[Verdict]int{Skip: 1, Pass: 2, Inconclusive: 3, Fail: 4}
	var v Verdict
	for _, c := range checks {
		if o := c.outcome(); rank[o] > rank[v] {
			v = o
		}
	}
	return v
}

// boxView is a box of the picture with two lines of text. Lengths are in units of the
// picture, which is 400 wide.
type boxView struct {
	X, Y, Width, Height, Middle, First, Second int
	Title, Text                                string
	Room                                       int // characters of Text
}

func boxOf(x, y, width, height int, title, text string, room int) boxView {
	return boxView{x, y, width, height, x + width/2, y + height/2 - 3, y + height/2 + 14, title, text, room}
}

// lineView is a connection of the picture: its path and the place of its number.
type lineView struct {
	Verdict                  Verdict
	Number                   int
	Path                     string
	X, TextY, BadgeX, BadgeY int
}

// lineOf draws the connection of a number, that number at x, y.
func lineOf(views []edgeView, number int, path string, x, y int) lineView {
	l := lineView{Number: number, Path: path, X: x, TextY: y + 5, BadgeX: x - 19, BadgeY: y - 11}
	for _, v := range views {
		if v.Number == number {
			l.Verdict = v.Verdict
		}
	}
	return l
}
