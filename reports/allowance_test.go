package reports

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestParseAllowances(t *testing.T) {
	got, err := ParseAllowances([]byte(`# known
- id: targets-up
  reason: "issue 12: reviews is being moved"
  expires: 2026-12-31
- {id: lost-scrapes, reason: r, expires: "2027-01-01"}
`))
	require.NoError(t, err)
	assert.Equal(t, []Allowance{
		{"targets-up", "issue 12: reviews is being moved", day("2026-12-31")}, {LostScrapes, "r", day("2027-01-01")},
	}, got)
	for name, text := range map[string]string{"nothing": "", "a comment": "# none\n", "an empty list": "[]", "null": "null\n", "a mark": "---\n"} {
		got, err := ParseAllowances([]byte(text))
		require.NoError(t, err, name)
		assert.Empty(t, got, name)
	}
}

func TestParseAllowancesRefuses(t *testing.T) {
	const whole = "- {id: a, reason: r, expires: 2026-12-31}\n"
	cases := map[string]struct{ text, says string }{
		"no YAML":           {"- id: [", "is not YAML: line 1"},
		"a tab":             {"-\tid: a\n\tb", "is not YAML: found character"},
		"a mapping":         {"allow: []", "line 1: is not a list"},
		"a word":            {"all", "line 1: is not a list"},
		"two documents":     {whole + "---\n" + whole, "has more than one document"},
		"half a document":   {whole + "--- [", "has more than one document"},
		"a word as entry":   {"- targets-up", "line 1: is no entry"},
		"null as entry":     {"-", "is no entry"},
		"an unknown field":  {whole + "- id: b\n  reason: r\n  expiry: 2026-12-31", `line 4: unknown field "expiry"`},
		"another case":      {"- {ID: a, reason: r, expires: 2026-12-31}", `unknown field "ID"`},
		"a field twice":     {"- id: a\n  id: b\n  reason: r\n  expires: 2026-12-31", "line 2: id is given twice"},
		"a list as field":   {"- {id: [a], reason: r, expires: 2026-12-31}", "line 1: id is not a plain text"},
		"an alias":          {"- {id: &x a, reason: *x, expires: 2026-12-31}", "reason is not a plain text"},
		"no id":             {"- {reason: r, expires: 2026-12-31}", "the entry has no id"},
		"a pattern":         {`- {id: "targets-*", reason: r, expires: 2026-12-31}`, `"targets-*" is not the ID of a check`},
		"no reason":         {"- {id: a, expires: 2026-12-31}", "the entry for a has no reason"},
		"a blank reason":    {`- {id: a, reason: " ", expires: 2026-12-31}`, "the entry for a has no reason"},
		"no end":            {"- {id: a, reason: r}", "the entry for a does not expire"},
		"an end in words":   {"- {id: a, reason: r, expires: never}", `"never" is not a day like 2026-12-31`},
		"no such day":       {"- {id: a, reason: r, expires: 2026-02-30}", `"2026-02-30" is not a day`},
		"a time of day":     {"- {id: a, reason: r, expires: 2026-12-31T10:00:00Z}", "is not a day"},
		"the same ID twice": {whole + whole, "line 2: a is listed twice"},
		"something huge":    {"#" + strings.Repeat("x", mostAllowances), "no allow-list"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseAllowances([]byte(c.text))
			require.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), "\n", "one sentence")
			assert.Empty(t, got)
		})
	}
}

func TestAllowanceCountsThroughItsLastDay(t *testing.T) {
	a := Allowance{Expires: day("2026-12-31")}
	assert.False(t, a.expired(time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)))
	assert.True(t, a.expired(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
	assert.False(t, a.expired(time.Date(2027, 1, 1, 1, 0, 0, 0, time.FixedZone("east", 7200))), "days are those of UTC")
}

func TestReadAllowances(t *testing.T) {
	path := filepath.Join(t.TempDir(), "allow.yaml")
	_, err := ReadAllowances(path)
	require.ErrorContains(t, err, "there is no allow-list at "+path)
	require.NoError(t, os.WriteFile(path, []byte("- {}"), 0o600))
	_, err = ReadAllowances(path)
	require.ErrorContains(t, err, "allow-list "+path+": line 1: the entry has no id")
}

// FuzzParseAllowances looks for a text that crashes the parser, or that gives an
// entry which says less than it must.
func FuzzParseAllowances(f *testing.F) {
	for _, s := range []string{"", "- {id: a, reason: r, expires: 2026-12-31}", "- id: a\n  <<: &x {}\n", "a: *a", "- !!binary x", "? []", "--- !x\n- &a [*a]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseAllowances(data)
		if err != nil {
			if list != nil || strings.TrimSpace(err.Error()) == "" {
				t.Fatalf("half an answer: %v, %v", list, err)
			}
			return
		}
		seen := map[string]bool{}
		for _, a := range list {
			if !checkID.MatchString(a.ID) || a.Reason == "" || a.Expires.IsZero() || seen[a.ID] {
				t.Fatalf("half an entry: %+v", a)
			}
			seen[a.ID] = true
		}
	})
}
