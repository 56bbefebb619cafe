package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Allowance lets one check be worse for a while, when reports are compared.
type Allowance struct {
	// ID is that of the check, or [LostScrapes].
	ID string `json:"id"`
	// Reason says why it may be, to whoever finds the entry later.
	Reason string `json:"reason"`
	// Expires is the last day on which it may be, in UTC.
	Expires time.Time `json:"expires"`
}

// LostScrapes is the ID of the finding that more scrapes were missed than before,
// which belongs to no check.
const LostScrapes = "lost-scrapes"

// expired reports whether the entry counts no more.
func (a Allowance) expired(now time.Time) bool { return !now.Before(a.Expires.AddDate(0, 0, 1)) }

// mostAllowances bounds, in bytes, an allow-list that is read: one that is longer is
// some other file.
const mostAllowances = 1 << 20

// ReadAllowances reads an allow-list: a YAML list of entries with id, reason and
// expires, the last day on which the entry counts, as in 2026-12-31.
func ReadAllowances(path string) ([]Allowance, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no allow-list at %s: name a YAML list of entries with id, reason and expires", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the allow-list: %w", err)
	}
	list, err := ParseAllowances(data)
	if err != nil {
		return nil, fmt.Errorf("allow-list %s: %w", path, err)
	}
	return list, nil
}

// ParseAllowances is [ReadAllowances] for a list that is already in memory. An entry
// that it does not understand whole is an error: one that is silently dropped would
// stop an upgrade, one that is half read could let it through.
func ParseAllowances(data []byte) ([]Allowance, error) {
	if len(data) > mostAllowances {
		return nil, fmt.Errorf("is longer than %d bytes and no allow-list", mostAllowances)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("has more than one document: write one list")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: is not a list: each entry begins with \"- id:\"", root.Line)
	}
	seen := map[string]bool{}
	var list []Allowance
	for _, n := range root.Content {
		a, err := parseAllowance(n)
		if err != nil {
			return nil, err
		}
		if seen[a.ID] {
			return nil, fmt.Errorf("line %d: %s is listed twice: keep one entry", n.Line, a.ID)
		}
		seen[a.ID] = true
		list = append(list, a)
	}
	return list, nil
}

func parseAllowance(n *yaml.Node) (Allowance, error) {
	fail := func(line int, format string, args ...any) (Allowance, error) {
		return Allowance{}, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
	}
	if n.Kind != yaml.MappingNode {
		return fail(n.Line, "is no entry: an entry has id, reason and expires")
	}
	fields := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch name.Value {
		case "id", "reason", "expires":
		default:
			return fail(name.Line, "unknown field %q: an entry has id, reason and expires", name.Value)
		}
		if _, ok := fields[name.Value]; ok {
			return fail(name.Line, "%s is given twice", name.Value)
		}
		if value.Kind != yaml.ScalarNode {
			return fail(value.Line, "%s is not a plain text", name.Value)
		}
		fields[name.Value] = strings.TrimSpace(value.Value)
	}
	a := Allowance{ID: fields["id"], Reason: fields["reason"]}
	switch {
	case a.ID == "":
		return fail(n.Line, "the entry has no id")
	case !checkID.MatchString(a.ID):
		return fail(n.Line, "%q is not the ID of a check", a.ID)
	case a.Reason == "":
		return fail(n.Line, "the entry for %s has no reason: say why it may be worse", a.ID)
	case fields["expires"] == "":
		return fail(n.Line, "the entry for %s does not expire: give the last day on which it counts, as in 2026-12-31", a.ID)
	}
	day, err := time.Parse(time.DateOnly, fields["expires"])
	if err != nil {
		return fail(n.Line, "%q is not a day like 2026-12-31 on which the entry for %s expires", fields["expires"], a.ID)
	}
	a.Expires = day
	return a, nil
}
