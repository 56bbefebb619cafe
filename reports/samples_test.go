package reports

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The samples are complete reports of the runs a user can meet; every format is
// tested on them.

var began = time.Date(2026, 9, 1, 6, 30, 0, 0, time.UTC)

func passing(id, profile string) Check {
	return Check{
		ID: id, Title: "what " + id + " says must hold", Profile: profile, Level: Core, Verdict: Pass,
		DurationSeconds: 0.1,
		Evidence:        []Evidence{{Source: "prometheus-0 /api/v1/targets", Subject: "pod bookinfo/productpage-v1-7f", Text: "up over https, port 9080"}},
	}
}

func checkWith(id, profile string, l Level, v Verdict, reason string) Check {
	c := passing(id, profile)
	c.Level, c.Verdict, c.Reason = l, v, reason
	return c
}

// good is a run with nothing to complain about, and with every list filled.
func good() Report {
	r := Report{
		SchemaVersion: SchemaVersion,
		RunID:         "x1-20260901-063000",
		Suite:         Suite{Version: "v1.2.0", Commit: "0123abcd"},
		StartedAt:     began,
		EndedAt:       began.Add(87*time.Second + 400*time.Millisecond),
		Subject: Subject{
			Kubernetes: "v1.37.2", Istio: "1.31.4", DataPlane: "sidecar 1.31.4", Prometheus: "3.13.0",
			Operator: "0.92.0", TrustDomain: "cluster.local", ImageSource: "packages", Fingerprint: "sha256:0a1b",
		},
		Configuration: map[string]string{"cluster": "kind", "profiles": "setup,scrape,secure-ports", "istio.version": "1.31.4"},
		Checks: []Check{
			passing("prometheus-sidecar-injected", "setup"),
			passing("targets-up", "scrape"),
			checkWith("secure-metrics-ports", "secure-ports", Core, Skip, "Istio 1.30.2 has no secure metrics ports; they came with 1.31"),
			checkWith("ambient-scraped", "scrape", Provisional, Fail, "ztunnel refused the connection"),
		},
		Phases: []Phase{{"images", 40.25}, {"cluster", 22}, {"istio", 12.04}, {"checks", 3.1}},
		Timeline: []Event{
			{began.Add(time.Minute), CertificateStart, "pod monitoring/prometheus-0", "serial 7f01"},
			{began.Add(2 * time.Minute), CertificateEnd, "pod monitoring/prometheus-0", "serial 7f01"},
		},
	}
	r.Conclude()
	return r
}

// failing has a failed check with everything a diagnosis can say, one that could not
// be judged, and leftovers that must not hide them.
func failing() Report {
	r := good()
	r.Checks[1] = Check{
		ID: "targets-up", Title: "every target is up, without an error, and was scraped within two intervals",
		Profile: "scrape", Level: Core, Verdict: Fail, Reason: "2 of 6 targets are down on prometheus-0", DurationSeconds: 0.34,
		Evidence: []Evidence{
			{"prometheus-0 /api/v1/targets", "pod bookinfo/productpage-v1-7f", `lastError: Get "https://10.244.0.12:9080/metrics": read tcp 10.244.0.9:51234->10.244.0.12:9080: read: connection reset by peer`},
			{"prometheus-0 /api/v1/targets", "pod bookinfo/reviews-v1-9c", "lastError: the same"},
		},
		Causes: []Cause{
			{"monitor-without-tls", "ServiceMonitor bookinfo/productpage has scheme https and no tlsConfig.certFile", "ServiceMonitor bookinfo/productpage: set spec.endpoints[0].tlsConfig.certFile to /etc/prom-certs/cert-chain.pem", "https://istio.io/latest/docs/ops/integrations/prometheus/", Certain},
			{"clock-skew", "the certificate began 3s ago", "synchronise the clocks of the nodes", "", Possible},
		},
	}
	r.Checks = append(r.Checks, checkWith("scraper-certificate-rotated", "rotation", Core, Inconclusive, "the certificate did not change within 3m0s\nlast state: serial 7f01, valid until 06:45"))
	r.Leftovers = []string{"namespace/mtls-scrape-x1", "volume x1-images"}
	r.Conclude()
	return r
}

func setupFailed() Report {
	r := good()
	r.Checks, r.Timeline = nil, nil
	r.Profiles = []Profile{{Name: "setup"}, {Name: "scrape"}}
	r.Phases = r.Phases[:3]
	r.Error = &SetupError{Phase: "istio", Message: "every pod of istio-system ready: not within 3m0s\nlast state: istiod-5d 0/1 ImagePullBackOff\nnext: see whether the node reaches registry.example/istio, or set IMAGES=packages"}
	r.Conclude()
	return r
}

func interrupted() Report {
	r := failing()
	r.Interrupted, r.Leftovers = true, nil
	r.Profiles = append(r.Profiles, Profile{Name: "resilience"})
	r.Conclude()
	return r
}

func leftBehind() Report {
	r := good()
	r.Leftovers = []string{"kind cluster mtls-scrape-x1"}
	r.Conclude()
	return r
}

// rotated is a run that watched certificates and scrapes while parts were taken away.
func rotated() Report {
	r := good()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	certificates := Track{Subject: "prometheus-0"}
	for i := range 4 {
		certificates.Bars = append(certificates.Bars, Bar{at(10 * i), at(10*i + 20), CertificateBar, "serial 7f0" + string(rune('1'+i))})
	}
	up := Track{Subject: "prometheus-0 to bookinfo/productpage-v1-7f", Bars: []Bar{{at(30), at(42), DisruptionBar, "istiod is taken away"}}}
	for s := 0; s < 60; s += 5 {
		up.Points = append(up.Points, Point{At: at(s), OK: s != 35})
	}
	r.Tracks = []Track{certificates, up}
	r.Repetitions = &Repetitions{Rounds: 5, Inconclusive: 1, Low: 0.036, High: 0.624, Phases: []PhaseStatistic{{"images", 40.2, 0.3}}}
	r.Conclude()
	return r
}

// seenInPart is a run that only read, and was not permitted what some checks take.
func seenInPart() Report {
	r := good()
	r.Profiles = []Profile{
		{Name: "setup", Required: []string{"prometheus-sidecar-injected", "certificates-mounted"}}, {Name: "scrape", Required: []string{"targets-up", "unmeshed-still-scraped"}},
		{Name: "rotation", Required: []string{"scraper-certificate-rotated", "target-certificate-rotated"}},
	}
	r.Checks = []Check{
		passing("prometheus-sidecar-injected", "setup"), checkWith("certificates-mounted", "setup", Core, Skip, "the files were not looked at: that takes -permit=exec"),
		passing("targets-up", "scrape"), checkWith("unmeshed-still-scraped", "scrape", Core, Skip, "nothing is without a sidecar"),
		checkWith("past-rotations-survived", "rotation", Extended, Pass, ""),
	}
	r.Checks[1].LeftOut = true
	r.Conclude()
	return r
}

var samples = map[string]func() Report{
	"good": good, "failing": failing, "setup-failed": setupFailed, "interrupted": interrupted, "leftovers": leftBehind, "rotated": rotated,
	"seen-in-part": seenInPart,
}

// recorded are reports of real runs: a good one, one that disrupted, three of subjects
// with one fault each, and one whose set-up failed. Names of machines were taken out.
func recorded(t testing.TB) map[string]Report {
	t.Helper()
	files, err := filepath.Glob("testdata/recorded/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string]Report{}
	for _, f := range files {
		r, err := Read(f)
		require.NoError(t, err)
		all["recorded-"+strings.TrimSuffix(filepath.Base(f), ".json")] = r
	}
	return all
}
