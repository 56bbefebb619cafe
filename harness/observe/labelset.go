package observe

import (
	"maps"
	"slices"
	"strings"
)

// value is what a label holds. A label without text is as good as none, as in
// Prometheus.
type value struct {
	text string
	// lack says of what cannot be known why, beginning with the name of the label
	// with which that began. There is no text then.
	lack string
	// mixed is what is made of more than that one label. What is not, is the same
	// for all targets that have the label from the same object.
	mixed bool
}

func known(text string) value      { return value{text: text} }
func unobserved(name string) value { return value{lack: name + ", which was not observed"} }

// accidental is a label that Prometheus makes of several. It takes them in no
// order, so that it may be different each time.
func accidental(name string) value {
	return value{lack: name + ", which is made of several labels, and chance decides which", mixed: true}
}

// overwritten is a label over which some other may have been copied.
func overwritten(name string) value {
	return value{lack: name + ", to which labels may have been copied that were not observed", mixed: true}
}

func (v value) there() bool { return v != value{} }

// layer is a set of labels that many targets have in common. It is not changed
// once it is made.
type layer map[string]value

// labelSet is the labels of one target on their way through the relabelings. To
// copy for each of ten thousand targets what they have in common would take longer
// than all the rest, so it lies in layers.
type labelSet struct {
	written  layer   // by rules; what is empty here was removed
	layers   []layer // the first that has a label decides, also if it is empty there
	defaults layer   // for what is empty in the layers
	lacks    families
}

// families are beginnings of names. Labels of such names may be there, and what
// they hold was not observed. The empty beginning stands for all names but those
// that begin with two underscores.
type families []string

func (f families) include(name string) bool {
	return slices.ContainsFunc(f, func(prefix string) bool { return familyHas(prefix, name) })
}

func familyHas(prefix, name string) bool {
	if prefix == "" {
		return !strings.HasPrefix(name, "__")
	}
	return strings.HasPrefix(name, prefix)
}

// mayBegin reports whether labels may be there whose names begin so.
func (f families) mayBegin(with string) bool {
	return f.include(with) || slices.ContainsFunc(f, func(prefix string) bool { return strings.HasPrefix(prefix, with) })
}

func (s *labelSet) get(name string) value {
	if v, ok := s.written[name]; ok {
		return v
	}
	var v value
	for _, l := range s.layers {
		var ok bool
		if v, ok = l[name]; ok {
			break
		}
	}
	if !v.there() {
		v = s.defaults[name]
	}
	if !v.there() && s.lacks.include(name) {
		return unobserved(name)
	}
	return v
}

func (s *labelSet) set(name string, v value) {
	if s.written == nil {
		s.written = make(layer, 16) // about as many as the Operator's rules write
	}
	s.written[name] = v
}

// names lists the labels that are there and wanted, in order.
func (s *labelSet) names(want func(string) bool) []string {
	var all []string
	for _, l := range append([]layer{s.written, s.defaults}, s.layers...) {
		for name := range l {
			if want(name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(name string) bool { return !s.get(name).there() })
}

// obscure notes that labels of a family may have been written, nobody knows which.
func (s *labelSet) obscure(prefix string) {
	for _, name := range s.names(func(name string) bool { return familyHas(prefix, name) }) {
		s.set(name, overwritten(name))
	}
	s.lacks = append(slices.Clip(s.lacks), prefix)
}

// kept is a set that has the same labels, but for those that discovery makes, and little
// else: it is no longer in layers.
func (s *labelSet) kept() *labelSet {
	names := s.names(isKept)
	k := &labelSet{written: make(layer, len(names)), lacks: s.lacks}
	for name, v := range s.written {
		if isKept(name) {
			k.written[name] = v // also what was removed, which may not be taken for what is lacking
		}
	}
	for _, name := range names {
		k.written[name] = s.get(name)
	}
	return k
}

// clone returns a set that can be written to without changing this one.
func (s *labelSet) clone() *labelSet {
	c := *s
	c.written = maps.Clone(s.written)
	return &c
}
