package reports

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDecodeRefuses(t *testing.T) {
	cases := map[string]struct{ text, says string }{
		"nothing":            {"", "is empty"},
		"blanks":             {" \n", "is empty"},
		"cut off":            {"{\"schemaVersion\":\"1.0\",\n \"runId\":\"x", "is not JSON: line 2 column 11"},
		"a stray character":  {"{\n  \"schemaVersion\": \"1.0\",\n  \"runId\": ?\n}", "is not JSON: line 3 column 12 (byte 40)"},
		"two documents":      {`{"schemaVersion":"1.0"} {}`, "is not JSON: line 1 column 25"},
		"a list":             {"[]", "is not a report: line 1"},
		"null":               {"null", "has no schemaVersion"},
		"no version":         {`{"runId":"x"}`, "has no schemaVersion"},
		"a number as such":   {`{"schemaVersion":1}`, "has no schemaVersion"},
		"half a version":     {`{"schemaVersion":"1"}`, "has no schemaVersion"},
		"words as a version": {`{"schemaVersion":"one.two"}`, "has no schemaVersion"},
		"a later version":    {`{"schemaVersion":"2.1","checks":7}`, `has schemaVersion "2.1", but this build reads 1.x`},
		"a wrong type":       {"{\"schemaVersion\":\"1.0\",\n\"checks\":7}", "is not a report: line 2 column 10"},
		"a wrong time":       {"{\"schemaVersion\":\"1.0\",\n\"startedAt\":\"yesterday\"}", "is not a report: line 2 column 14"},
		"a time of no type":  {`{"schemaVersion":"1.0","startedAt":7}`, "is not a report"},
		"two verdicts":       {`{"schemaVersion":"1.0","verdict":"fail","verdict":"pass"}`, `the name "verdict" occurs twice`},
		"two spellings":      {`{"schemaVersion":"1.0","verdict":"fail","Verdict":"pass"}`, `the name "Verdict" occurs twice`},
		"a Kelvin sign":      {`{"schemaVersion":"1.0","checks":[],"chec` + "\u212a" + `s":[]}`, "occurs twice"},
		"two in a check":     {`{"schemaVersion":"1.0","checks":[{"id":"a"},{"id":"b","level":"core","id":"c"}]}`, `the name "id" occurs twice`},
		"two settings":       {`{"schemaVersion":"1.0","configuration":{"a":"1","a":"2"}}`, `the name "a" occurs twice`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(c.text))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestDecodeTolerates(t *testing.T) {
	for name, text := range map[string]string{
		"a later minor version and its fields": `{"schemaVersion":"1.7","new":{"a":[{"b":1},{"b":2}]},"checks":[{"id":"a","new":1},{"id":"b"}]}`,
		"settings that differ in case":         `{"schemaVersion":"1.0","configuration":{"from":"1","FROM":"2"}}`,
		"a name as a value":                    `{"schemaVersion":"1.0","runId":"runId","leftovers":["runId","runId"]}`,
	} {
		_, err := Decode([]byte(text))
		assert.NoError(t, err, name)
	}
}

func TestReadNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Read(dir)
	require.ErrorContains(t, err, "there is no report at "+filepath.Join(dir, FileName))
	require.NoError(t, replace(filepath.Join(dir, FileName), []byte("{")))
	_, err = Read(dir)
	require.ErrorContains(t, err, filepath.Join(dir, FileName)+": is not JSON")
}

// FuzzRead looks for a text that crashes the reader, or that reads as a report which
// changes when it is written again.
func FuzzRead(f *testing.F) {
	for _, sample := range samples {
		data, err := Encode(sample())
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"schemaVersion":"1.0","startedAt":"9999-12-31T23:59:59-23:59"}`))
	f.Add([]byte(`{"schemaVersion":"1.0","checks":[{"verdict":"?","level":""}],"configuration":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		_ = r.Validate()
		_ = r.Headline()
		first, err := Encode(r)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		again, err := Decode(first)
		if err != nil {
			t.Fatalf("written but not read: %v\n%s", err, first)
		}
		second, err := Encode(again)
		if err != nil || string(first) != string(second) {
			t.Fatalf("changed by reading: %v\n%s\n%s", err, first, second)
		}
	})
}
