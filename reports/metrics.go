package reports

import (
	"bytes"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// MetricsFile is the file that a Prometheus can scrape, from a web server or through
// the textfile collector of a node exporter.
const MetricsFile = "metrics.prom"

// metricsPrefix begins the name of every metric.
const metricsPrefix = "mtls_scrape_conformance"

// verdicts are all there are. A metric has a series for each of them, 1 or 0, so that
// a change is seen as one and a missing series is never taken for a pass.
var verdicts = []Verdict{Pass, Fail, Inconclusive, Skip}

// Metrics renders a report as OpenMetrics text: the verdicts of the run, its profiles
// and its checks, how long it all took, and when the certificates end that were seen.
// No sample has a time of its own: how old they are, the metric of the run's end says.
//
// https://prometheus.io/docs/specs/om/open_metrics_spec/
func Metrics(r Report) ([]byte, error) {
	r.Conclude()
	registry := prometheus.NewPedanticRegistry()
	m := metrics{registry}
	m.run(r)
	m.profiles(r)
	m.checks(r)
	m.watched(lanes(r))

	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return nil, err
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		err = c.Close() // writes the end mark
	}
	return b.Bytes(), err
}

type metrics struct{ registry *prometheus.Registry }

func (m metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: metricsPrefix, Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

// verdict sets a series for each verdict. If one thing has two, as in a report with a
// check twice, both are 1.
func verdict(g *prometheus.GaugeVec, v Verdict, labels ...string) {
	for _, w := range verdicts {
		s := g.WithLabelValues(append(slices.Clone(labels), string(w))...)
		if v == w {
			s.Set(1)
		}
	}
}

func (m metrics) run(r Report) {
	verdict(m.gauge("run_verdict", "Verdict of the run: 1 for the one that it has.", "verdict"), r.Verdict)
	m.gauge("run_exit_code", "Exit code of the run; 0 is conformant.").WithLabelValues().Set(float64(r.ExitCode))
	m.gauge("run_leftovers", "How many things the run made and could not remove.").WithLabelValues().Set(float64(len(r.Leftovers)))
	if !r.StartedAt.IsZero() {
		m.gauge("run_start_timestamp_seconds", "When the run began.").WithLabelValues().Set(float64(r.StartedAt.UnixMilli()) / 1000)
	}
	if !r.EndedAt.IsZero() {
		m.gauge("run_end_timestamp_seconds", "When the run ended; what is older than it should be was not judged lately.").WithLabelValues().Set(float64(r.EndedAt.UnixMilli()) / 1000)
	}
	labels, values := []string{"run_id", "suite_version", "suite_commit"}, []string{oneLine(r.RunID), oneLine(r.Suite.Version), oneLine(r.Suite.Commit)}
	for _, f := range r.Subject.fields() {
		labels, values = append(labels, snake(f.Name)), append(values, oneLine(f.Value))
	}
	m.gauge("run_info", "What was judged, and by what; always 1.", labels...).WithLabelValues(values...).Set(1)

	if n := r.Repetitions; n != nil {
		rounds := m.gauge("rounds", "How often the subject was judged, by how it came out; a check has the worst of its verdicts.", "verdict")
		rounds.WithLabelValues(string(Pass)).Set(float64(n.Rounds - n.Failed - n.Inconclusive))
		rounds.WithLabelValues(string(Fail)).Set(float64(n.Failed))
		rounds.WithLabelValues(string(Inconclusive)).Set(float64(n.Inconclusive))
	}

	phases := m.gauge("phase_duration_seconds", "How long a phase of the run took.", "phase")
	for _, p := range r.Phases {
		phases.WithLabelValues(oneLine(p.Name)).Add(number(p.Seconds))
	}
}

func (m metrics) profiles(r Report) {
	verdictOf := m.gauge("profile_verdict", "Verdict of a profile: 1 for the one that it has.", "profile", "verdict")
	claimed := m.gauge("profile_claimed", "1 for a profile that the run claims: it passed, and so did each check that the claim takes and that has anything to judge.", "profile")
	checks := m.gauge("profile_checks", "How many checks of a profile have a verdict.", "profile", "verdict")
	for _, p := range r.Profiles {
		name := oneLine(p.Name)
		verdict(verdictOf, p.Verdict, name)
		if s := claimed.WithLabelValues(name); p.Claimed {
			s.Set(1)
		}
		for v, n := range map[Verdict]int{Pass: p.Passed, Fail: p.Failed, Inconclusive: p.Inconclusive, Skip: p.Skipped} {
			checks.WithLabelValues(name, string(v)).Add(float64(n))
		}
	}
}

func (m metrics) checks(r Report) {
	verdictOf := m.gauge("check_verdict", "Verdict of a check: 1 for the one that it has.", "profile", "check", "level", "verdict")
	took := m.gauge("check_duration_seconds", "How long a check took to observe and to judge.", "profile", "check")
	for _, c := range r.Checks {
		verdict(verdictOf, c.outcome(), oneLine(c.Profile), oneLine(c.ID), oneLine(string(c.Level)))
		took.WithLabelValues(oneLine(c.Profile), oneLine(c.ID)).Set(number(c.DurationSeconds))
	}
}

// watched says of each lane when its last certificate ends, and of all of them what
// became of the scrapes: a series for each of ten thousand targets would cost the
// Prometheus that reads it more than it tells.
func (m metrics) watched(tracks []Track) {
	ends := map[string]int64{}
	scrapes, missed := 0, 0
	for _, t := range tracks {
		scrapes, missed = scrapes+len(t.Points), missed+t.missed()
		for _, b := range t.Bars {
			if b.Kind == CertificateBar {
				name := oneLine(t.Subject)
				ends[name] = max(ends[name], b.To.Unix())
			}
		}
	}
	g := m.gauge("certificate_end_timestamp_seconds", "When the last certificate ends that was seen of a subject.", "subject")
	for name, end := range ends {
		g.WithLabelValues(name).Set(float64(end))
	}
	g = m.gauge("scrapes", "How many scrapes were recorded while the run watched, by whether they succeeded.", "result")
	g.WithLabelValues("ok").Set(float64(scrapes - missed))
	g.WithLabelValues("missed").Set(float64(missed))
}

// snake turns the name of a field into that of a label.
func snake(name string) string {
	var b []byte
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			b = append(b, '_')
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}
