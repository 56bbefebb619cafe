package observe

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// The actions that need to be told apart by name elsewhere than in apply.
const (
	actionReplace = "replace"
	actionHashMod = "hashmod"
)

// relabelRule is one step of relabeling, ready to be applied. It does what
// Prometheus does, model/relabel/relabel.go, with labels of which some were not
// observed.
type relabelRule struct {
	name        string // as in "relabelings[1]"
	action      string
	sources     []string
	separator   string
	regex       *regexp.Regexp
	all         bool   // the expression is the default, which matches all there is
	begins      string // what every match of the expression begins with
	modulus     uint64
	target      string
	replacement string
}

// relabeling is what a job does to the labels of its targets.
type relabeling struct {
	rules []relabelRule
	names model.ValidationScheme // for the labels that a rule makes the name of
}

// apply changes the labels of a target and reports whether the target is kept. It
// fails where that hangs on something that was not observed.
func (r relabeling) apply(s *labelSet) (keep bool, err error) {
	for i := range r.rules {
		if keep, err := r.rules[i].apply(s, r.names); err != nil || !keep {
			return false, err
		}
	}
	return true, nil
}

func (r *relabelRule) apply(s *labelSet, names model.ValidationScheme) (keep bool, err error) {
	v := r.read(s)
	switch r.action {
	case "keep", "drop":
		if v.lack != "" {
			return false, r.decidesBy(v)
		}
		return r.matches(v.text) == (r.action == "keep"), nil
	case "keepequal", "dropequal":
		with := s.get(r.target)
		for _, x := range []value{v, with} {
			if x.lack != "" {
				return false, r.decidesBy(x)
			}
		}
		return (v.text == with.text) == (r.action == "keepequal"), nil
	case actionReplace:
		return true, r.replace(s, v, names)
	case "lowercase":
		v.text = strings.ToLower(v.text)
		s.set(r.target, v)
	case "uppercase":
		v.text = strings.ToUpper(v.text)
		s.set(r.target, v)
	case actionHashMod:
		switch {
		case r.modulus == 1:
			v = known("0") // whatever it is made of
		case v.lack == "":
			sum := md5.Sum([]byte(v.text))
			v.text = strconv.FormatUint(binary.BigEndian.Uint64(sum[8:])%r.modulus, 10)
		}
		s.set(r.target, v)
	case "labelmap":
		r.labelMap(s)
	case "labeldrop", "labelkeep":
		for _, name := range s.names(func(name string) bool { return r.matches(name) == (r.action == "labeldrop") }) {
			s.set(name, value{})
		}
	}
	return true, nil
}

func (r *relabelRule) decidesBy(v value) error {
	return fmt.Errorf("%s (%s) decides by the label %s", r.name, r.action, v.lack)
}

// read joins the labels that the rule reads.
func (r *relabelRule) read(s *labelSet) value {
	if len(r.sources) == 1 {
		return s.get(r.sources[0])
	}
	texts := make([]string, 0, len(r.sources))
	for _, name := range r.sources {
		v := s.get(name)
		if v.lack != "" {
			v.mixed = true
			return v
		}
		texts = append(texts, v.text)
	}
	return known(strings.Join(texts, r.separator))
}

func (r *relabelRule) matches(text string) bool { return r.all || r.regex.MatchString(text) }

// replace writes a label, its name and its text both made of what was read.
func (r *relabelRule) replace(s *labelSet, v value, names model.ValidationScheme) error {
	fixedName, fixedText := !strings.Contains(r.target, "$"), !strings.Contains(r.replacement, "$")
	switch {
	case r.all && fixedName && fixedText:
		s.set(r.target, known(r.replacement))
		return nil
	case r.all && fixedName && r.replacement == "$1":
		s.set(r.target, v)
		return nil
	case v.lack != "" && fixedName:
		v.mixed = true // with what the label held, if the expression does not match
		s.set(r.target, v)
		return nil
	case v.lack != "":
		return fmt.Errorf("%s (replace) writes to a label whose name depends on %s", r.name, v.lack)
	}
	found := r.regex.FindStringSubmatchIndex(v.text)
	if found == nil {
		return nil
	}
	target := string(r.regex.ExpandString(nil, r.target, v.text, found))
	if names.IsValidLabelName(target) {
		s.set(target, known(string(r.regex.ExpandString(nil, r.replacement, v.text, found))))
	}
	return nil
}

// labelMap copies labels to others whose names it makes of theirs. Of two that it
// copies to one, chance decides in Prometheus, which takes them in no order.
func (r *relabelRule) labelMap(s *labelSet) {
	copies := layer{}
	for _, name := range s.names(r.matches) {
		to, v := r.regex.ReplaceAllString(name, r.replacement), s.get(name)
		if before, twice := copies[to]; twice && before != v {
			v = accidental(to)
		}
		copies[to] = v
	}
	for to, v := range copies {
		s.set(to, v)
	}
	begins, _, varies := strings.Cut(r.replacement, "$")
	for _, family := range slices.Clone(s.lacks) {
		switch {
		case !r.mayMatch(family):
		case varies:
			s.obscure(begins)
		default:
			s.set(r.replacement, overwritten(r.replacement))
		}
	}
}

// mayMatch reports whether the expression can match a name of a family at all.
func (r *relabelRule) mayMatch(family string) bool {
	if family == "" {
		return !strings.HasPrefix(r.begins, "__")
	}
	return strings.HasPrefix(family, r.begins) || strings.HasPrefix(r.begins, family)
}
