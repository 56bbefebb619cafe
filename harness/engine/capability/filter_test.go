package capability

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var missing = []string{"CAP_SYS_RESOURCE"}

func TestFilter(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"every set of a specification": {
			`{"ociVersion":"1.0.2","process":{"args":["sh"],"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"],` +
				`"inheritable":["CAP_SYS_RESOURCE","CAP_KILL"],"permitted":["CAP_SYS_RESOURCE"],"ambient":["CAP_SYS_RESOURCE"]}}}`,
			`{"ociVersion":"1.0.2","process":{"args":["sh"],"capabilities":{"bounding":["CAP_CHOWN"],"effective":[],` +
				`"inheritable":["CAP_KILL"],"permitted":[],"ambient":[]}}}`,
		},
		"a process alone": {
			`{"args":["sh"],"capabilities":{"bounding":["CAP_SYS_RESOURCE","CAP_CHOWN"]}}`,
			`{"args":["sh"],"capabilities":{"bounding":["CAP_CHOWN"]}}`,
		},
		"unknown members and long numbers survive": {
			`{"new":{"n":12345678901234567890.10,"s":"<&>"},"process":{"x":[1e400],"capabilities":{"future":["CAP_SYS_RESOURCE"],"bounding":["CAP_SYS_RESOURCE"]}}}`,
			`{"new":{"n":12345678901234567890.10,"s":"<&>"},"process":{"capabilities":{"bounding":[],"future":["CAP_SYS_RESOURCE"]},"x":[1e400]}}`,
		},
		"a name elsewhere is no capability": {
			`{"process":{"env":["CAP_SYS_RESOURCE"]},"annotations":{"a":"CAP_SYS_RESOURCE"}}`,
			`{"process":{"env":["CAP_SYS_RESOURCE"]},"annotations":{"a":"CAP_SYS_RESOURCE"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Filter([]byte(c.spec), missing)
			require.NoError(t, err)
			assert.Equal(t, decode(t, c.want), decode(t, string(got)))
			assert.NotContains(t, string(got), `\u003c`, "strings are not escaped anew")
		})
	}
}

func TestFilterLeavesByteForByte(t *testing.T) {
	for name, spec := range map[string]string{
		"nothing to remove":    "{ \"process\" : {\"capabilities\": {\"bounding\": [ \"CAP_CHOWN\" ]}}}\n",
		"no capabilities":      `{"process":{"args":[ ]}}`,
		"null capabilities":    `{"process":{"capabilities": null}}`,
		"null set":             `{"process":{"capabilities":{"bounding": null}}}`,
		"null process":         `{"process": null}`,
		"an empty object":      ` {} `,
		"process is the whole": `{"process":{}, "capabilities":["CAP_SYS_RESOURCE"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Filter([]byte(spec), missing)
			require.NoError(t, err)
			assert.Equal(t, spec, string(got))
		})
	}
	spec := `{"process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE"]}}}`
	got, err := Filter([]byte(spec), nil)
	require.NoError(t, err)
	assert.Equal(t, spec, string(got), "a host that holds everything")
}

func TestFilterRefuses(t *testing.T) {
	for spec, want := range map[string]string{
		``:              "not an OCI runtime specification",
		`null`:          "not an OCI runtime specification",
		`[]`:            "not an OCI runtime specification",
		`{} {}`:         "not an OCI runtime specification",
		`{"process":3}`: "the member process",
		`{"process":{"capabilities":["CAP_CHOWN"]}}`:       "the member capabilities",
		`{"process":{"capabilities":{"permitted":"ALL"}}}`: "the capability set permitted",
	} {
		_, err := Filter([]byte(spec), missing)
		assert.ErrorContains(t, err, want, "%s", spec)
	}
}

// FuzzFilter checks, for whatever is accepted, that the missing capability is
// gone from the five sets, that all else means what it meant, and that a second
// pass has nothing left to do.
func FuzzFilter(f *testing.F) {
	for _, spec := range []string{
		`{"process":{"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"ambient":null,"permitted":[]}}}`,
		`{"capabilities":{"effective":["CAP_SYS_RESOURCE"]},"oomScoreAdj":-998,"rlimits":[{"hard":18446744073709551615}]}`,
		`{"process":{"capabilities":{"x":1.0e+99}},"a":"<\u2028\ud800>","process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE"]}}}`,
		"{\"\xff\":1,\"capabilities\":{\"bounding\":[\"\xff\",\"CAP_SYS_RESOURCE\"]}}",
	} {
		f.Add([]byte(spec))
	}
	f.Fuzz(func(t *testing.T, spec []byte) {
		before := slices.Clone(spec)
		got, err := Filter(spec, missing)
		require.Equal(t, before, spec, "the argument is not written to")
		if err != nil {
			return
		}
		was, is := decode(t, string(spec)), decode(t, string(got))
		for _, set := range setsOf(is) {
			require.NotContains(t, set, "CAP_SYS_RESOURCE")
		}
		strip(was)
		require.Equal(t, was, is)
		again, err := Filter(got, missing)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again))
	})
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v map[string]any
	require.NoError(t, d.Decode(&v))
	return v
}

// capabilitiesOf is the test's own, independent way to the object.
func capabilitiesOf(top map[string]any) map[string]any {
	if process, whole := top["process"]; whole {
		top, _ = process.(map[string]any)
	}
	c, _ := top["capabilities"].(map[string]any)
	return c
}

func setsOf(top map[string]any) (lists [][]any) {
	c := capabilitiesOf(top)
	for _, name := range []string{"bounding", "effective", "inheritable", "permitted", "ambient"} {
		if list, ok := c[name].([]any); ok {
			lists = append(lists, list)
		}
	}
	return lists
}

func strip(top map[string]any) {
	c := capabilitiesOf(top)
	for _, name := range []string{"bounding", "effective", "inheritable", "permitted", "ambient"} {
		if list, ok := c[name].([]any); ok {
			c[name] = slices.DeleteFunc(list, func(v any) bool { return v == "CAP_SYS_RESOURCE" })
		}
	}
}
