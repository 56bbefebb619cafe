package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestScraperCertificateRotated(t *testing.T) {
	first := func(o *observe.Observation) string { return o.Watch.Up[0].Pod }
	examine(t, scraperCertificateRotated, append(targetsOpen(), []spoilt{
		{"a missed scrape fails", func(o *observe.Observation) {
			o.Watch.Up[0].Series[0].Points[2].Value = 0
		}, reports.Fail, "failed: "},
		{"a scrape that was left out fails", func(o *observe.Observation) {
			s := &o.Watch.Up[0].Series[0]
			s.Points = append(s.Points[:3], s.Points[5:]...)
		}, reports.Fail, "did not scrape"},
		{"scrapes that stop fail", func(o *observe.Observation) {
			o.Watch.Up[0].Series[0].Points = o.Watch.Up[0].Series[0].Points[:3]
		}, reports.Fail, "of the watch, its interval is"},
		{"too few renewals fail", func(o *observe.Observation) {
			var kept []observe.Sighting
			for _, s := range o.Watch.Certs {
				if s.Pod != first(o) || len(kept) == 0 {
					kept = append(kept, s)
				}
			}
			o.Watch.Certs = kept
		}, reports.Fail, "was renewed 0 times"},
		{"a watch that ended before the first certificate fails", func(o *observe.Observation) {
			o.Watch.Certs[0].Certificate.NotAfter = o.Watch.To.Add(time.Minute)
		}, reports.Fail, "ended before the first certificate did"},
		{"new files that the targets never saw fail", func(o *observe.Observation) {
			for i := range o.Watch.Seen[0].Requests {
				o.Watch.Seen[0].Requests[i].Serial = "1"
			}
		}, reports.Fail, "saw none of the certificates"},
		{"a proxy that goes on with another certificate than the file has fails", func(o *observe.Observation) {
			o.Watch.Certs[0].Proxy = "1234"
		}, reports.Fail, "the sidecar does not write what it is issued"},
		{"a proxy that has the next one already does not", func(o *observe.Observation) {
			for _, s := range o.Watch.Certs {
				if s.Pod == first(o) {
					o.Watch.Certs[0].Proxy = s.Certificate.Serial // the last one
				}
			}
		}, reports.Pass, ""},
		{"a proxy that was not read is inconclusive", func(o *observe.Observation) { o.Watch.Seen = nil }, reports.Inconclusive, "saw during the watch was not read"},
		{"samples that were not read are inconclusive", func(o *observe.Observation) { o.Watch.Up = nil }, reports.Inconclusive, "stored during the watch was not read"},
		{"no watch is inconclusive", func(o *observe.Observation) { o.Watch = nil }, reports.Inconclusive, "nobody watched"},
	}...))
}

func TestHowTornARenewalIsIsMeasured(t *testing.T) {
	o := good(t)
	var f finding
	s := &o.Watch.Certs[0]
	key, chain := observe.NamedFiles(o)[2].Path, observe.NamedFiles(o)[1].Path
	o.Watch.Certs = []observe.Sighting{*s}
	o.Watch.Certs[0].Written = map[string]time.Time{key: o.At, chain: o.At.Add(8 * time.Millisecond), "/etc/prom-certs/root-cert.pem": o.At.Add(-time.Hour)}
	o.Watch.From, o.Watch.To = o.At, o.At.Add(12*time.Second)
	assessWrites(&subject{Observation: o}, o.Replicas[0], &f)
	found := f.Conclude(reports.Check{})
	assert.Equal(t, reports.Pass, found.Verdict, found.Reason)
	require.Len(t, found.Evidence, 1)
	assert.Contains(t, found.Evidence[0].Text, "within 8ms of each other, 1 times")
	assert.Contains(t, found.Evidence[0].Text, "at 0.001 of all moments")
}

func TestTargetCertificateRotated(t *testing.T) {
	shown := func(o *observe.Observation) *observe.Sighting { return &o.Watch.Shown[0] }
	examine(t, targetCertificateRotated, append(targetsOpen(), []spoilt{
		{"a missed scrape fails", func(o *observe.Observation) { o.Watch.Up[0].Series[0].Points[2].Value = 0 }, reports.Fail, "failed: "},
		{"too few renewals fail", func(o *observe.Observation) {
			seen := map[string]bool{}
			o.Watch.Shown = slices.DeleteFunc(o.Watch.Shown, func(s observe.Sighting) bool {
				again := seen[s.Pod]
				seen[s.Pod] = true
				return again
			})
		}, reports.Fail, "was renewed 0 times"},
		{"a watch that ended before the first certificate fails", func(o *observe.Observation) {
			shown(o).Certificate.NotAfter = o.Watch.To.Add(time.Minute)
		}, reports.Fail, "ended before its first certificate did"},
		{"somebody else's certificate fails", func(o *observe.Observation) {
			shown(o).Certificate.URIs = []string{"spiffe://cluster.local/ns/default/sa/other"}
		}, reports.Fail, "showed a certificate of spiffe://cluster.local/ns/default/sa/other"},
		{"a certificate that has ended fails", func(o *observe.Observation) {
			shown(o).Certificate.NotAfter = shown(o).At.Add(-time.Second)
		}, reports.Fail, "showed a certificate that had ended at"},
		{"a target that nobody looked at is inconclusive", func(o *observe.Observation) { o.Watch.Shown = nil }, reports.Inconclusive, "nobody made handshakes with"},
		{"a replica that made no new connection is inconclusive", func(o *observe.Observation) {
			for i := range o.Watch.Seen {
				o.Watch.Seen[i].Requests = nil
			}
		}, reports.Inconclusive, "made no new connection to"},
		{"a proxy that was not read is inconclusive", func(o *observe.Observation) { o.Watch.Seen = nil }, reports.Inconclusive, "saw during the watch was not read"},
		{"an unknown trust domain is inconclusive", func(o *observe.Observation) { o.Mesh.TrustDomain = "" }, reports.Inconclusive, "is not known"},
		{"no watch is inconclusive", func(o *observe.Observation) { o.Watch = nil }, reports.Inconclusive, "nobody watched"},
	}...))
}

func TestRotationWithoutCAFile(t *testing.T) {
	// from lets the scrapes of the monitor without caFile fail from a moment on.
	from := func(o *observe.Observation, fails func(observe.Point) bool) {
		for _, u := range o.Watch.Up {
			for _, s := range u.Series {
				for i := range s.Points {
					if s.Labels["job"] == WithoutCA && fails(s.Points[i]) {
						s.Points[i].Value = 0
					}
				}
			}
		}
	}
	version := func(o *observe.Observation, v string) {
		for i := range o.Replicas {
			o.Replicas[i].Version = v
		}
	}
	all := func(observe.Point) bool { return true }
	examineFrom(t, rotationWithoutCAFile, whole, []spoilt{
		{"scrapes that stop, of a version that is known to go on, fail", func(o *observe.Observation) { from(o, all) }, reports.Fail, "stops for good at a renewal; Prometheus 3.16.0 is known as one where it goes on"},
		{"scrapes that stop, of a version that is known for it, pass", func(o *observe.Observation) {
			version(o, "3.10.1")
			from(o, all)
		}, reports.Pass, ""},
		{"scrapes that go on, of a version that is known to stop, fail", func(o *observe.Observation) { version(o, "3.8.0") }, reports.Fail, "goes on at a renewal; Prometheus 3.8.0 is known as one where it stops for good"},
		{"one that was missed fails", func(o *observe.Observation) {
			last := o.Watch.To.Add(-3 * time.Second)
			from(o, func(p observe.Point) bool { return p.At.After(last) })
		}, reports.Fail, "failed after a renewal and"},
		{"a version that would crash is not tried", func(o *observe.Observation) {
			version(o, "v3.5.0")
			o.WithoutCA = nil
		}, reports.Skip, "is known to crash at the first rotation"},
		{"a version that nobody tried is inconclusive", func(o *observe.Observation) { version(o, "2.55.1") }, reports.Inconclusive, "it is not known how a monitor without caFile fares; here it goes on"},
		{"a version that is none is inconclusive", func(o *observe.Observation) { version(o, "main") }, reports.Inconclusive, "it is not known"},
		{"no renewal is inconclusive", func(o *observe.Observation) { o.WithoutCA.Since = o.Watch.To }, reports.Inconclusive, "was not renewed while"},
		{"no sample is inconclusive", func(o *observe.Observation) { o.WithoutCA.Job = "another" }, reports.Inconclusive, "stored no sample"},
		{"a monitor that was not scraped is inconclusive", func(o *observe.Observation) { o.WithoutCA.Error = "timed out" }, reports.Inconclusive, "was not scraped: timed out"},
		{"no such monitor is inconclusive", func(o *observe.Observation) { o.WithoutCA = nil }, reports.Inconclusive, "nobody watched"},
	})
}

func TestRootRotated(t *testing.T) {
	rotation := func(o *observe.Observation) *observe.RootRotation { return o.RootRotation }
	last := func(o *observe.Observation) *observe.Certificate {
		r := rotation(o)
		for i := range slices.Backward(r.Certs) {
			if r.Certs[i].Pod == o.Replicas[0].Pod {
				return &r.Certs[i].Certificate
			}
		}
		panic("the recording has no certificate of the first replica")
	}
	examineFrom(t, rootRotated, whole, []spoilt{
		{"a missed scrape fails", func(o *observe.Observation) {
			for _, s := range rotation(o).Up[0].Series {
				s.Points[len(s.Points)/2].Value = 0
			}
		}, reports.Fail, "failed: "},
		{"a step that does not get through fails", func(o *observe.Observation) {
			r := rotation(o)
			r.Error, r.Marks = "timed out after 1m0s", r.Marks[:1]
		}, reports.Fail, "after the step both-roots the rotation of the root got stuck: timed out"},
		{"a rotation that cannot begin is inconclusive", func(o *observe.Observation) {
			*rotation(o) = observe.RootRotation{Error: "the mesh trusts 2 roots; a rotation begins with one"}
		}, reports.Inconclusive, "could not be replaced: the mesh trusts 2 roots"},
		{"an old root that is still in the file fails", func(o *observe.Observation) {
			last(o).Roots = append(last(o).Roots, rotation(o).OldRoots...)
		}, reports.Fail, "trusts the new root and the old root, it should be the new root alone"},
		{"a certificate that the new root does not vouch for fails", func(o *observe.Observation) { last(o).ChainsTo = false }, reports.Fail, "does not chain to the new root"},
		{"an old certificate that is still served fails", func(o *observe.Observation) {
			rotation(o).After[0].Attempts[0] = observe.Attempt{Answered: true, Code: 200}
		}, reports.Fail, "still served a certificate of the old root (1 served, 4 refused)"},
		{"a new certificate that is refused fails", func(o *observe.Observation) {
			rotation(o).Twin[0].Attempts = repeat(5, observe.Attempt{Error: "remote error: tls: unknown certificate authority"})
		}, reports.Fail, "did not serve a workload of the mesh with its new certificate"},
		{"an old certificate that was never served is inconclusive", func(o *observe.Observation) { rotation(o).Before = nil }, reports.Inconclusive, "that it is refused later shows nothing"},
		{"a refusal that the proxy gives no reason for is inconclusive", func(o *observe.Observation) {
			rotation(o).Proxies = nil
		}, reports.Inconclusive, "its proxy gives the reason for 0 only"},
		{"nobody who asked is inconclusive", func(o *observe.Observation) { rotation(o).After = nil }, reports.Inconclusive, "nobody showed"},
		{"no rotation is inconclusive", func(o *observe.Observation) { o.RootRotation = nil }, reports.Inconclusive, "nobody replaced"},
	})
}
