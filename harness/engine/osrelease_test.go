package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	debian12 = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
`
	ubuntu24 = `PRETTY_NAME="Ubuntu 24.04.1 LTS"
NAME="Ubuntu"
ID=ubuntu
ID_LIKE=debian
`
	mint = "NAME='Linux Mint'\nID=linuxmint\nID_LIKE='ubuntu debian'\n"

	fedora = `NAME="Fedora Linux"
VERSION="40 (Container Image)"
ID=fedora
PRETTY_NAME="Fedora Linux 40 (Container Image)"
`
	rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"
)

func TestDebianFamily(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"Debian":                         {debian12, true},
		"Ubuntu":                         {ubuntu24, true},
		"Mint, by ID_LIKE":               {mint, true},
		"Fedora":                         {fedora, false},
		"Rocky":                          {rocky, false},
		"nothing":                        {"", false},
		"a comment is no value":          {"# ID=debian\nnonsense\nID=arch", false},
		"part of a word is no match":     {"ID=debianish\nID_LIKE=notubuntu", false},
		"an unbalanced quote is a value": {"ID=\"debian", false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, parseOSRelease(c.text).debianFamily())
		})
	}
	assert.Equal(t, "Debian GNU/Linux 12 (bookworm)", parseOSRelease(debian12).pretty)
}
