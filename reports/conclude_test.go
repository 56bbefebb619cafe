package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConclude(t *testing.T) {
	core := func(v Verdict) Check { return checkWith("a-"+string(v), "p", Core, v, "because") }
	trial := func(v Verdict) Check { return checkWith("t-"+string(v), "q", Provisional, v, "because") }
	broken := &SetupError{Phase: "istio", Message: "no"}
	cases := map[string]struct {
		report  Report
		verdict Verdict
		code    ExitCode
		tally   [3]int // passed, failed, skipped
	}{
		"nothing at all":                    {Report{}, Inconclusive, ExitInconclusive, [3]int{0, 1, 0}},
		"one pass":                          {Report{Checks: []Check{core(Pass)}}, Pass, ExitConformant, [3]int{1, 0, 0}},
		"a pass and a skip":                 {Report{Checks: []Check{core(Pass), core(Skip)}}, Pass, ExitConformant, [3]int{1, 0, 1}},
		"all skipped":                       {Report{Checks: []Check{core(Skip)}}, Inconclusive, ExitInconclusive, [3]int{0, 1, 1}},
		"a failure":                         {Report{Checks: []Check{core(Pass), core(Fail)}}, Fail, ExitCheckFailed, [3]int{1, 1, 0}},
		"a failure and an unjudged one":     {Report{Checks: []Check{core(Inconclusive), core(Fail)}}, Fail, ExitCheckFailed, [3]int{0, 2, 0}},
		"an unjudged one":                   {Report{Checks: []Check{core(Pass), core(Inconclusive)}}, Inconclusive, ExitInconclusive, [3]int{1, 1, 0}},
		"an unknown verdict is unjudged":    {Report{Checks: []Check{core(Pass), core("green")}}, Inconclusive, ExitInconclusive, [3]int{1, 1, 0}},
		"an unknown level gates":            {Report{Checks: []Check{core(Pass), checkWith("x", "p", "cor", Fail, "r")}}, Fail, ExitCheckFailed, [3]int{1, 1, 0}},
		"an extended failure gates":         {Report{Checks: []Check{core(Pass), checkWith("x", "p", Extended, Fail, "r")}}, Fail, ExitCheckFailed, [3]int{1, 1, 0}},
		"a provisional failure does not":    {Report{Checks: []Check{core(Pass), trial(Fail), trial(Inconclusive)}}, Pass, ExitConformant, [3]int{1, 0, 2}},
		"a provisional pass proves nothing": {Report{Checks: []Check{trial(Pass)}}, Inconclusive, ExitInconclusive, [3]int{1, 1, 0}},
		"a profile asked for and not run":   {Report{Checks: []Check{core(Pass)}, Profiles: []Profile{{Name: "rotation"}}}, Inconclusive, ExitInconclusive, [3]int{1, 1, 0}},
		"set-up failed":                     {Report{Error: broken}, Inconclusive, ExitSetupFailed, [3]int{0, 1, 0}},
		"set-up failed after a pass":        {Report{Error: broken, Checks: []Check{core(Pass)}}, Inconclusive, ExitSetupFailed, [3]int{1, 1, 0}},
		"set-up failed after a failure":     {Report{Error: broken, Checks: []Check{core(Fail)}}, Fail, ExitCheckFailed, [3]int{0, 1, 0}},
		"set-up failed with leftovers":      {Report{Error: broken, Leftovers: []string{"x"}}, Fail, ExitSetupFailed, [3]int{0, 1, 0}},
		"leftovers after a pass":            {Report{Leftovers: []string{"x"}, Checks: []Check{core(Pass)}}, Fail, ExitLeftovers, [3]int{1, 1, 0}},
		"leftovers after an unjudged one":   {Report{Leftovers: []string{"x"}, Checks: []Check{core(Inconclusive)}}, Fail, ExitLeftovers, [3]int{0, 1, 0}},
		"leftovers hide no failure":         {Report{Leftovers: []string{"x"}, Checks: []Check{core(Fail)}}, Fail, ExitCheckFailed, [3]int{0, 1, 0}},
		"interrupted after a pass":          {Report{Interrupted: true, Checks: []Check{core(Pass)}}, Inconclusive, ExitInterrupted, [3]int{1, 1, 0}},
		"interrupted after a failure":       {Report{Interrupted: true, Checks: []Check{core(Fail)}}, Fail, ExitInterrupted, [3]int{0, 1, 0}},
		"interrupted in the set-up":         {Report{Interrupted: true, Error: broken}, Inconclusive, ExitInterrupted, [3]int{0, 1, 0}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := c.report
			r.Conclude()
			assert.Equal(t, c.verdict, r.Verdict)
			assert.Equal(t, c.code, r.ExitCode)
			passed, failed, skipped := r.Tally()
			assert.Equal(t, c.tally, [3]int{passed, failed, skipped})

			assert.Equal(t, r.Verdict == Pass, r.ExitCode == ExitConformant)
			assert.Equal(t, r.ExitCode == ExitConformant, failed == 0)
			again := r
			again.Conclude()
			assert.Equal(t, r, again, "concluding twice changes nothing")
		})
	}
}

func TestConcludeProfiles(t *testing.T) {
	r := Report{
		Profiles: []Profile{{Name: "late", Passed: 9, Verdict: Pass}, {Name: "setup"}},
		Checks: []Check{
			checkWith("a", "setup", Core, Pass, ""),
			checkWith("b", "setup", Extended, Skip, "r"),
			checkWith("c", "other", Core, Skip, "r"),
			checkWith("d", "trial", Provisional, Pass, ""),
			checkWith("e", "trial", Provisional, Fail, "r"),
			checkWith("f", "mixed", Core, Inconclusive, "r"),
			checkWith("g", "mixed", Core, Fail, "r"),
		},
	}
	r.Conclude()
	assert.Equal(t, []Profile{
		{Name: "late", Verdict: Inconclusive},
		{Name: "setup", Verdict: Pass, Passed: 1, Skipped: 1, Claimed: true},
		{Name: "other", Verdict: Skip, Skipped: 1},
		{Name: "trial", Verdict: Skip, Passed: 1, Failed: 1},
		{Name: "mixed", Verdict: Fail, Failed: 1, Inconclusive: 1},
	}, r.Profiles)
}

func TestHeadline(t *testing.T) {
	want := map[string]string{
		"good":         "every check that applies passed",
		"failing":      "1 check failed (targets-up); 2 things remained behind (namespace/mtls-scrape-x1, volume x1-images); 1 check could not be judged (scraper-certificate-rotated)",
		"setup-failed": `set-up failed in phase "istio": every pod of istio-system ready: not within 3m0s`,
		"interrupted":  "the run was stopped before its end; 1 check failed (targets-up); 1 check could not be judged (scraper-certificate-rotated)",
		"leftovers":    "every check that applies passed, but 1 thing remained behind (kind cluster mtls-scrape-x1)",
		"rotated":      "every check that applies passed",
		"seen-in-part": "every check that was made passed; setup not claimed, 1 core check skipped (certificates-mounted); rotation not claimed, 2 core checks not run (scraper-certificate-rotated, target-certificate-rotated)",
	}
	for name, sample := range samples {
		assert.Equal(t, want[name], sample().Headline(), name)
	}
	none := Report{Profiles: []Profile{{Name: "rotation"}}}
	none.Conclude()
	assert.Equal(t, "1 profile ran no check (rotation); no check that counts was executed", none.Headline())
	assert.Equal(t, "a, b, c and 2 more", some([]string{"a", "b", "c", "d", "e"}))
}

func TestExitCodesAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for c := ExitConformant; c <= ExitInconclusive; c++ {
		assert.NotContains(t, c.String(), "unknown")
		assert.False(t, seen[c.String()])
		seen[c.String()] = true
	}
	assert.Equal(t, "unknown exit code 7", ExitCode(7).String())
}

func TestValidateAcceptsTheSamples(t *testing.T) {
	for name, sample := range samples {
		assert.NoError(t, sample().Validate(), name)
	}
}

func TestValidateNamesEachDefect(t *testing.T) {
	cases := map[string]struct {
		change func(*Report)
		says   string
	}{
		"version":              {func(r *Report) { r.SchemaVersion = "2.0" }, `schemaVersion "2.0" is not one of ` + SchemaVersion},
		"run id":               {func(r *Report) { r.RunID = "../x" }, `runId: "../x" is not a plain directory name`},
		"no run id":            {func(r *Report) { r.RunID = "" }, `runId: it is empty`},
		"reserved run id":      {func(r *Report) { r.RunID = "latest" }, `runId: "latest" is a reserved name`},
		"no start":             {func(r *Report) { r.StartedAt = time.Time{} }, "startedAt is not set"},
		"end before start":     {func(r *Report) { r.EndedAt = r.StartedAt.Add(-1) }, "is before startedAt"},
		"error says nothing":   {func(r *Report) { r.Error = &SetupError{}; r.Conclude() }, "error: no message"},
		"leftover says nought": {func(r *Report) { r.Leftovers = []string{" "}; r.Conclude() }, "leftovers[0] names nothing"},
		"duplicate id":         {func(r *Report) { r.Checks[1].ID = r.Checks[0].ID }, "check prometheus-sidecar-injected: listed twice"},
		"bad id":               {func(r *Report) { r.Checks[0].ID = "Bad ID" }, `checks[0]: id "Bad ID" is not lower-case words`},
		"no title":             {func(r *Report) { r.Checks[0].Title = "" }, "no title"},
		"no profile":           {func(r *Report) { r.Checks[0].Profile = ""; r.Conclude() }, "no profile"},
		"unknown level":        {func(r *Report) { r.Checks[0].Level = "cor" }, `unknown level "cor"`},
		"unknown verdict":      {func(r *Report) { r.Checks[0].Verdict = "ok"; r.Conclude() }, `unknown verdict "ok"`},
		"negative duration":    {func(r *Report) { r.Checks[0].DurationSeconds = -1 }, "-1 is not a duration"},
		"pass without proof":   {func(r *Report) { r.Checks[0].Evidence = nil }, "pass without evidence"},
		"pass with causes":     {func(r *Report) { r.Checks[0].Causes = failing().Checks[1].Causes }, "pass with causes"},
		"skip without reason":  {func(r *Report) { r.Checks[2].Reason = "" }, "skip without a reason"},
		"blank evidence":       {func(r *Report) { r.Checks[0].Evidence[0].Text = " " }, "evidence[0] has no source or no text"},
		"blank cause":          {func(r *Report) { r.Checks[3].Causes = []Cause{{Confidence: Likely}} }, "causes[0] lacks code"},
		"unknown confidence":   {func(r *Report) { r.Checks[3].Causes = []Cause{{"c", "s", "ch", "", "sure"}} }, `unknown confidence "sure"`},
		"nameless phase":       {func(r *Report) { r.Phases[0].Name = "" }, "phases[0]: no name"},
		"negative phase":       {func(r *Report) { r.Phases[0].Seconds = -1 }, "phase images: -1 is not a duration"},
		"event without time":   {func(r *Report) { r.Timeline[0].At = time.Time{} }, "timeline[0]: no time"},
		"event without kind":   {func(r *Report) { r.Timeline[0].Kind = "" }, "timeline[0]: no kind"},
		"track of nothing":     {func(r *Report) { r.Tracks = []Track{{}} }, "tracks[0]: no subject"},
		"bar that ends first": {func(r *Report) {
			r.Tracks = []Track{{Subject: "s", Bars: []Bar{{From: began, To: began.Add(-1), Kind: CertificateBar}}}}
		}, "tracks[0]: bars[0] does not go"},
		"bar of no kind":     {func(r *Report) { r.Tracks = []Track{{Subject: "s", Bars: []Bar{{From: began, To: began}}}} }, "bars[0] has no kind"},
		"point without time": {func(r *Report) { r.Tracks = []Track{{Subject: "s", Points: []Point{{}}}} }, "points[0] has no time"},
		"flipped check":      {func(r *Report) { r.Checks[0].Verdict, r.Checks[0].Reason = Fail, "r" }, `verdict is "pass", the checks say "fail"`},
		"dropped check":      {func(r *Report) { r.Checks = r.Checks[1:] }, `profile setup: counts 1 passed, its checks say not run`},
		"flipped profile":    {func(r *Report) { r.Profiles[2].Verdict = Pass }, `profile secure-ports: verdict is "pass", its checks say "skip"`},
		"edited tally":       {func(r *Report) { r.Profiles[0].Passed = 5 }, "profile setup: counts 5 passed, its checks say 1 passed"},
		"claim":              {func(r *Report) { r.Profiles[0].Claimed = false }, "profile setup: claimed is false, its checks say true"},
		"pass left out":      {func(r *Report) { r.Checks[0].LeftOut = true }, `left out and yet "pass"`},
		"dropped profile":    {func(r *Report) { r.Profiles = r.Profiles[1:] }, "profile setup: has checks but is not listed"},
		"profile twice":      {func(r *Report) { r.Profiles = append(r.Profiles, r.Profiles[0]) }, "profile setup: listed twice"},
		"nameless profile":   {func(r *Report) { r.Profiles = append(r.Profiles, Profile{}) }, "profiles[3]: no name"},
		"edited exit code":   {func(r *Report) { r.ExitCode = ExitUsage }, "exitCode is 5, the checks say 0 (conformant)"},
		"never concluded":    {func(r *Report) { r.Verdict = "" }, `verdict is "", the checks say "pass"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := good()
			c.change(&r)
			require.ErrorContains(t, r.Validate(), c.says)
		})
	}
}

func TestValidateListsAllInOneError(t *testing.T) {
	r := good()
	r.RunID, r.Verdict, r.Checks[0].Evidence = "", Fail, nil
	err := r.Validate()
	require.ErrorContains(t, err, "(3 findings)")
	assert.Len(t, strings.Split(err.Error(), "\n"), 4)
}

func TestConclusionLeavesItsInputAlone(t *testing.T) {
	r := failing()
	before := r.Profiles
	kept := append([]Profile(nil), before...)
	r.Checks = r.Checks[:1]
	r.Conclude()
	assert.Equal(t, kept, before, "a copy that shares the slice must not change")
}
