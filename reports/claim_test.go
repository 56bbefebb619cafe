package reports

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestClaims goes through what keeps a profile that passed from being claimed.
func TestClaims(t *testing.T) {
	one := passing("a", "p")
	cases := map[string]struct {
		second  *Check
		claimed bool
		word    string
		says    string
	}{
		"all passed":       {new(passing("b", "p")), true, "conformant", "every check that applies passed"},
		"nothing to judge": {new(checkWith("b", "p", Core, Skip, "r")), true, "conformant", "every check that applies passed"},
		"left out":         {leftOut("b", "p"), false, asSeen, "p not claimed, 1 core check skipped (b)"},
		"not run":          {nil, false, asSeen, "p not claimed, 1 core check not run (b)"},
		"elsewhere":        {new(passing("b", "q")), false, asSeen, "p not claimed, 1 core check not run (b)"},
		"failed":           {new(checkWith("b", "p", Core, Fail, "r")), false, "not conformant", "1 check failed (b)"},
		"not judged":       {new(checkWith("b", "p", Core, Inconclusive, "r")), false, "inconclusive", "1 check could not be judged (b)"},
		"only on trial":    {new(checkWith("b", "p", Provisional, Fail, "r")), false, asSeen, "p not claimed, 1 core check not passed (b)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := Report{Profiles: []Profile{{Name: "p", Required: []string{"a", "b"}}}, Checks: []Check{one}}
			if c.second != nil {
				r.Checks = append(r.Checks, *c.second)
			}
			r.Conclude()
			assert.Equal(t, c.claimed, r.Profiles[0].Claimed)
			assert.Equal(t, c.word, r.Word())
			assert.Contains(t, r.Headline(), c.says)
			assert.Equal(t, r.Verdict == Pass, r.ExitCode == ExitConformant, "a lowered claim is no failure")
			assert.Equal(t, c.claimed, strings.HasPrefix(strings.Join(r.Claims(), ","), "p"))
		})
	}
}

func leftOut(id, profile string) *Check {
	c := checkWith(id, profile, Core, Skip, "that takes -permit=exec")
	c.LeftOut = true
	return &c
}

// TestEveryFormatSaysThatLessIsClaimed looks for the words where a person looks first.
func TestEveryFormatSaysThatLessIsClaimed(t *testing.T) {
	r := seenInPart()
	require.Equal(t, ExitConformant, r.ExitCode)
	for file, want := range map[string][]string{
		HTMLFile:     {"<title>" + asSeen, "setup not claimed, 1 core check skipped"},
		MarkdownFile: {"mTLS scrape conformance: " + asSeen, "setup not claimed, 1 core check skipped", "pass, not claimed"},
		JUnitFile:    {`<property name="outcome" value="` + asSeen, `<property name="claims" value="scrape"`},
		MetricsFile:  {`profile_claimed{profile="setup"} 0`, `profile_claimed{profile="scrape"} 1`},
		BadgeFile:    {asSeen + ": scrape"},
	} {
		for _, f := range Formats() {
			if f.File != file {
				continue
			}
			data, err := f.Render(r)
			require.NoError(t, err)
			for _, w := range want {
				assert.Contains(t, string(data), w, file)
			}
		}
	}
	var shown strings.Builder
	NewTerminal(&shown, Style{}).Summary(r, "")
	assert.Contains(t, shown.String(), "  CONFORMANT AS FAR AS SEEN (exit code 0)\n")
	assert.Contains(t, Annotations(r), "::notice title="+asSeen)
}

// TestAnOlderReportClaimsWhatPassed reads a report that does not know of claims.
func TestAnOlderReportClaimsWhatPassed(t *testing.T) {
	data, err := Encode(good())
	require.NoError(t, err)
	var doc node
	require.NoError(t, json.Unmarshal(data, &doc))
	doc["schemaVersion"] = "1.2"
	for _, p := range doc["profiles"].([]any) {
		delete(p.(node), "claimed")
	}
	data, err = json.Marshal(doc)
	require.NoError(t, err)
	r, err := Decode(data)
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	assert.Equal(t, []string{"setup", "scrape"}, r.Claims())
}

// lowered is a report that does not claim one of its two profiles.
func lowered() Report {
	r := certified()
	r.Checks[1] = *leftOut("certificates-mounted", "setup")
	r.Profiles = []Profile{{Name: "setup", Required: requiredChecks(r, "setup")}, {Name: "scrape", Required: requiredChecks(r, "scrape")}}
	r.Conclude()
	return r
}

func TestVerifyOfALoweredClaim(t *testing.T) {
	v := newBench(t, lowered(), testKey(1)).verify(publicOf(testKey(1)))
	assert.Empty(t, v.Findings)
	assert.Equal(t, []string{"the report does not claim the profile setup, of which it has 1 passed, 1 skipped"}, v.Notes)
	assert.Equal(t, "proven: scrape", v.Headline())
	assert.Equal(t, ExitConformant, v.ExitCode())

	none := lowered()
	none.Checks, none.Profiles = none.Checks[:2], none.Profiles[:1]
	none.Conclude()
	v = newBench(t, none, testKey(1)).verify(publicOf(testKey(1)))
	assert.Empty(t, v.Findings)
	assert.Equal(t, ExitInconclusive, v.ExitCode(), "nothing is proven")
	assert.Contains(t, v.Headline(), "it claims no profile")
}
