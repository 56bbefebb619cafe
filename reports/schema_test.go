package reports

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type node = map[string]any

func loadSchema(t *testing.T) node {
	t.Helper()
	var s node
	require.NoError(t, json.Unmarshal(Schema(), &s))
	return s
}

// TestSchemaAndTypesAgree compares the schema with the Go types, field by field and
// both ways.
func TestSchemaAndTypesAgree(t *testing.T) {
	root := loadSchema(t)
	used := map[string]bool{}
	agree(t, root, root, reflect.TypeFor[Report](), "report", used)
	defs := root["$defs"].(node)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(defs)), slices.Collect(maps.Keys(used)), "every definition is used")
	assert.Equal(t, "^"+major(SchemaVersion)+"\\.[0-9]+$", root["properties"].(node)["schemaVersion"].(node)["pattern"])
}

// loadFleetSchema is the fleet's with the definitions of the report's that it refers to.
func loadFleetSchema(t *testing.T) (root node, own []string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(FleetSchema(), &root))
	defs := root["$defs"].(node)
	own = slices.Collect(maps.Keys(defs))
	for name, d := range loadSchema(t)["$defs"].(node) {
		if !slices.Contains(own, name) {
			defs[name] = d
		}
	}
	return root, own
}

func TestTheFleetsSchemaAndTypesAgree(t *testing.T) {
	root, own := loadFleetSchema(t)
	used := map[string]bool{}
	agree(t, root, root, reflect.TypeFor[Fleet](), "fleet", used)
	assert.Subset(t, slices.Collect(maps.Keys(used)), own, "every definition is used")
	assert.Equal(t, "^"+major(FleetVersion)+"\\.[0-9]+$", root["properties"].(node)["schemaVersion"].(node)["pattern"])
}

func TestFleetsFitTheSchema(t *testing.T) {
	root, _ := loadFleetSchema(t)
	for name, f := range map[string]Fleet{"fleet": fleet(), "none": FleetOf(fleetHead, nil)} {
		data, err := f.JSON()
		require.NoError(t, err)
		var doc any
		require.NoError(t, json.Unmarshal(data, &doc))
		assert.Empty(t, misfits(root, root, doc, name))
	}
	var wrong any
	require.NoError(t, json.Unmarshal([]byte(`{"schemaVersion":"2.0","exitCode":7,"clusters":[{"verdict":"good"}]}`), &wrong))
	found := strings.Join(misfits(root, root, wrong, "wrong"), "\n")
	for _, want := range []string{"wrong.schemaVersion: pattern", "wrong.exitCode: enum", "wrong.clusters[0].verdict: enum", "wrong: runId is missing"} {
		assert.Contains(t, found, want, "the check itself must be able to fail")
	}
}

// definition is the name of the one that a reference is to, in whichever file.
func definition(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

func agree(t *testing.T, root, s node, typ reflect.Type, path string, used map[string]bool) {
	t.Helper()
	assert.NotEmpty(t, s["description"], "%s needs a description", path)
	if ref, ok := s["$ref"].(string); ok {
		name := definition(ref)
		used[name] = true
		s = root["$defs"].(node)[name].(node)
		assert.NotEmpty(t, s["description"], "%s needs a description", ref)
	}
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Int: "integer", reflect.Int64: "integer", reflect.Float64: "number", reflect.Bool: "boolean",
		reflect.Slice: "array", reflect.Map: "object", reflect.Struct: "object",
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ == reflect.TypeFor[time.Time]() {
		assert.Equal(t, "string", s["type"], path)
		assert.Equal(t, "date-time", s["format"], path)
		return
	}
	require.Equal(t, want[typ.Kind()], s["type"], path)
	switch typ.Kind() {
	case reflect.Slice:
		items := maps.Clone(s["items"].(node))
		items["description"] = "of " + path // the list's own description speaks for them
		agree(t, root, items, typ.Elem(), path+"[]", used)
	case reflect.Struct:
		properties := maps.Clone(s["properties"].(node))
		var required []string
		for field := range fields(typ) {
			tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			p, ok := properties[tag].(node)
			if !assert.True(t, ok, "%s.%s is not in the schema", path, tag) {
				continue
			}
			delete(properties, tag)
			if !strings.Contains(options, "omitempty") {
				required = append(required, tag)
			}
			agree(t, root, p, field.Type, path+"."+tag, used)
		}
		assert.Empty(t, properties, "%s: in the schema only", path)
		assert.ElementsMatch(t, required, s["required"], "%s: required", path)
	}
}

func fields(typ reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range typ.NumField() {
			if typ.Field(i).IsExported() && !yield(typ.Field(i)) {
				return
			}
		}
	}
}

func TestSchemaEnums(t *testing.T) {
	root := loadSchema(t)
	defs := root["$defs"].(node)
	enum := func(name string) any { return defs[name].(node)["enum"] }
	assert.ElementsMatch(t, []Verdict{Pass, Fail, Skip, Inconclusive}, texts[Verdict](enum("verdict")))
	assert.ElementsMatch(t, []Level{Core, Extended, Provisional}, texts[Level](enum("level")))
	assert.ElementsMatch(t, []Confidence{Certain, Likely, Possible}, texts[Confidence](enum("confidence")))
	assert.Equal(t, checkID.String(), defs["check"].(node)["properties"].(node)["id"].(node)["pattern"])
}

func texts[T ~string](list any) []T {
	var s []T
	for _, v := range list.([]any) {
		s = append(s, T(v.(string)))
	}
	return s
}

// TestSamplesFitTheSchema checks real reports against it, with the few keywords it
// uses.
func TestSamplesFitTheSchema(t *testing.T) {
	root := loadSchema(t)
	all := recorded(t)
	for name, sample := range samples {
		all[name] = sample()
	}
	for name, r := range all {
		data, err := Encode(r)
		require.NoError(t, err)
		var doc any
		require.NoError(t, json.Unmarshal(data, &doc))
		assert.Empty(t, misfits(root, root, doc, name))
		assert.NoError(t, r.Validate(), name)
	}
	var wrong any
	require.NoError(t, json.Unmarshal([]byte(`{"schemaVersion":"2.0","exitCode":5,"checks":[{"level":"cor"}],"profiles":null}`), &wrong))
	found := strings.Join(misfits(root, root, wrong, "wrong"), "\n")
	for _, want := range []string{"wrong.schemaVersion: pattern", "wrong.exitCode: enum", "wrong.checks[0].level: enum", "wrong.profiles: type", "wrong: runId is missing"} {
		assert.Contains(t, found, want, "the check itself must be able to fail")
	}
}

func misfits(root, s node, value any, path string) []string {
	if ref, ok := s["$ref"].(string); ok {
		s = root["$defs"].(node)[definition(ref)].(node)
	}
	var out []string
	bad := func(format string, args ...any) { out = append(out, path+fmt.Sprintf(format, args...)) }
	kind := map[reflect.Kind]string{
		reflect.String: "string", reflect.Float64: "number", reflect.Bool: "boolean", reflect.Slice: "array", reflect.Map: "object",
	}[reflect.ValueOf(value).Kind()]
	if want := s["type"]; kind != want && (want != "integer" || kind != "number") {
		bad(": type is %s", kind)
		return out
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, value) {
		bad(": enum has no %v", value)
	}
	if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(value.(string)) {
		bad(": pattern %s", p)
	}
	if s["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, value.(string)); err != nil {
			bad(": %v", err)
		}
	}
	switch v := value.(type) {
	case []any:
		for i, e := range v {
			out = append(out, misfits(root, s["items"].(node), e, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case node:
		properties, _ := s["properties"].(node)
		if required, ok := s["required"].([]any); ok {
			for _, name := range required {
				if _, ok := v[name.(string)]; !ok {
					bad(": %s is missing", name)
				}
			}
		}
		for name, e := range v {
			p, ok := properties[name].(node)
			if !ok {
				p, ok = s["additionalProperties"].(node)
			}
			if !ok {
				bad(".%s is unknown", name)
				continue
			}
			out = append(out, misfits(root, p, e, path+"."+name)...)
		}
	}
	return out
}
