package reports

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadge(t *testing.T) {
	cases := map[string]struct{ message, color string }{
		"good":         {"conformant: setup, scrape", "brightgreen"},
		"failing":      {"not conformant", "red"},
		"setup-failed": {"set-up failed", "yellow"},
		"interrupted":  {"interrupted", "red"},
		"leftovers":    {"left something behind", "red"},
		"rotated":      {"conformant: setup, scrape", "brightgreen"},
		"seen-in-part": {"conformant as far as seen: scrape", "yellowgreen"},
	}
	for name, want := range cases {
		data, err := Badge(samples[name]())
		require.NoError(t, err)
		var got badge
		require.NoError(t, json.Unmarshal(data, &got))
		assert.Equal(t, badge{1, "mTLS scrape", want.message, want.color, !strings.Contains(want.color, "green")}, got, name)
	}
}
