package reports

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// memberOf is a cluster of a fleet whose run wrote a report and ended as that says.
func memberOf(name string, r Report) Member {
	r.Conclude()
	return Member{Name: name, Dir: name + "/" + r.RunID, Report: &r, ExitCode: r.ExitCode}
}

var fleetHead = Fleet{RunID: "f1-20260901-063000", Suite: Suite{Version: "v1.2.0", Commit: "0123abcd"}, StartedAt: began, EndedAt: began.Add(90 * time.Second)}

// fleet has a cluster of every kind: one in order, one that claims less, two with one
// mistake, one that could not be set up, and one that nobody reached.
func fleet() Fleet {
	again := failing()
	again.Leftovers = nil
	return FleetOf(fleetHead, []Member{
		memberOf("prod-eu", good()), memberOf("prod-us", seenInPart()), memberOf("staging", failing()), memberOf("staging=team/own", again),
		memberOf("dev", setupFailed()),
		{Name: "old", ExitCode: ExitUsage, Error: `the kubeconfig has no context "old": it has dev, prod-eu`},
	})
}

// hostileFleet has a hostile text wherever a cluster or a user can put one.
func hostileFleet() Fleet {
	r := hostileReport()
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>` + hostile
	r.Checks[0].ID, r.Checks[0].Reason, r.Checks[0].Verdict = evil, evil, Fail
	r.Checks[0].Causes = []Cause{{evil, evil, evil, "javascript:alert(1)", Certain}}
	r.Profiles, r.Subject.Istio = []Profile{{Name: evil}}, evil
	m := memberOf(evil, r)
	m.Dir = "javascript:alert(1)/x"
	return FleetOf(Fleet{RunID: evil}, []Member{m, {Name: evil + "2", Error: evil, ExitCode: 77}})
}

func TestFleetGolden(t *testing.T) {
	f := fleet()
	page, err := f.HTML()
	require.NoError(t, err)
	golden(t, "fleet.html", strings.Replace(string(page), htmlCSS, "(report.css)", 1))
	data, err := f.JSON()
	require.NoError(t, err)
	golden(t, "fleet.json", string(data))
	golden(t, "fleet.md", string(f.Markdown()))
	var b strings.Builder
	NewTerminal(&b, Style{}).Fleet(f, "reports/out/f1/fleet.html")
	golden(t, "fleet", b.String())
	for line := range strings.Lines(b.String()) {
		assert.Equal(t, strings.TrimRight(line, " \n")+"\n", line, "no blanks at the end")
	}
}

func TestTheWorstExitCodeIsTheFleets(t *testing.T) {
	for name, c := range map[string]struct {
		codes []ExitCode
		want  ExitCode
	}{
		"none":                          {nil, ExitInconclusive},
		"all well":                      {[]ExitCode{0, 0}, ExitConformant},
		"one open":                      {[]ExitCode{0, 6, 0}, ExitInconclusive},
		"left behind":                   {[]ExitCode{6, 3}, ExitLeftovers},
		"not there":                     {[]ExitCode{3, 5}, ExitUsage},
		"not judged":                    {[]ExitCode{5, 2}, ExitSetupFailed},
		"proven":                        {[]ExitCode{2, 1, 6}, ExitCheckFailed},
		"without an end":                {[]ExitCode{1, 4, 2}, ExitInterrupted},
		"a program that broke":          {[]ExitCode{0, 137}, ExitSetupFailed},
		"one that was killed":           {[]ExitCode{-1, 6}, ExitSetupFailed},
		"broken is better than a proof": {[]ExitCode{137, 1}, ExitCheckFailed},
	} {
		assert.Equal(t, c.want, Worst(c.codes...), name)
	}
}

// A cluster is never shown better than the worse of what its report and its process say.
func TestAClusterIsWhatItsReportAndItsProcessSay(t *testing.T) {
	lying := good()
	lying.Checks[1].Verdict, lying.Checks[1].Reason = Fail, "down"
	lying.ExitCode, lying.Verdict = ExitConformant, Pass
	for name, c := range map[string]struct {
		member  Member
		code    ExitCode
		verdict Verdict
		failed  int
		says    string
	}{
		"in order":                         {memberOf("a", good()), ExitConformant, Pass, 0, "every check that applies passed"},
		"the process ended otherwise":      {Member{Name: "a", Dir: "a/x", Report: ptr(good()), ExitCode: ExitSetupFailed, Error: "the disk is full"}, ExitSetupFailed, Inconclusive, 1, "every check that applies passed; the disk is full"},
		"the process hides a failure":      {Member{Name: "a", Report: ptr(failing()), ExitCode: ExitConformant}, ExitCheckFailed, Fail, 2, "1 check failed"},
		"the report hides one":             {Member{Name: "a", Report: &lying, ExitCode: ExitConformant}, ExitCheckFailed, Fail, 1, "1 check failed (targets-up)"},
		"no report":                        {Member{Name: "a", ExitCode: ExitUsage, Error: "no such context"}, ExitUsage, Inconclusive, 1, "no such context"},
		"no report, and said to be well":   {Member{Name: "a"}, ExitInconclusive, Inconclusive, 1, ""},
		"a report without any check in it": {Member{Name: "a", Report: &Report{}}, ExitInconclusive, Inconclusive, 1, "no check that counts was executed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := FleetOf(fleetHead, []Member{c.member})
			got := f.Clusters[0]
			assert.Equal(t, c.code, got.ExitCode)
			assert.Equal(t, c.code, f.ExitCode)
			assert.Equal(t, c.verdict, got.Verdict)
			assert.Equal(t, c.failed, got.Failed)
			assert.Contains(t, got.Headline, c.says)
			_, failed, _ := f.Tally()
			assert.Equal(t, f.ExitCode == ExitConformant, failed == 0, "0 failed is said of what exits with 0, and of nothing else")
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestWhatIsNotPassedSomewhereIsInTheMatrix(t *testing.T) {
	f := fleet()
	var ids []string
	for _, k := range f.Checks {
		ids = append(ids, k.ID)
	}
	assert.Equal(t, []string{"targets-up", "scraper-certificate-rotated", "ambient-scraped"}, ids, "failures first, what does not count last")
	assert.Equal(t, 2, f.Checks[0].troubled())
	assert.Equal(t, "monitor-without-tls", f.Checks[0].of("staging").Cause.Code)
	assert.Nil(t, f.Checks[0].of("prod-eu").Cause, "what passes has none")
	assert.Equal(t, "the certificate did not change within 3m0s", f.Checks[1].of("staging").Reason, "one line")
	assert.Zero(t, f.Checks[1].of("prod-eu"), "it does not have the check")

	v := f.view()
	require.Len(t, v.Remedies, 2, "one change for both clusters, and what nothing explains")
	assert.Len(t, v.Remedies[0].Turns, 2)
	assert.Equal(t, "./staging/x1-20260901-063000/report.html#targets-up", v.Remedies[0].Turns[0].Link)
	assert.Empty(t, v.Remedies[1].Cause.Code)
}

func TestAFleetInOrderSaysSo(t *testing.T) {
	all := FleetOf(fleetHead, []Member{memberOf("a", good()), memberOf("b", good())})
	assert.Equal(t, "conformant", all.Word())
	assert.Equal(t, "2 clusters: 2 conformant", all.Headline())
	less := FleetOf(fleetHead, []Member{memberOf("a", good()), memberOf("b", seenInPart())})
	assert.Equal(t, ExitConformant, less.ExitCode)
	assert.Equal(t, asSeen, less.Word())
	assert.Equal(t, "2 clusters: 1 conformant, 1 conformant as far as seen (b)", less.Headline())
	assert.Equal(t, Inconclusive, less.tone())
}

func TestTheFleetsPageLoadsNothingAndObeysNoCluster(t *testing.T) {
	for name, f := range map[string]Fleet{"fleet": fleet(), "hostile": hostileFleet(), "none": FleetOf(Fleet{}, nil)} {
		data, err := f.HTML()
		require.NoError(t, err)
		page := string(data)
		assert.NotContains(t, page, "<script", name)
		assert.NotContains(t, page, "<img", name)
		assert.NotContains(t, page, `href="javascript`, name)
		assert.NotContains(t, page, "ZgotmplZ", name)
		assert.NotContains(t, page, " style=", name)
		assert.Contains(t, page, `content="default-src &#39;none&#39;;`, name)
		assert.False(t, regexp.MustCompile(`(?i)(src|href)="?https?:`).MatchString(page), name)
		for _, c := range strings.Replace(page, htmlCSS, "", 1) {
			assert.False(t, c < ' ' && c != '\n' || c == 0x7f || c == 0x202e, "%q in %s", c, name)
		}
		for _, e := range []string{"section", "table", "tbody", "tr", "td", "th", "ul", "li", "div", "p", "span", "a"} {
			opened := len(regexp.MustCompile("<"+e+"[ >]").FindAllString(page, -1))
			assert.Equal(t, opened, strings.Count(page, "</"+e+">"), "%s in %s", e, name)
		}
		var b strings.Builder
		NewTerminal(&b, Style{}).Fleet(f, "x")
		assert.NotContains(t, b.String(), "\x1b", name)
		assert.False(t, regexp.MustCompile(`(?m)^\s*::`).MatchString(b.String()), name)
	}
}

func TestAFleetIsWrittenAndReadAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "f1")
	written, err := WriteFleet(dir, fleet())
	require.NoError(t, err)
	assert.Equal(t, []string{FleetFile, FleetHTMLFile}, written)
	data, err := os.ReadFile(filepath.Join(dir, FleetFile))
	require.NoError(t, err)
	var f Fleet
	require.NoError(t, json.Unmarshal(data, &f))
	assert.Equal(t, ExitCheckFailed, f.ExitCode)
	assert.Len(t, f.Clusters, 6)
	assert.Equal(t, FleetVersion, f.SchemaVersion)

	written, err = WriteFleet(filepath.Join(dir, FleetFile), fleet())
	assert.ErrorContains(t, err, "something else has that name")
	assert.Empty(t, written)
}

func TestGitHubIsToldOfEachClusterThatIsNotConformant(t *testing.T) {
	summary := filepath.Join(t.TempDir(), "summary.md")
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary}
	var b strings.Builder
	require.NoError(t, fleet().GitHub(&b, func(name string) string { return env[name] }))
	assert.Equal(t, 4, strings.Count(b.String(), "::error title="))
	assert.Contains(t, b.String(), "::error title=dev%3A set-up failed::")
	content, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Equal(t, string(fleet().Markdown()), string(content))

	b.Reset()
	require.NoError(t, fleet().GitHub(&b, func(string) string { return "" }))
	assert.Empty(t, b.String())
	assert.ErrorContains(t, fleet().GitHub(broken{}, func(name string) string { return env[name] }), "cannot write the annotations")
}

// broken is a writer that cannot be written to.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestALineOfAnotherProcessIsKeptAndNotObeyed(t *testing.T) {
	var b strings.Builder
	term := NewTerminal(&b, Style{Width: 20})
	term.Line("prod", "  ok  a line that is longer than the terminal is wide  ")
	term.Line("prod", hostile)
	lines := strings.Split(b.String(), "\n")
	assert.Equal(t, "prod |   ok  a line that is longer than the terminal is wide", lines[0])
	assert.NotContains(t, b.String(), "\x1b")
}
