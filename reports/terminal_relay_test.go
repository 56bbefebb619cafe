package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestALineOfAnotherRunKeepsItsLayOutAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"as it is":                  {"  ok  open                           0.1s  Prometheus a/b", "  ok  open                           0.1s  Prometheus a/b\n"},
		"an escape":                 {"  \x1b[2Jgone", "  \\x1b[2Jgone\n"},
		"a command of a CI":         {"::error::x", "\\::error::x\n"},
		"one behind blanks":         {"   ::error::x", "   \\::error::x\n"},
		"a line that was broken":    {"a\nb", "a b\n"},
		"nothing":                   {"", "\n"},
		"more than a screen's fill": {strings.Repeat("x", 2*mostBytes), strings.Repeat("x", mostBytes) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var shown bytes.Buffer
			NewTerminal(&shown, Style{}).Relay(c.line)
			assert.Equal(t, c.want, shown.String())
		})
	}
}
