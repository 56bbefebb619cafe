package observe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
)

// namedRule is a rule as it is written, and where.
type namedRule struct {
	name string
	monitoringv1.RelabelConfig
}

// named gives rules their names by the field that they are in.
func named(field string, rules []monitoringv1.RelabelConfig) []namedRule {
	var all []namedRule
	for i, r := range rules {
		all = append(all, namedRule{fmt.Sprintf("%s[%d]", field, i), r})
	}
	return all
}

// anything is the expression of a rule that has none.
var anything = regexp.MustCompile("^(?s:(.*))$")

// compile makes a rule ready. What it refuses the Operator refuses as well, and
// with it the whole monitor: pkg/prometheus/validation, ValidateRelabelConfig.
func (n namedRule) compile() (relabelRule, error) {
	r := relabelRule{
		name: n.name, action: actionReplace, separator: ";", regex: anything, all: true,
		modulus: n.Modulus, target: n.TargetLabel, replacement: "$1",
	}
	if n.Action != "" {
		r.action = strings.ToLower(n.Action)
	}
	for _, l := range n.SourceLabels {
		r.sources = append(r.sources, string(l))
	}
	if n.Separator != nil {
		r.separator = *n.Separator
	}
	if n.Replacement != nil {
		r.replacement = *n.Replacement
	}
	if n.Regex != "" {
		var err error
		if r.regex, err = regexp.Compile("^(?s:" + n.Regex + ")$"); err != nil {
			return r, fmt.Errorf("%s.regex is no regular expression: %w", r.name, err)
		}
		r.all = false
		if unanchored, err := regexp.Compile(n.Regex); err == nil {
			r.begins, _ = unanchored.LiteralPrefix()
		}
	}
	switch r.action {
	case "keep", "drop", "labelmap", "labeldrop", "labelkeep":
	case actionReplace, actionHashMod, "lowercase", "uppercase", "keepequal", "dropequal":
		if r.target == "" {
			return r, fmt.Errorf("%s (%s) has no targetLabel: the Operator rejects it", r.name, r.action)
		}
	default:
		return r, fmt.Errorf("%s has the action %q, which is not known", r.name, n.Action)
	}
	if r.action == actionHashMod && r.modulus == 0 {
		return r, fmt.Errorf("%s (hashmod) has no modulus: the Operator rejects it", r.name)
	}
	return r, nil
}

// compile makes rules ready for one shard.
func compile(rules []namedRule, names model.ValidationScheme, shard string) (relabeling, error) {
	r := relabeling{names: names}
	for _, n := range rules {
		n, err := n.filledIn(shard)
		if err != nil {
			return r, err
		}
		ready, err := n.compile()
		if err != nil {
			return r, err
		}
		r.rules = append(r.rules, ready)
	}
	return r, nil
}

// texts are those of a rule that may hold what the config reloader fills in.
func (n *namedRule) texts() []*string {
	texts := []*string{&n.Regex, &n.TargetLabel}
	for _, t := range []**string{&n.Separator, &n.Replacement} {
		if *t != nil {
			*t = pointer(**t) // what is filled in is not filled in into the monitor
			texts = append(texts, *t)
		}
	}
	return texts
}

// dependsOnShard reports whether a rule is not the same for every shard.
func (n namedRule) dependsOnShard() bool {
	return slices.ContainsFunc(n.texts(), func(t *string) bool { return strings.Contains(*t, shardVariable) })
}

// filledIn is the rule as the config reloader of a shard writes it.
func (n namedRule) filledIn(shard string) (namedRule, error) {
	for _, t := range n.texts() {
		*t = strings.ReplaceAll(*t, shardVariable, shard)
		if err := filledIn(n.name, *t); err != nil {
			return n, err
		}
	}
	return n, nil
}
