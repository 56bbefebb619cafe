package observe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRotationIsDoneAfterTwoRenewalsPastTheFirstEnd(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	replicas := []string{"a", "b"}
	sighting := func(pod, serial string, ends time.Duration) Sighting {
		return Sighting{Pod: pod, Certificate: Certificate{Serial: serial, NotAfter: start.Add(ends)}}
	}
	both := []Sighting{
		sighting("a", "1", 20*time.Second), sighting("b", "2", 20*time.Second),
		sighting("a", "3", 30*time.Second), sighting("b", "4", 30*time.Second),
		sighting("a", "5", 40*time.Second), sighting("b", "6", 40*time.Second),
	}
	for name, c := range map[string]struct {
		seen []Sighting
		now  time.Duration
		want bool
	}{
		"nothing seen":                       {nil, time.Minute, false},
		"one renewal":                        {both[:4], time.Minute, false},
		"two renewals at one replica":        {both[:5], time.Minute, false},
		"before the first certificate ended": {both, 15 * time.Second, false},
		"two renewals and past its end":      {both, 21 * time.Second, true},
	} {
		assert.Equal(t, c.want, rotation(c.seen, replicas, start.Add(c.now)).done, name)
	}
	assert.False(t, rotation(both, nil, start.Add(time.Hour)).done, "no replica, no rotation")
}

func TestRotationIsHopelessIfACertificateOutlivesTheWatch(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	state := rotation([]Sighting{{Pod: "a", Certificate: Certificate{Serial: "1", NotAfter: start.Add(24 * time.Hour)}}}, []string{"a"}, start)
	assert.True(t, state.hopeless(start.Add(2*time.Minute)))
	assert.False(t, state.hopeless(start.Add(25*time.Hour)))
}

func TestTheTimesAtWhichFilesWereWrittenAreRead(t *testing.T) {
	// As coreutils and as busybox print them; of a file that is not there stat prints
	// nothing to standard output.
	got := ParseWritten("2026-11-25 04:09:20.107666608 +0000 /etc/certs/key.pem\n2026-11-25 05:09:20 +0100 /a path/with spaces\nstat: cannot stat 'x'\n\n")
	assert.Equal(t, map[string]time.Time{
		"/etc/certs/key.pem":  time.Date(2026, 11, 25, 4, 9, 20, 107666608, time.UTC),
		"/a path/with spaces": time.Date(2026, 11, 25, 4, 9, 20, 0, time.UTC),
	}, got)
	assert.Empty(t, ParseWritten(""))
}
