package capability

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// status is /proc/self/status as recorded, cut to its end.
func status(bounding string) string {
	return "Name:\tcat\nUmask:\t0022\nCapInh:\t0000000000000000\nCapPrm:\t" + bounding +
		"\nCapEff:\t" + bounding + "\nCapBnd:\t" + bounding + "\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\n"
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		bounding, last string
		want           []string
	}{
		"whole machine, Linux 6":        {"000001ffffffffff", "40\n", nil},
		"whole machine, Linux 5.4":      {"0000003fffffffff", "37\n", nil},
		"sandbox without one":           {"000001fffeffffff", "40\n", []string{"CAP_SYS_RESOURCE"}},
		"kernel newer than the table":   {"000001ffffffffff", "41\n", []string{"CAP_41"}},
		"bits above the last are noise": {"ffffffffffffffff", "40\n", nil},
		"the first and the last":        {"000000fffffffffe", "40\n", []string{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(status(c.bounding), c.last)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestParseContainerDefault(t *testing.T) {
	// Docker's default set holds 14 of the 41.
	got, err := Parse(status("00000000a80425fb"), "40")
	require.NoError(t, err)
	assert.Len(t, got, 27)
	assert.Contains(t, got, "CAP_SYS_ADMIN")
	assert.NotContains(t, got, "CAP_NET_RAW")
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ status, last, want string }{
		"no CapBnd":      {"Name:\tcat\n", "40", "no CapBnd line"},
		"CapBnd no hex":  {"CapBnd:\tmany\n", "40", `CapBnd "many"`},
		"last no number": {status("0"), "forty", `"forty"`},
		"last too high":  {status("0"), "64", `"64"`},
		"last negative":  {status("0"), "-1", `"-1"`},
		"last empty":     {status("0"), "", `""`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.status, c.last)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestNamesByBit(t *testing.T) {
	// Spot checks of the kernel's table on either side of its middle.
	for bit, want := range map[int]string{0: "CAP_CHOWN", 12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN", 24: "CAP_SYS_RESOURCE",
		31: "CAP_SETFCAP", 34: "CAP_SYSLOG", 39: "CAP_BPF", 40: "CAP_CHECKPOINT_RESTORE", 63: "CAP_63"} {
		assert.Equal(t, want, Name(bit))
	}
}
