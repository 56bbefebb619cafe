package engine

import (
	"slices"
	"strings"
)

// osRelease is what os-release(5) says of the distribution.
type osRelease struct {
	id     string
	idLike []string
	pretty string
}

// parseOSRelease reads the file's shell-like assignments. Lines that are none
// are passed over, as the manual page asks.
func parseOSRelease(text string) osRelease {
	var r osRelease
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found || strings.HasPrefix(key, "#") {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		switch key {
		case "ID":
			r.id = value
		case "ID_LIKE":
			r.idLike = strings.Fields(value)
		case "PRETTY_NAME":
			r.pretty = value
		}
	}
	return r
}

// debianFamily reports whether the distribution's packages are Debian's or
// Ubuntu's, or are made after theirs: there, docker.io is Docker.
func (r osRelease) debianFamily() bool {
	for _, id := range append([]string{r.id}, r.idLike...) {
		if slices.Contains([]string{"debian", "ubuntu"}, id) {
			return true
		}
	}
	return false
}
