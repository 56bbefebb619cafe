package observe

import (
	"maps"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// relabelled applies rules to labels and returns what is there then.
func relabelled(t *testing.T, s *labelSet, names model.ValidationScheme, rules ...monitoringv1.RelabelConfig) (map[string]value, bool, error) {
	t.Helper()
	ready, err := compile(named("relabelings", rules), names, "0")
	require.NoError(t, err)
	keep, err := ready.apply(s)
	all := map[string]value{}
	for _, name := range s.names(func(string) bool { return true }) {
		all[name] = s.get(name)
	}
	return all, keep, err
}

// rel writes a rule down briefly: action, sources, expression, target, replacement.
// A dash stands for a field that is not set.
func rel(action, from, regex, to, replacement string) monitoringv1.RelabelConfig {
	r := monitoringv1.RelabelConfig{Action: action}
	if from != "-" {
		r.SourceLabels = sources(strings.Split(from, ",")...)
	}
	if regex != "-" {
		r.Regex = regex
	}
	if to != "-" {
		r.TargetLabel = to
	}
	if replacement != "-" {
		r.Replacement = ptr(replacement)
	}
	return r
}

// Many of the cases are those of model/relabel/relabel_test.go.
func TestRelabelingIsThatOfPrometheus(t *testing.T) {
	type labels map[string]string
	hash := func(from string, modulus uint64) monitoringv1.RelabelConfig {
		r := rel("HashMod", from, "-", "d", "-")
		r.Modulus = modulus
		return r
	}
	apart := func(r monitoringv1.RelabelConfig, separator string) monitoringv1.RelabelConfig {
		r.Separator = &separator
		return r
	}
	for name, c := range map[string]struct {
		in    labels
		rules []monitoringv1.RelabelConfig
		want  labels // none if the target is dropped
	}{
		"a part of a label":              {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("Replace", "a", "f(.*)", "d", "ch${1}-ch${1}")}, labels{"a": "foo", "d": "choo-choo"}},
		"two labels, one after another":  {labels{"a": "foo", "b": "bar", "c": "baz"}, []monitoringv1.RelabelConfig{rel("", "a,b", "f(.*);(.*)r", "a", "b${1}${2}m"), rel("", "c,a", "(b).*b(.*)ba(.*)", "d", "$1$2$2$3")}, labels{"a": "boobam", "b": "bar", "c": "baz", "d": "boooom"}},
		"no match, no replacement":       {labels{"a": "boo"}, []monitoringv1.RelabelConfig{rel("", "a", "f", "b", "bar")}, labels{"a": "boo"}},
		"an empty text removes":          {labels{"a": "foo", "f": "baz"}, []monitoringv1.RelabelConfig{rel("", "a", "(f).*", "$1", "$2")}, labels{"a": "foo"}},
		"a copy of nothing removes":      {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("", "none", "-", "a", "-")}, labels{}},
		"a constant":                     {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("", "-", "-", "b", "x")}, labels{"a": "foo", "b": "x"}},
		"a constant if it matches":       {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("", "a", "f.*", "b", "x"), rel("", "a", "g.*", "c", "x")}, labels{"a": "foo", "b": "x"}},
		"a separator":                    {labels{"a": "1", "b": "2"}, []monitoringv1.RelabelConfig{apart(rel("", "a,b", "-", "c", "-"), ":"), apart(rel("", "a,b", "-", "d", "-"), "")}, labels{"a": "1", "b": "2", "c": "1:2", "d": "12"}},
		"a label that is missing joined": {labels{"a": "1"}, []monitoringv1.RelabelConfig{rel("", "a,b", "-", "c", "-")}, labels{"a": "1", "c": "1;"}},
		"lines are crossed":              {labels{"a": "x\ny"}, []monitoringv1.RelabelConfig{rel("", "a", "x(.*)", "b", "$1")}, labels{"a": "x\ny", "b": "\ny"}},
		"a name that is none":            {labels{"a": "\xff"}, []monitoringv1.RelabelConfig{rel("", "a", "(.*)", "$1", "x"), rel("", "b", "(.*)", "${1}", "x")}, labels{"a": "\xff"}},

		"kept":                        {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("keep", "a", "f.*", "-", "-")}, labels{"a": "foo"}},
		"kept only as a whole":        {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("keep", "a", "f|o", "-", "-")}, nil},
		"kept by anything":            {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("keep", "none", "-", "-", "-")}, labels{"a": "foo"}},
		"dropped, and that is all":    {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("Drop", "a", ".*o.*", "-", "-"), rel("", "-", "-", "b", "x")}, nil},
		"not dropped for a part":      {labels{"a": "foo"}, []monitoringv1.RelabelConfig{rel("drop", "a", "f|o", "-", "-")}, labels{"a": "foo"}},
		"kept as equal":               {labels{"a": "1", "b": "1"}, []monitoringv1.RelabelConfig{rel("KeepEqual", "a", "-", "b", "-")}, labels{"a": "1", "b": "1"}},
		"not kept as equal":           {labels{"a": "1", "b": "2"}, []monitoringv1.RelabelConfig{rel("keepequal", "a", "-", "b", "-")}, nil},
		"dropped as equal":            {labels{"a": "1", "b": "2", "c": "1;2"}, []monitoringv1.RelabelConfig{rel("DropEqual", "a,b", "-", "c", "-")}, nil},
		"not dropped as equal":        {labels{"a": "1", "c": "2"}, []monitoringv1.RelabelConfig{rel("dropequal", "a", "-", "c", "-")}, labels{"a": "1", "c": "2"}},
		"two that are missing, equal": {labels{"c": "2"}, []monitoringv1.RelabelConfig{rel("keepequal", "a", "-", "b", "-")}, labels{"c": "2"}},

		"a hash":              {labels{"c": "baz"}, []monitoringv1.RelabelConfig{hash("c", 1000)}, labels{"c": "baz", "d": "976"}},
		"a hash of two lines": {labels{"a": "foo\nbar"}, []monitoringv1.RelabelConfig{hash("a", 1000)}, labels{"a": "foo\nbar", "d": "734"}},
		"the only remainder":  {labels{"c": "baz"}, []monitoringv1.RelabelConfig{hash("c", 1)}, labels{"c": "baz", "d": "0"}},
		"lower and upper":     {labels{"foo": "bAr123Foo"}, []monitoringv1.RelabelConfig{rel("Lowercase", "foo", "-", "l", "-"), rel("uppercase", "foo", "-", "u", "-")}, labels{"foo": "bAr123Foo", "l": "bar123foo", "u": "BAR123FOO"}},

		"a map":                      {labels{"a": "foo", "b1": "bar", "b2": "baz"}, []monitoringv1.RelabelConfig{rel("LabelMap", "-", "(b.*)", "-", "bar_${1}")}, labels{"a": "foo", "b1": "bar", "b2": "baz", "bar_b1": "bar", "bar_b2": "baz"}},
		"a map by default":           {labels{"m_a": "1"}, []monitoringv1.RelabelConfig{rel("labelmap", "-", "m_(.+)", "-", "-")}, labels{"m_a": "1", "a": "1"}},
		"a map over what is there":   {labels{"m_a": "1", "a": "2"}, []monitoringv1.RelabelConfig{rel("labelmap", "-", "m_(.+)", "-", "-")}, labels{"m_a": "1", "a": "1"}},
		"a map of equals to one":     {labels{"m_a": "1", "m_b": "1"}, []monitoringv1.RelabelConfig{rel("labelmap", "-", "m_(.+)", "-", "x")}, labels{"m_a": "1", "m_b": "1", "x": "1"}},
		"labels dropped":             {labels{"a": "1", "b1": "2", "b2": "3"}, []monitoringv1.RelabelConfig{rel("LabelDrop", "-", "(b.*)", "-", "-")}, labels{"a": "1"}},
		"labels kept":                {labels{"a": "1", "b1": "2", "b2": "3"}, []monitoringv1.RelabelConfig{rel("labelkeep", "-", "(b.*)", "-", "-")}, labels{"b1": "2", "b2": "3"}},
		"a dropped label is no more": {labels{"a": "1"}, []monitoringv1.RelabelConfig{rel("labeldrop", "-", "a", "-", "-"), rel("drop", "a", ".+", "-", "-")}, labels{}},
	} {
		t.Run(name, func(t *testing.T) {
			in := layer{}
			for l, text := range c.in {
				in[l] = known(text)
			}
			before := maps.Clone(in)
			got, keep, err := relabelled(t, &labelSet{layers: []layer{in}}, model.UTF8Validation, c.rules...)
			require.NoError(t, err)
			assert.Equal(t, before, in, "what targets have in common stays as it is")
			if c.want == nil {
				assert.False(t, keep)
				return
			}
			assert.True(t, keep)
			want := map[string]value{}
			for l, text := range c.want {
				want[l] = known(text)
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestTheNamesOfLabelsAreAsStrictAsThePrometheus(t *testing.T) {
	for names, want := range map[model.ValidationScheme]bool{model.UTF8Validation: true, model.LegacyValidation: false} {
		got, _, err := relabelled(t, &labelSet{layers: []layer{{"a": known("x.y")}}}, names, rel("", "a", "(.*)", "$1", "1"))
		require.NoError(t, err)
		assert.Equal(t, want, got["x.y"].there(), names.String())
	}
}

func TestOfSeveralLabelsTheFirstLayerDecides(t *testing.T) {
	s := &labelSet{
		layers:   []layer{{"a": known("target"), "b": value{}}, {"a": known("group"), "b": known("group"), "c": known("group")}},
		defaults: layer{"a": known("job"), "b": known("job"), "d": known("job")}, lacks: families{"__meta_x_"},
	}
	got := map[string]string{}
	for _, name := range s.names(func(string) bool { return true }) {
		got[name] = s.get(name).text
	}
	assert.Equal(t, map[string]string{"a": "target", "b": "job", "c": "group", "d": "job"}, got, "what a target has empty hides what its group has, but not the job's")
	assert.Equal(t, unobserved("__meta_x_y"), s.get("__meta_x_y"))

	c := s.clone()
	c.set("a", value{})
	assert.False(t, c.get("a").there())
	assert.Equal(t, "target", s.get("a").text, "a copy is changed alone")
	c.set("__meta_x_y", known("1"))
	assert.Equal(t, known("1"), c.get("__meta_x_y"), "what is written is known")
}

// lacking has one label of every sort: of the known ones, of those that were not
// observed and of those whose names were not.
func lacking() *labelSet {
	return &labelSet{layers: []layer{{"a": known("1"), "__meta_pod": unobserved("__meta_pod"), "__address__": known("h:1")}}, lacks: families{"__meta_node_"}}
}

func TestWhatDependsOnTheUnobservedIsNotKnown(t *testing.T) {
	const pod, node = "__meta_pod, which was not observed", "__meta_node_zone, which was not observed"
	for name, c := range map[string]struct {
		rules []monitoringv1.RelabelConfig
		label string
		lack  string // of the label; empty if it is known
		mixed bool
	}{
		"a copy":                       {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "-", "x", "-")}, "x", pod, false},
		"a copy of one of a family":    {[]monitoringv1.RelabelConfig{rel("", "__meta_node_zone", "-", "x", "-")}, "x", node, false},
		"a copy of a copy":             {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "-", "x", "-"), rel("", "x", "-", "y", "-")}, "y", pod, false},
		"in capitals":                  {[]monitoringv1.RelabelConfig{rel("uppercase", "__meta_pod", "-", "x", "-")}, "x", pod, false},
		"in small letters":             {[]monitoringv1.RelabelConfig{rel("lowercase", "__meta_pod", "-", "x", "-")}, "x", pod, false},
		"with another":                 {[]monitoringv1.RelabelConfig{rel("", "a,__meta_pod", "-", "x", "-")}, "x", pod, true},
		"a part of it":                 {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "(.)", "x", "$1")}, "x", pod, true},
		"a constant, if it matches":    {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "y", "a", "1")}, "a", pod, true},
		"a constant in any case":       {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "-", "x", "c")}, "x", "", false},
		"another label":                {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "-", "x", "-")}, "a", "", false},
		"written over":                 {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "-", "x", "-"), rel("", "a", "-", "x", "-")}, "x", "", false},
		"a map of it":                  {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_(pod)", "-", "x_$1")}, "x_pod", pod, false},
		"a map of a family":            {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_node_(.+)", "-", "-")}, "zone", "zone, which was not observed", false},
		"what a map may have hidden":   {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_node_(.+)", "-", "-")}, "a", "a, to which labels may have been copied that were not observed", true},
		"what no map can have hidden":  {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_node_(.+)", "-", "n_$1")}, "a", "", false},
		"the inside after a map":       {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_node_(.+)", "-", "-")}, "__address__", "", false},
		"a map of a family to one":     {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_node_(.+)", "-", "a")}, "a", "a, to which labels may have been copied that were not observed", true},
		"a map of others":              {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_service_(.+)", "-", "-")}, "a", "", false},
		"a map of a map":               {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_node_(.+)", "-", "n_$1"), rel("labelmap", "-", "n_(.+)", "-", "m_$1")}, "m_zone", "m_zone, which was not observed", false},
		"written over what was hidden": {[]monitoringv1.RelabelConfig{rel("labelmap", "-", "__meta_node_(.+)", "-", "-"), rel("", "-", "-", "a", "c")}, "a", "", false},
		"dropped":                      {[]monitoringv1.RelabelConfig{rel("", "__meta_pod", "-", "x", "-"), rel("labeldrop", "-", "x", "-", "-")}, "x", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := lacking()
			_, keep, err := relabelled(t, s, model.UTF8Validation, c.rules...)
			require.NoError(t, err)
			assert.True(t, keep)
			assert.Equal(t, c.lack, s.get(c.label).lack)
			assert.Equal(t, c.mixed, s.get(c.label).mixed)
		})
	}
	s := &labelSet{layers: []layer{{"m_a": known("1"), "m_b": known("2")}}}
	_, _, err := relabelled(t, s, model.UTF8Validation, rel("labelmap", "-", "m_(.)", "-", "x"))
	require.NoError(t, err)
	assert.Equal(t, accidental("x"), s.get("x"), "two that differ are copied to one")

	s = lacking()
	hash := rel("hashmod", "__meta_pod", "-", "x", "-")
	hash.Modulus = 2
	_, _, err = relabelled(t, s, model.UTF8Validation, hash)
	require.NoError(t, err)
	assert.Equal(t, pod, s.get("x").lack)
	hash.Modulus = 1
	_, _, err = relabelled(t, s, model.UTF8Validation, hash)
	require.NoError(t, err)
	assert.Equal(t, known("0"), s.get("x"), "of one, the remainder is known")
}

func TestADecisionByTheUnobservedIsNotMade(t *testing.T) {
	for want, rule := range map[string]monitoringv1.RelabelConfig{
		"relabelings[0] (keep) decides by the label __meta_pod, which was not observed":                       rel("keep", "a,__meta_pod", ".*", "-", "-"),
		"relabelings[0] (drop) decides by the label __meta_node_x, which was not observed":                    rel("drop", "__meta_node_x", "x", "-", "-"),
		"relabelings[0] (keepequal) decides by the label __meta_pod, which was not observed":                  rel("keepequal", "a", "-", "__meta_pod", "-"),
		"relabelings[0] (dropequal) decides by the label __meta_pod, which was not observed":                  rel("dropequal", "__meta_pod", "-", "a", "-"),
		"relabelings[0] (replace) writes to a label whose name depends on __meta_pod, which was not observed": rel("", "__meta_pod", "(.*)", "x_$1", "1"),
	} {
		_, keep, err := relabelled(t, lacking(), model.UTF8Validation, rule)
		assert.EqualError(t, err, want)
		assert.False(t, keep)
	}
}

func TestARuleThatTheOperatorRejectsIsNotApplied(t *testing.T) {
	for want, rule := range map[string]monitoringv1.RelabelConfig{
		"relabelings[0].regex is no regular expression":                  rel("keep", "a", "(", "-", "-"),
		`relabelings[0] has the action "Frobnicate", which is not known`: rel("Frobnicate", "a", "-", "b", "-"),
		"relabelings[0] (replace) has no targetLabel":                    rel("", "a", "-", "-", "-"),
		"relabelings[0] (lowercase) has no targetLabel":                  rel("lowercase", "a", "-", "-", "-"),
		"relabelings[0] (hashmod) has no modulus":                        rel("hashmod", "a", "-", "b", "-"),
		"relabelings[0] holds $(POD_NAME), which the config reloader":    rel("keep", "a", "$(POD_NAME)", "-", "-"),
	} {
		_, err := compile(named("relabelings", []monitoringv1.RelabelConfig{rule}), model.UTF8Validation, "0")
		assert.ErrorContains(t, err, want)
	}
}

func TestTheShardIsFilledIn(t *testing.T) {
	rule := rel("", "a", "$(SHARD)", "b", "$(SHARD)")
	rule.Separator = ptr("$(SHARD)")
	n := namedRule{"relabelings[0]", rule}
	assert.True(t, n.dependsOnShard())
	filled, err := n.filledIn("2")
	require.NoError(t, err)
	assert.Equal(t, []string{"2", "2", "2"}, []string{filled.Regex, *filled.Replacement, *filled.Separator})
	assert.Equal(t, "$(SHARD)", *rule.Replacement, "the monitor stays as it was")
	assert.False(t, filled.dependsOnShard())
}

func FuzzRelabeling(f *testing.F) {
	f.Add("replace", "a", "(.*)", "__address__", "$1", uint64(0))
	f.Add("labelmap", "a", "__meta_node_(.+)", "", "${1}$2$$", uint64(1))
	f.Add("hashmod", "__meta_pod", "", "x", "", uint64(3))
	f.Add("keep", "__meta_node_x", "a)|(b", "$1", "$(SHARD)", uint64(1))
	f.Fuzz(func(_ *testing.T, action, from, regex, to, replacement string, modulus uint64) {
		rule := rel(action, from, regex, to, replacement)
		rule.Modulus = modulus
		ready, err := compile(named("relabelings", []monitoringv1.RelabelConfig{rule, rule}), model.UTF8Validation, "0")
		if err != nil {
			return
		}
		s := lacking()
		if keep, err := ready.apply(s); err == nil && keep {
			j := scrapeJob{pool: "p", params: map[string][]string{"a": {"1"}, "b": nil}}
			_, _ = j.place(s, release{major: 3})
		}
	})
}
