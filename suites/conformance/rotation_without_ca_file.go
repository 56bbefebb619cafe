package conformance

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// rotationWithoutCAFile is about a line that many leave out, because
// insecureSkipVerify seems to make it needless. Whether that works depends on
// Prometheus' version: the check knows what is to be expected of which, and sees
// whether it is so.
var rotationWithoutCAFile = Check{
	ID:       "rotation-without-ca-file",
	Title:    "A monitor without caFile fares at a rotation as is known of this version of Prometheus",
	Profile:  ProfileRotation,
	Level:    reports.Extended,
	Disrupts: "a second monitor of productpage is there during the watch",
	Reads:    reads("the up samples "),
	Assess: func(o *subject, f *finding) {
		fares := rotatesWithoutCAFile(o.Observation)
		v := o.WithoutCA
		switch {
		case fares == crashes:
			f.Skip("Prometheus %s is known to crash at the first rotation without caFile (prometheus/common#792): it is not tried; give every monitor its caFile", versionOf(o.Observation))
			return
		case o.Watch == nil || v == nil:
			f.Unclear("nobody watched a monitor without caFile: on a cluster that is not the suite's own none is added")
			return
		case v.Error != "":
			f.Unclear("the monitor without caFile was not scraped: %s", v.Error)
			return
		}
		wantReplicas(o, f)
		for _, r := range o.Replicas {
			assessWithoutCA(o, r, fares, f)
		}
	},
	Excuses: func(o observe.Observation, m missed) bool {
		if o.Watch == nil || o.WithoutCA == nil || m.labels["job"] != o.WithoutCA.Job || rotatesWithoutCAFile(o) != breaks {
			return false
		}
		renewed := renewals(o.Watch, m.replica, o.WithoutCA.Since)
		return len(renewed) > 0 && !m.at.Before(renewed[0].At)
	},
}

// faring is what becomes of a job without caFile when its certificate is renewed.
type faring string

const (
	rotates faring = "goes on"
	breaks  faring = "stops for good"
	crashes faring = "takes Prometheus down with it"
	unknown faring = "is not known"
)

// withoutCAFile is what was found with each release's own HTTP client: until 3.7 a
// nil pointer (prometheus/common#792), until 3.12 an error that sticks
// (prometheus/common#902), since 3.13 all is well (prometheus/common#908). What
// came before 3.3 was not tried.
var withoutCAFile = []struct {
	since minor
	fares faring
}{
	{minor{3, 13}, rotates},
	{minor{3, 8}, breaks},
	{minor{3, 3}, crashes},
}

type minor struct{ major, minor int }

func (m minor) atLeast(x minor) bool {
	return m.major > x.major || m.major == x.major && m.minor >= x.minor
}

func rotatesWithoutCAFile(o observe.Observation) faring {
	parts := strings.SplitN(strings.TrimPrefix(versionOf(o), "v"), ".", 3)
	if len(parts) < 2 {
		return unknown
	}
	major, err1 := strconv.Atoi(parts[0])
	second, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return unknown
	}
	for _, w := range withoutCAFile {
		if (minor{major, second}).atLeast(w.since) {
			return w.fares
		}
	}
	return unknown
}

func versionOf(o observe.Observation) string {
	for _, r := range o.Replicas {
		return r.Version
	}
	return ""
}

// assessWithoutCA compares the samples of the second monitor with what is known.
// Only renewals while it was there, and scrapes after the first of them, count.
func assessWithoutCA(o *subject, r observe.Replica, fares faring, f *finding) {
	renewed := renewals(o.Watch, r.Pod, o.WithoutCA.Since)
	if len(renewed) == 0 {
		f.Unclear("the certificate of %s was not renewed while there was a monitor without caFile", r.Pod)
		return
	}
	good, bad := 0, 0
	var firstBad time.Time
	for _, u := range o.Watch.Up {
		for _, s := range u.Series {
			if u.Pod != r.Pod || s.Labels["job"] != o.WithoutCA.Job {
				continue
			}
			for _, p := range s.Points {
				switch {
				case p.At.Before(renewed[0].At):
				case p.Value == 1:
					good++
				default:
					bad++
					if firstBad.IsZero() || p.At.Before(firstBad) {
						firstBad = p.At
					}
				}
			}
		}
	}
	is := unknown
	switch {
	case good+bad == 0:
		f.Unclear("%s stored no sample of the monitor without caFile after its certificate was renewed", r.Pod)
		return
	case bad == 0:
		is = rotates
	case good == 0:
		is = breaks
	}
	f.Saw(sourceQuery, r.Pod, "without caFile, after %d renewals: %d scrapes were good, %d failed", len(renewed), good, bad)
	switch {
	case is == fares:
	case fares == unknown:
		f.Unclear("of Prometheus %s it is not known how a monitor without caFile fares; here it %s", r.Version, is)
	case is == unknown:
		f.Fail("of the scrapes of %s without caFile %d failed after a renewal and %d did not, the first at %s: Prometheus %s is known as one where such a monitor %s", r.Pod, bad, good, firstBad.Format(clock), r.Version, fares)
	default:
		f.Fail("at %s a monitor without caFile %s at a renewal; Prometheus %s is known as one where it %s", r.Pod, is, r.Version, fares)
	}
}

// renewals are the certificates that a replica got after a moment.
func renewals(w *observe.Watch, pod string, since time.Time) []observe.Sighting {
	own := sightingsOf(w.Certs, pod)
	if len(own) == 0 {
		return nil
	}
	// The first was there when the watch began.
	return slices.DeleteFunc(own[1:], func(s observe.Sighting) bool { return !s.At.After(since) })
}
