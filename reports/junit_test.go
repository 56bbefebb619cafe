package reports

import (
	"encoding/xml"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseJUnit(t *testing.T, r Report) junit.Testsuites {
	t.Helper()
	data, err := JUnit(r)
	require.NoError(t, err)
	var all junit.Testsuites
	require.NoError(t, xml.Unmarshal(data, &all), string(data))
	return all
}

func TestJUnitGolden(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			data, err := JUnit(sample())
			require.NoError(t, err)
			golden(t, name+".junit.xml", string(data))
		})
	}
}

// TestJUnitIsRedExactlyIfTheRunIs also covers runs that went wrong outside of their
// checks.
func TestJUnitIsRedExactlyIfTheRunIs(t *testing.T) {
	reports := map[string]Report{
		"nothing":          {},
		"only provisional": {Checks: []Check{checkWith("a", "p", Provisional, Pass, "")}},
		"only skipped":     {Checks: []Check{checkWith("a", "p", Core, Skip, "r")}},
		"unrun profile":    {Checks: []Check{checkWith("a", "p", Core, Pass, "")}, Profiles: []Profile{{Name: "q"}}},
		"unknown verdict":  {Checks: []Check{checkWith("a", "p", Core, "green", "")}},
		"unknown phase":    {Error: &SetupError{Phase: "gone", Message: "m"}, Phases: []Phase{{"istio", 1}}},
		"interrupted":      {Interrupted: true, Checks: []Check{checkWith("a", "p", Core, Pass, "")}},
		"hostile":          hostileReport(),
	}
	for name, sample := range samples {
		reports[name] = sample()
	}
	for name, r := range reports {
		t.Run(name, func(t *testing.T) {
			all := parseJUnit(t, r)
			r.Conclude()
			assert.Equal(t, r.Verdict != Pass, all.Errors+all.Failures > 0)
			tests, red := 0, 0
			for i, s := range all.Suites {
				assert.Equal(t, i, s.ID)
				assert.Len(t, s.Testcases, s.Tests)
				tests, red = tests+s.Tests, red+s.Errors+s.Failures
			}
			assert.Equal(t, all.Tests, tests)
			assert.Equal(t, all.Errors+all.Failures, red)
		})
	}
}

func TestJUnitOfAFailedCheck(t *testing.T) {
	all := parseJUnit(t, failing())
	var f, e *junit.Result
	for _, s := range all.Suites {
		for _, c := range s.Testcases {
			switch c.Name {
			case "targets-up":
				f = c.Failure
			case "scraper-certificate-rotated":
				e = c.Error
			}
		}
	}
	require.NotNil(t, f)
	assert.Equal(t, "2 of 6 targets are down on prometheus-0", f.Message)
	for _, want := range []string{"cause 1: monitor-without-tls (certain)", "seen: ServiceMonitor", "change: ServiceMonitor", "doc: https://"} {
		assert.Contains(t, f.Data, want)
	}
	require.NotNil(t, e, "what could not be judged is no failure of the subject")
	assert.Equal(t, "the certificate did not change within 3m0s", e.Message)
	assert.Contains(t, e.Data, "last state: serial 7f01")
}

// TestJUnitIsXMLWhateverItQuotes reads the text back: XML 1.0 cannot say most control
// characters at all, and a section of raw text ends where it says so itself.
func TestJUnitIsXMLWhateverItQuotes(t *testing.T) {
	r := failing()
	r.Checks[1].Reason = "a\x00b\x1b[31m\ufffe \xff ]]> <failure> & \u202e"
	r.Checks[1].Evidence[0].Text = "]]></system-out>"
	all := parseJUnit(t, r)
	var c junit.Testcase
	for _, s := range all.Suites {
		for _, k := range s.Testcases {
			if k.Name == "targets-up" {
				c = k
			}
		}
	}
	require.NotNil(t, c.Failure)
	const want = `a\x00b\x1b[31m\ufffe \xff ]]> <failure> & \u202e`
	assert.Equal(t, want, c.Failure.Message)
	assert.Contains(t, c.Failure.Data, want)
	assert.Contains(t, c.SystemOut.Data, "]]></system-out>")
}

func TestJUnitTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0.000", 1499 * time.Microsecond: "0.001", 90 * time.Second: "90.000", -time.Second: "0.000"} {
		assert.Equal(t, want, junitTime(d))
	}
	r := good()
	r.Checks[0].DurationSeconds = math.NaN()
	assert.Equal(t, "0.000", parseJUnit(t, r).Suites[0].Time)
	assert.Equal(t, "2026-09-01T06:30:00Z", parseJUnit(t, r).Suites[0].Timestamp)
}

func TestBlock(t *testing.T) {
	assert.Equal(t, "one\n  two", block("\n one \r\n  two\n\n"))
	assert.Equal(t, `a\rb`+"\n"+`\::error::x`, block("a\rb\n::error::x"))
	long := block(strings.Repeat("ä", mostText))
	assert.LessOrEqual(t, len(long), mostText+100)
	assert.True(t, strings.HasSuffix(long, "whole in report.json)"))
}
