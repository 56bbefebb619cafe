package reports

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var now = began.AddDate(0, 1, 0)

// one is a report with one check besides one that always passes.
func one(v Verdict, l Level) Report {
	r := good()
	r.Timeline = nil
	r.Profiles = nil
	r.Checks = []Check{passing("always", "p")}
	if v != "" {
		r.Checks = append(r.Checks, checkWith("it", "p", l, v, "because"))
	}
	r.Conclude()
	return r
}

func TestCompareVerdicts(t *testing.T) {
	type result struct {
		change Change
		code   ExitCode
	}
	p, f, s, i := Pass, Fail, Skip, Inconclusive
	cases := map[[2]Verdict]result{
		{p, p}: {Unchanged, 0}, {p, f}: {Worse, 1}, {p, s}: {Worse, 6}, {p, i}: {Worse, 6}, {p, ""}: {Vanished, 6},
		{f, p}: {Better, 0}, {f, f}: {Unchanged, 0}, {f, s}: {Changed, 0}, {f, i}: {Changed, 0}, {f, ""}: {Vanished, 0},
		{s, p}: {Better, 0}, {s, f}: {Worse, 1}, {s, s}: {Unchanged, 0}, {s, i}: {Worse, 6}, {s, ""}: {Vanished, 0},
		{i, p}: {Better, 0}, {i, f}: {Worse, 1}, {i, s}: {Changed, 0}, {i, i}: {Unchanged, 0}, {i, ""}: {Vanished, 0},
		{"", p}: {Appeared, 0}, {"", f}: {Appeared, 1}, {"", s}: {Appeared, 0}, {"", i}: {Appeared, 6},
	}
	for verdicts, want := range cases {
		before, after := verdicts[0], verdicts[1]
		c := Compare(one(before, Core), one(after, Core), nil, now)
		require.Len(t, c.Checks, 2)
		assert.Equal(t, want.change, c.Checks[1].Change, "%q to %q", before, after)
		assert.Equal(t, want.code, c.ExitCode, "%q to %q", before, after)
		assert.Equal(t, want.code != 0, len(c.Findings) > 0)
		assert.Equal(t, Unchanged, c.Checks[0].Change)

		c = Compare(one(before, Provisional), one(after, Provisional), nil, now)
		assert.Equal(t, want.change, c.Checks[1].Change)
		assert.Zero(t, c.ExitCode, "%q to %q of a provisional check", before, after)

		c = Compare(one(before, Core), one(after, Core), []Allowance{{"it", "known", now}}, now)
		assert.Zero(t, c.ExitCode, "%q to %q, allowed", before, after)
		assert.Equal(t, want.code != 0, c.Checks[1].Allowed == "known")
		assert.Equal(t, want.code == 0, len(c.Unused) == 1)
	}
	c := Compare(one(Pass, Core), one(Fail, Provisional), nil, now)
	assert.Equal(t, ExitCheckFailed, c.ExitCode, "a check that is made provisional still lost what it proved")
}

func TestCompareRuns(t *testing.T) {
	lost := func(n int) Report {
		r := good()
		track := Track{Subject: "p"}
		for i := range 20 {
			track.Points = append(track.Points, Point{At: began.Add(time.Duration(i) * time.Second), OK: i >= n})
		}
		r.Tracks = []Track{track}
		return r
	}
	// excused is lost, but for a disruption whose check came to a verdict of its own.
	excused := func(n int, v Verdict) Report {
		r := lost(n)
		r.Tracks[0].Bars = []Bar{{began, began.Add(20 * time.Second), DisruptionBar, "productpage is rolled out anew"}}
		for i := range n {
			r.Tracks[0].Points[i].ExcusedBy = "workload-rollout-survived"
		}
		r.Checks = append(r.Checks, checkWith("workload-rollout-survived", "resilience", Provisional, v, "because"))
		r.Conclude()
		return r
	}
	beside := func(n int) Report {
		r := excused(n, Pass)
		r.Tracks[0].Points[n-1].ExcusedBy = ""
		return r
	}
	cases := map[string]struct {
		before, after Report
		code          ExitCode
		says          string
	}{
		"the same":                    {good(), good(), 0, ""},
		"broken":                      {good(), failing(), 1, "targets-up passed and now fails: 2 of 6 targets are down"},
		"mended":                      {failing(), good(), 0, ""},
		"as broken as before":         {failing(), failing(), 0, ""},
		"set-up failed":               {good(), setupFailed(), 2, `the set-up of the later run failed in phase "istio": every pod of istio-system ready: not within 3m0s`},
		"set-up fails again":          {setupFailed(), setupFailed(), 0, ""},
		"left behind":                 {good(), leftBehind(), 3, "the later run left 1 thing behind (kind cluster mtls-scrape-x1)"},
		"left behind again":           {leftBehind(), leftBehind(), 0, ""},
		"stopped":                     {good(), interrupted(), 4, "the later run was stopped before its end"},
		"stopped again":               {interrupted(), interrupted(), 0, ""},
		"scrapes lost":                {lost(1), lost(3), 1, "3 scrapes missed that no check excuses, 1 before"},
		"as many scrapes lost":        {lost(3), lost(3), 0, ""},
		"scrapes lost within a bound": {lost(0), excused(3, Pass), 0, ""},
		"one more beyond it":          {lost(0), beside(3), 1, "1 scrape missed that no check excuses, 0 before"},
		"a bound that did not hold":   {lost(0), excused(3, Fail), 1, "3 scrapes missed that no check excuses, 0 before"},
		"a bound that nobody judged":  {lost(0), excused(3, Inconclusive), 1, "3 scrapes missed that no check excuses, 0 before"},
		"a bound that was given up":   {excused(3, Pass), lost(3), 1, "3 scrapes missed that no check excuses, 0 before"},
		"fewer, but no more excused":  {excused(9, Pass), lost(1), 1, "1 scrape missed that no check excuses, 0 before"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Compare(c.before, c.after, nil, now)
			assert.Equal(t, c.code, got.ExitCode)
			all := strings.Join(got.Findings, "\n")
			if c.says == "" {
				assert.Empty(t, all)
				return
			}
			assert.Contains(t, all, c.says)
		})
	}
	got := Compare(lost(1), lost(3), []Allowance{{LostScrapes, "the load test", now}}, now)
	assert.Zero(t, got.ExitCode)
	assert.Empty(t, got.Unused)
	assert.Equal(t, []LostChange{{"p", 1, 3}}, got.Lost)

	got = Compare(good(), failing(), []Allowance{{"targets-up", "known", now.AddDate(0, 0, -2)}}, now)
	assert.Equal(t, ExitCheckFailed, got.ExitCode, "what has expired does not count")
	assert.Len(t, got.Expired, 1)
	assert.Empty(t, got.Unused)
}

// TestCompareBelievesNothing compares reports that say of themselves what they are not.
func TestCompareBelievesNothing(t *testing.T) {
	forged := failing()
	forged.Verdict, forged.ExitCode = Pass, 0
	c := Compare(good(), forged, nil, now)
	assert.Equal(t, Fail, c.After.Verdict)
	assert.Equal(t, ExitCheckFailed, c.ExitCode)
}

// upgraded is a comparison with something of everything.
func upgraded() Comparison {
	before, after := rotated(), failing()
	before.Checks = append(before.Checks, passing("identity-authorized", "refusal"), checkWith("side-doors-known", "refusal", Extended, Fail, "port 15090"))
	after.Checks = append(after.Checks, checkWith("plaintext-refused", "refusal", Core, Fail, "HTTP 200"), passing("side-doors-known", "refusal"))
	after.Subject.Istio, after.Subject.Operator = "1.32.0", ""
	after.EndedAt = after.EndedAt.Add(20 * time.Second)
	after.Phases[0].Seconds = 60
	after.Timeline = append(after.Timeline, Event{began, ScrapeMissed, "prometheus-0", "x"}, Event{began, ScrapeMissed, "prometheus-0", "y"})
	return Compare(before, after, []Allowance{
		{"plaintext-refused", "issue 7: | the gateway", day("2027-01-31")}, {"targets-up", "old", day("2026-09-01")}, {"targets-complete", "gone", day("2027-01-31")},
	}, now)
}

func TestComparisonGolden(t *testing.T) {
	var b strings.Builder
	NewTerminal(&b, Style{}).Comparison(upgraded())
	golden(t, "comparison.txt", b.String())
	golden(t, "comparison.md", string(upgraded().Markdown()))
	data, err := upgraded().JSON()
	require.NoError(t, err)
	golden(t, "comparison.json", string(data))
	var back Comparison
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, upgraded(), back)
	assert.NotContains(t, string(data), "null")
}

func TestComparisonOfHostileText(t *testing.T) {
	c := Compare(good(), hostileReport(), []Allowance{{hostile, hostile, now}, {"b", hostile, began}}, now)
	var b strings.Builder
	NewTerminal(&b, Style{Width: 40}).Comparison(c)
	for _, r := range b.String() {
		assert.True(t, r == '\n' || r >= ' ' && r < 0x7f, "%q", r)
	}
	for line := range strings.Lines(b.String()) {
		assert.NotRegexp(t, `^\s*::`, line)
	}
	_, kinds := shown(string(c.Markdown()))
	assert.Zero(t, kinds["Link"]+kinds["RawHTML"]+kinds["HTMLBlock"]+kinds["Image"])
	r := good()
	r.Checks[0].DurationSeconds = math.NaN()
	_, err := Compare(r, r, nil, now).JSON()
	require.NoError(t, err)
}

func TestCompareFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, write(at("a"), good()))
	require.NoError(t, write(at("b"), failing()))
	require.NoError(t, os.WriteFile(at("allow"), []byte("- {id: targets-up, reason: r, expires: 2100-01-01}\n- {id: scraper-certificate-rotated, reason: r, expires: 2100-01-01}"), 0o600))

	c, err := CompareFiles(at("a"), filepath.Join(at("b"), FileName), "", now)
	require.NoError(t, err)
	assert.Equal(t, ExitCheckFailed, c.ExitCode)
	c, err = CompareFiles(at("a"), at("b"), at("allow"), now)
	require.NoError(t, err)
	assert.Equal(t, ExitLeftovers, c.ExitCode, "an allow-list says nothing of how a run ended")

	_, err = CompareFiles(at("a"), at("gone"), "", now)
	require.ErrorContains(t, err, "cannot compare with "+at("gone")+": there is no report")
	_, err = CompareFiles(at("a"), at("b"), at("gone"), now)
	require.ErrorContains(t, err, "there is no allow-list at")

	r := failing()
	data, err := Encode(r)
	require.NoError(t, err)
	forged := strings.Replace(string(data), `"exitCode": 1`, `"exitCode": 0`, 1)
	require.NoError(t, os.WriteFile(filepath.Join(at("b"), FileName), []byte(forged), 0o600))
	_, err = CompareFiles(at("a"), at("b"), "", now)
	require.ErrorContains(t, err, "contradicts itself")
	assert.NotContains(t, err.Error(), "\n", "one sentence")
}
