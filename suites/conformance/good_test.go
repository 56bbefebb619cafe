package conformance

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// recorded is an observation of the real stack, set up as the guide says.
const recorded = "testdata/good.json"

// good is the recorded observation, a copy for each test to spoil. What a recording
// from before a collector existed lacks is filled in as that collector would.
func good(t testing.TB) observe.Observation {
	t.Helper()
	content, err := os.ReadFile(recorded)
	require.NoError(t, err)
	o, err := observe.Decode(content)
	require.NoError(t, err)
	complete(&o)
	return o
}

func complete(o *observe.Observation) {
	if o.Mesh.TrustDomain == "" {
		o.Mesh.RootNamespace, o.Mesh.TrustDomain, o.Mesh.MetricsMerging = "istio-system", "cluster.local", true
	}
	if len(o.Mesh.Roots) == 0 {
		o.Mesh.Roots = o.Replicas[0].Certificate.Roots
	}
	if o.OtherPrometheuses == nil {
		o.OtherPrometheuses = []monitoringv1.Prometheus{}
	}
	for i := range o.Replicas {
		completeReplica(*o, &o.Replicas[i])
	}
	for i := range o.Proxies {
		p := &o.Proxies[i]
		if !hasProbe(*o, observe.ForeignCertificate) {
			p.After["fail_verify_error"] = p.Before["fail_verify_error"] + 5
		}
	}
	completeProbes(o)
}

func completeReplica(o observe.Observation, r *observe.Replica) {
	if r.Configuration == "" {
		r.Configuration = "global:\n  scrape_interval: 30s\nscrape_configs:\n" +
			"- job_name: serviceMonitor/default/productpage/0\n  scheme: https\n  tls_config:\n" +
			"    ca_file: /etc/prom-certs/root-cert.pem\n    cert_file: /etc/prom-certs/cert-chain.pem\n    key_file: /etc/prom-certs/key.pem\n    insecure_skip_verify: true\n"
	}
	if len(r.Files) == 0 {
		for _, n := range observe.UsedFiles(o) {
			r.Files = append(r.Files, observe.File{Path: n.Path, Role: n.Role, Mode: "0644", Owner: "1337:1337", Size: 1100})
		}
	}
	if len(r.Sockets) == 0 {
		own := observe.FindPod(o, "default", r.Pod).Status.PodIP
		for _, e := range observe.ExpectedTargets(o) {
			r.Sockets = append(r.Sockets, observe.Socket{Local: own + ":40000", Remote: e.Address, UID: 65534})
		}
		// The agent asks Prometheus for its health, and speaks to istiod.
		r.Sockets = append(r.Sockets,
			observe.Socket{Local: own + ":40001", Remote: own + ":9090", UID: 1337},
			observe.Socket{Local: own + ":40002", Remote: "10.96.0.20:15012", UID: 1337})
	}
	if len(r.ProxyCertificates) == 0 {
		r.ProxyCertificates = []observe.ProxyCertificate{{Serial: r.Certificate.Serial, URI: r.Certificate.URIs[0], NotAfter: r.Certificate.NotAfter}}
	}
}

func completeProbes(o *observe.Observation) {
	foreign, doorsTried := hasProbe(*o, observe.ForeignCertificate), hasProbe(*o, observe.SideDoor)
	expected := observe.ExpectedTargets(*o)
	for _, e := range overTLS(expected) {
		if !foreign {
			o.Probes = append(o.Probes, observe.Probe{
				Kind: observe.ForeignCertificate, Pod: podName(e), Port: e.Port, Path: e.Path, Via: "the client in the cluster",
				Attempts: repeat(5, observe.Attempt{Error: "remote error: tls: unknown certificate authority"}),
			})
		}
	}
	if !doorsTried {
		for _, d := range doors(&subject{Observation: *o}, expected) {
			o.Probes = append(o.Probes, observe.Probe{
				Kind: observe.SideDoor, Pod: d.pod, Port: d.port, Path: "/stats/prometheus", Via: "the API server's pod proxy",
				Attempts: []observe.Attempt{{Answered: true, Code: 200, Bytes: 4000}},
			})
		}
	}
}

func hasProbe(o observe.Observation, kind string) bool {
	for _, p := range o.Probes {
		if p.Kind == kind {
			return true
		}
	}
	return false
}

func repeat(n int, a observe.Attempt) []observe.Attempt {
	var all []observe.Attempt
	for range n {
		all = append(all, a)
	}
	return all
}

// spoilt is one change to the good observation and what a check must say of it.
type spoilt struct {
	name    string
	change  func(o *observe.Observation)
	verdict reports.Verdict
	says    string // part of the reason
}

// examine shows that a check passes the good observation with evidence, and says
// of each spoilt one what it must.
func examine(t *testing.T, c Check, cases []spoilt) {
	t.Helper()
	r := c.Judge(good(t))
	require.Equal(t, reports.Pass, r.Verdict, "of the good observation: %s", r.Reason)
	require.NotEmpty(t, r.Evidence)
	require.Empty(t, r.Reason)
	examineCases(t, c, cases)
}

func examineCases(t *testing.T, c Check, cases []spoilt) {
	t.Helper()
	seen := map[reports.Verdict]bool{}
	for _, s := range cases {
		t.Run(s.name, func(t *testing.T) {
			o := good(t)
			s.change(&o)
			r := c.Judge(o)
			require.Equal(t, s.verdict, r.Verdict, r.Reason)
			require.Contains(t, r.Reason, s.says)
			if s.verdict == reports.Pass {
				require.NotEmpty(t, r.Evidence)
			}
			require.Equal(t, []string{c.ID, c.Title, c.Profile, string(c.Level)}, []string{r.ID, r.Title, r.Profile, string(r.Level)})
		})
		seen[s.verdict] = true
	}
	require.True(t, seen[reports.Fail] && seen[reports.Inconclusive], "a check needs a case in which it fails and one in which it cannot tell")
}

// Shorthands for what the tests spoil most.

func replica(o *observe.Observation) *observe.Replica { return &o.Replicas[0] }

func podOf(o *observe.Observation, name string) *corev1.Pod {
	return observe.FindPod(*o, "default", name)
}

func firstReplicaPod(o *observe.Observation) *corev1.Pod { return podOf(o, o.Replicas[0].Pod) }

func firstTarget(o *observe.Observation) observe.Expected {
	return overTLS(observe.ExpectedTargets(*o))[0]
}

func proxyFor(o *observe.Observation, e observe.Expected) *observe.Proxy {
	for i := range o.Proxies {
		if o.Proxies[i].Pod == podName(e) {
			return &o.Proxies[i]
		}
	}
	return nil
}

func probeFor(o *observe.Observation, kind string) *observe.Probe {
	for i := range o.Probes {
		if o.Probes[i].Kind == kind {
			return &o.Probes[i]
		}
	}
	return nil
}

func couldNotRead(what string) func(*observe.Observation) {
	return func(o *observe.Observation) {
		o.Unread = append(o.Unread, observe.Unread{What: what, Reason: "pods is forbidden"})
	}
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }
