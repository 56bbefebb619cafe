package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Read reads a report from a file, or from the directory of a run. It makes sure
// that the text is a report of a version it understands and that no two readers can
// take it for different ones; whether the report is consistent is for
// [Report.Validate] to say.
func Read(path string) (Report, error) {
	if s, err := os.Stat(path); err == nil && s.IsDir() {
		path = filepath.Join(path, FileName)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, fmt.Errorf("there is no report at %s: name the directory of a run or its %s", path, FileName)
	}
	if err != nil {
		return Report{}, fmt.Errorf("cannot read the report: %w", err)
	}
	r, err := Decode(data)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Decode is [Read] for a report that is already in memory.
func Decode(data []byte) (Report, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return Report{}, errors.New("is empty and not a report")
	}
	// The version comes first: a report of another major version may have any other
	// shape, and "cannot unmarshal" would send its reader the wrong way.
	var head struct {
		SchemaVersion any `json:"schemaVersion"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Report{}, located(data, err)
	}
	version, ok := head.SchemaVersion.(string)
	if !ok || major(version) == "" {
		return Report{}, errors.New("has no schemaVersion like \"" + SchemaVersion + "\" and is not a report of this suite")
	}
	if major(version) != major(SchemaVersion) {
		return Report{}, fmt.Errorf("has schemaVersion %q, but this build reads %s.x: use the suite's version that wrote it",
			version, major(SchemaVersion))
	}
	if err := ambiguous(data); err != nil {
		return Report{}, err
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return Report{}, located(data, err)
	}
	if minor(version) < claimsSince {
		for i := range r.Profiles {
			r.Profiles[i].Claimed = r.Profiles[i].Verdict == Pass
		}
	}
	return r, nil
}

// claimsSince is the minor version since which a report says which profiles it claims.
const claimsSince = 3

// minor is the second number of a version that has two.
func minor(version string) uint64 {
	_, n, _ := strings.Cut(version, ".")
	number, _ := strconv.ParseUint(n, 10, 16) // major has refused what is none
	return number
}

// major is the first number of a version, empty if it is not two numbers.
func major(version string) string {
	a, b, ok := strings.Cut(version, ".")
	if !ok {
		return ""
	}
	for _, n := range []string{a, b} {
		if _, err := strconv.ParseUint(n, 10, 16); err != nil {
			return ""
		}
	}
	return a
}

// located adds the place to an error of the decoder, as far as it knows it.
func located(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var clock *time.ParseError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("is not JSON: %s: %w", place(data, syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("is not a report: %s: %w", place(data, kind.Offset), err)
	case errors.As(err, &clock):
		// A time reports its text and not its place.
		if i := bytes.Index(data, []byte(strings.Trim(clock.Value, `"`))); i >= 0 {
			return fmt.Errorf("is not a report: %s: %w", place(data, int64(i)+1), err)
		}
	}
	return fmt.Errorf("is not a report: %w", err)
}

// place turns an offset, which counts the bytes read, into what an editor shows.
func place(data []byte, offset int64) string {
	before := data[:max(0, min(offset, int64(len(data))))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Sprintf("line %d column %d (byte %d)", line, column, offset)
}

// ambiguous finds a name that occurs twice in one object. Of two verdicts Go takes
// the last, other readers the first, and Go takes "Verdict" for one too: such a
// report would be red to one and green to another.
func ambiguous(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	var stack []level
	for {
		token, err := d.Token()
		if err != nil {
			return nil // the end: that the syntax is right is known by now
		}
		var top *level
		if len(stack) > 0 {
			top = &stack[len(stack)-1]
		}
		if name, ok := token.(string); ok && top != nil && top.names != nil && !top.value {
			if top.seen(name) {
				return fmt.Errorf("is ambiguous: %s: the name %q occurs twice in one object", place(data, d.InputOffset()), name)
			}
			top.name, top.value = name, true
			continue
		}
		switch token {
		case json.Delim('{'):
			// The settings of a run are free names, and "from" may stand beside "FROM".
			exact := len(stack) == 1 && fold(top.name) == fold("configuration")
			stack = append(stack, level{names: map[string]bool{}, exact: exact})
			continue
		case json.Delim('['):
			stack = append(stack, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			if len(stack) > 0 {
				top = &stack[len(stack)-1]
			}
		}
		if top != nil {
			top.value = false
		}
	}
}

// level is an object or a list that is being read.
type level struct {
	names map[string]bool // nil for a list
	exact bool            // its names differ if only their case does
	name  string          // the last name read
	value bool            // the value of that name comes next
}

func (l *level) seen(name string) bool {
	if !l.exact {
		name = fold(name)
	}
	seen := l.names[name]
	l.names[name] = true
	return seen
}

// fold maps names that the decoder takes for the same one to the same text. Both
// steps are needed: some letters have two lower-case forms, others two upper-case.
func fold(name string) string { return strings.ToUpper(strings.ToLower(name)) }
