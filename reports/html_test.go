package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pageOf(t *testing.T, r Report) string {
	t.Helper()
	data, err := HTML(r)
	require.NoError(t, err)
	return string(data)
}

func TestHTMLGolden(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			page := pageOf(t, sample())
			// The style and the script have files of their own.
			page = strings.Replace(page, htmlCSS, "(report.css)", 1)
			page = strings.Replace(page, htmlScript, "(report.js)", 1)
			golden(t, name+".report.html", page)
		})
	}
}

// TestHTMLLoadsNothing makes sure that the page can be opened anywhere and for ever.
func TestHTMLLoadsNothing(t *testing.T) {
	for name, sample := range samples {
		page := pageOf(t, sample())
		assert.False(t, regexp.MustCompile(`(?i)<(link|img|iframe|script)[^>]*(src|href)="?https?:`).MatchString(page), name)
		assert.False(t, regexp.MustCompile(`(?i)(@import|url\()`).MatchString(htmlCSS))
		assert.False(t, strings.Contains(page, " style="), "the policy forbids it")
		assert.False(t, regexp.MustCompile(` on[a-z]+=`).MatchString(page), "the policy forbids it")
		assert.True(t, strings.Contains(page, `content="default-src &#39;none&#39;;`))
	}
}

func TestHTMLOfHostileText(t *testing.T) {
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>' style='x`
	r := hostileReport()
	r.Checks[0].ID, r.Checks[0].Reason, r.Profiles = evil, evil, []Profile{{Name: evil}}
	r.Checks[0].Causes = []Cause{{evil, evil, evil, "javascript:alert(1)", Certain}}
	r.Checks[0].Evidence = []Evidence{{evil, evil, evil}}
	r.Subject.Istio = evil
	r.Tracks = []Track{{Subject: evil, Bars: []Bar{{began, began, CertificateBar, evil}, {began, began, DisruptionBar, evil}}, Points: []Point{{At: began}}}}
	page := pageOf(t, r)
	assert.Equal(t, 1, strings.Count(page, "<script"))
	assert.False(t, strings.Contains(page, "<img"))
	assert.False(t, strings.Contains(page, `href="javascript`))
	for _, c := range strings.NewReplacer(htmlScript, "", htmlCSS, "").Replace(page) {
		assert.False(t, c < ' ' && c != '\n' || c == 0x7f || c == 0x202e, "%q", c)
	}
}

// manyTargets is a report of a Prometheus with that many targets, each scraped eight
// times, and with evidence of each in every check.
func manyTargets(n int) Report {
	r := rotated()
	r.Timeline = nil
	evidence := make([]Evidence, 0, n)
	for i := range n {
		pod := fmt.Sprintf("shop-%d/reviews-v1-%06x", i%50, i)
		evidence = append(evidence, Evidence{"Prometheus, /api/v1/targets", pod, fmt.Sprintf("https://10.%d.%d.%d:9080/metrics is up, last scraped at 04:01:12", i>>16&255, i>>8&255, i&255)})
		track := Track{Subject: "prometheus-0 to " + pod}
		for s := range 8 {
			at := began.Add(time.Duration(15*s)*time.Second + time.Duration(i)*time.Millisecond)
			track.Points = append(track.Points, Point{At: at, OK: i%997 != 0 || s != 3})
			if i%997 == 0 && s == 3 {
				r.Timeline = append(r.Timeline, Event{at, ScrapeMissed, "prometheus-0", "the scrape of " + pod + " failed"})
			}
		}
		r.Tracks = append(r.Tracks, track)
	}
	r.Checks = nil
	for _, e := range edges {
		for _, id := range e.Checks {
			c := passing(id, fmt.Sprint("profile", e.Number))
			c.Evidence = evidence
			if len(r.Checks)%3 == 0 {
				c.Verdict, c.Reason, c.Causes = Fail, strings.Repeat("prometheus-0: https://10.0.0.1:9080/metrics is down\n", 50), failing().Checks[1].Causes
			}
			r.Checks = append(r.Checks, c)
		}
	}
	r.Conclude()
	return r
}

// TestManyTargets holds the size of every format to what can be opened and mailed,
// however many targets there are. How fast it is, is measured by the benchmarks.
func TestManyTargets(t *testing.T) {
	r := manyTargets(10000)
	for _, f := range Formats() {
		data, err := f.Render(r)
		require.NoError(t, err)
		t.Logf("%s: %d bytes", f.File, len(data))
		assert.Less(t, len(data), 10<<20, f.File)
	}
	page := pageOf(t, r)
	for _, want := range []string{
		"and 9800 more in report.json", "9962 more lanes together",
		"prometheus-0 to shop-47/reviews-v1-0003e5", // which missed a scrape and so has a lane of its own
	} {
		assert.True(t, strings.Contains(page, want), want)
	}
}

func BenchmarkHTMLOfManyTargets(b *testing.B) {
	r := manyTargets(10000)
	size := 0
	for b.Loop() {
		data, err := HTML(r)
		require.NoError(b, err)
		size = len(data)
	}
	b.ReportMetric(float64(size), "bytes")
}

func TestLanes(t *testing.T) {
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	timeline := []Event{
		{at(0), CertificateStart, "p0", "serial a is in the file"},
		{at(5), DisruptionStart, "outage", "istiod is taken away: begins"},
		{at(7), ScrapeMissed, "p0", "the scrape of x failed"},
		{at(10), CertificateStart, "p0", "serial b is in the file"},
		{at(15), DisruptionEnd, "outage", "istiod is taken away: undone"},
		{at(30), CertificateEnd, "p0", "serial b ends"},
		{at(99), CertificateEnd, "p0", "serial a ends"},
		{at(100), CertificateStart, "p1", "another"},
	}
	p0 := Track{Subject: "p0", Bars: []Bar{{at(0), at(99), CertificateBar, "serial a"}, {at(10), at(30), CertificateBar, "serial b"}}, Points: []Point{{At: at(7)}}}
	p1 := Track{Subject: "p1", Bars: []Bar{{at(100), at(200), CertificateBar, "another"}}}
	outage := Track{Subject: "outage", Bars: []Bar{{at(5), at(15), DisruptionBar, "istiod is taken away"}}}
	assert.Equal(t, []Track{p0, p1, outage}, lanes(Report{Timeline: timeline, EndedAt: at(200)}))

	own := Track{Subject: "p0", Bars: []Bar{{at(1), at(2), CertificateBar, "c"}}, Points: []Point{{At: at(1), OK: true}}}
	got := lanes(Report{Timeline: timeline, EndedAt: at(200), Tracks: []Track{own}})
	assert.Equal(t, []Track{own, outage}, got, "what a track knows is not taken from the timeline as well")
	assert.Empty(t, lanes(Report{}))
}

func TestPlotWindow(t *testing.T) {
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	cert := func(from, to int) Bar { return Bar{at(from), at(to), CertificateBar, "c"} }
	r := Report{EndedAt: at(100), Tracks: []Track{{Subject: "p", Bars: []Bar{cert(0, 50), cert(40, 86400)}, Points: []Point{{At: at(50), OK: true}, {At: at(99)}}}}}
	p := drawPlot(r)
	require.NotNil(t, p)
	assert.Equal(t, "06:31:40", p.End, "the end of a certificate may be a day away")
	l := p.Lanes[0]
	assert.Equal(t, "2 certificates, the last until 2026-09-02 06:30:00; 2 scrapes, 1 missed", l.Summary)
	assert.Equal(t, []barView{{"0", "2", "500", "c, 06:30:00 to 2026-09-01 06:30:50"}, {"400", "13", "600", "c, 06:30:40 to 2026-09-02 06:30:00"}}, l.Bars)
	assert.Equal(t, "M502 8v8", l.OK)
	assert.Equal(t, []lossView{{"990", "1 scrape missed at 06:31:39"}}, l.Losses)

	three := drawPlot(Report{EndedAt: at(100), Tracks: []Track{{Subject: "p", Bars: []Bar{cert(0, 50), cert(10, 60), cert(20, 70), cert(50, 90)}}}}).Lanes[0]
	assert.Equal(t, []string{"2", "13", "24", "2"}, []string{three.Bars[0].Y, three.Bars[1].Y, three.Bars[2].Y, three.Bars[3].Y}, "what overlaps is drawn one below the other")
	assert.Equal(t, 35, three.Height)

	assert.Nil(t, drawPlot(Report{EndedAt: at(9)}), "nothing was watched")
	p = drawPlot(Report{Tracks: []Track{{Subject: "p", Points: []Point{{At: at(0), OK: true}}}}})
	require.NotNil(t, p, "one instant, and a run without an end")
	p = drawPlot(Report{EndedAt: at(9), Tracks: []Track{{Subject: "p", Bars: []Bar{{at(0), at(5), DisruptionBar, "d"}}}}})
	require.Len(t, p.Lanes, 1, "a disruption has a lane to be drawn on")
}

func TestPictureFollowsTheChecks(t *testing.T) {
	verdicts := func(r Report) map[int]Verdict {
		m := map[int]Verdict{}
		for _, e := range edgeViews(checkViews(r)) {
			m[e.Number] = e.Verdict
		}
		return m
	}
	assert.Equal(t, map[int]Verdict{1: Pass, 2: "", 3: Pass, 4: "", 5: "", 6: ""}, verdicts(good()))
	assert.Equal(t, map[int]Verdict{1: Pass, 2: "", 3: Fail, 4: "", 5: "", 6: Inconclusive}, verdicts(failing()))
	assert.Equal(t, Fail, worst([]Check{{Verdict: Skip}, {Verdict: Fail}, {Verdict: "?"}, {Verdict: Pass}}))
	assert.Equal(t, Inconclusive, worst([]Check{{Verdict: Pass}, {Verdict: "?"}}), "nothing unknown is green")
	assert.Equal(t, Pass, worst([]Check{{Verdict: Skip}, {Verdict: Pass}}))
}

func TestRemedies(t *testing.T) {
	r := failing()
	again := r.Checks[1]
	again.ID = "metrics-queryable"
	r.Checks = append(r.Checks, again)
	got := remedies(r)
	require.Len(t, got, 2)
	assert.Equal(t, "monitor-without-tls", got[0].Cause.Code)
	assert.Equal(t, []int{1, 5}, got[0].Checks)
	assert.Equal(t, []int{4, 3}, got[1].Checks, "what nothing explains comes last, what does not count after what does")
	assert.Empty(t, got[1].Cause.Code)
}

// TestHTMLIsWellFormed counts the elements that have an end.
func TestHTMLIsWellFormed(t *testing.T) {
	for name, sample := range samples {
		page := pageOf(t, sample())
		for _, e := range []string{"section", "article", "details", "summary", "table", "tbody", "tr", "ul", "ol", "li", "dl", "dd", "div", "p", "span", "svg", "g", "a"} {
			opened := len(regexp.MustCompile("<"+e+"[ >]").FindAllString(page, -1))
			assert.Equal(t, opened, strings.Count(page, "</"+e+">"), "%s in %s", e, name)
		}
	}
}

// TestHTMLOfALaterMinorVersion opens what an older build reads of a newer report.
func TestHTMLOfALaterMinorVersion(t *testing.T) {
	data, err := Encode(rotated())
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(data, &doc))
	doc["schemaVersion"], doc["later"] = "1.99", []int{1}
	data, err = json.Marshal(doc)
	require.NoError(t, err)
	r, err := Decode(data)
	require.NoError(t, err)
	page, err := HTML(r)
	require.NoError(t, err)
	assert.True(t, bytes.Contains(page, []byte("conformant")))
}
