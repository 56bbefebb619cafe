package reports

import (
	"bytes"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMetricsGolden(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			data, err := Metrics(sample())
			require.NoError(t, err)
			golden(t, name+".metrics.prom", string(data))
		})
	}
}

// parseMetrics reads metrics as a node exporter's textfile collector does.
func parseMetrics(t *testing.T, r Report) map[string]*dto.MetricFamily {
	t.Helper()
	data, err := Metrics(r)
	require.NoError(t, err)
	assert.True(t, bytes.HasSuffix(data, []byte("\n# EOF\n")))
	assert.Equal(t, 1, bytes.Count(data, []byte("# EOF\n")))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(data))
	require.NoError(t, err)
	return families
}

// values are the samples of a metric, by its label values.
func values(f *dto.MetricFamily) map[string]float64 {
	m := map[string]float64{}
	for _, s := range f.GetMetric() {
		var labels []string
		for _, l := range s.GetLabel() {
			labels = append(labels, l.GetValue())
		}
		m[strings.Join(labels, " ")] = s.GetGauge().GetValue()
	}
	return m
}

func TestMetricsAreReadBack(t *testing.T) {
	families := parseMetrics(t, failing())
	of := func(name string) map[string]float64 {
		f := families[metricsPrefix+"_"+name]
		require.NotNil(t, f, name)
		assert.NotEmpty(t, f.GetHelp(), name)
		return values(f)
	}
	assert.Equal(t, map[string]float64{"pass": 0, "fail": 1, "inconclusive": 0, "skip": 0}, of("run_verdict"))
	assert.Equal(t, map[string]float64{"": 1}, of("run_exit_code"))
	assert.Equal(t, map[string]float64{"": 2}, of("run_leftovers"))
	checks := of("check_verdict")
	assert.Len(t, checks, 5*4)
	assert.Equal(t, 1.0, checks["targets-up core scrape fail"])
	assert.Equal(t, 0.0, checks["targets-up core scrape pass"])
	assert.Equal(t, 1.0, checks["scraper-certificate-rotated core rotation inconclusive"])
	assert.Equal(t, 1.0, checks["ambient-scraped provisional scrape fail"])
	assert.Equal(t, 0.34, of("check_duration_seconds")["targets-up scrape"])
	assert.Equal(t, 2.0, of("profile_checks")["scrape fail"])
	assert.Equal(t, 40.25, of("phase_duration_seconds")["images"])
	assert.Equal(t, map[string]float64{"pod monitoring/prometheus-0": float64(began.Unix() + 120)}, of("certificate_end_timestamp_seconds"))

	families = parseMetrics(t, rotated())
	assert.Equal(t, map[string]float64{"missed": 1, "ok": 11}, of("scrapes"))
	assert.Equal(t, map[string]float64{"prometheus-0": float64(began.Unix() + 50)}, of("certificate_end_timestamp_seconds"))
}

func TestMetricsOfHostileText(t *testing.T) {
	families := parseMetrics(t, hostileReport())
	info := families[metricsPrefix+"_run_info"].GetMetric()[0]
	require.Len(t, info.GetLabel(), 11)
	for _, l := range info.GetLabel() {
		assert.Contains(t, l.GetValue(), `\x1b]0;owned\a`, l.GetName())
	}
}

func TestMetricsOfACheckThatIsListedTwice(t *testing.T) {
	r := good()
	again := r.Checks[1]
	again.Verdict = Fail
	r.Checks = append(r.Checks, again)
	v := values(parseMetrics(t, r)[metricsPrefix+"_check_verdict"])
	assert.Equal(t, 1.0, v["targets-up core scrape pass"])
	assert.Equal(t, 1.0, v["targets-up core scrape fail"], "a failure is not lost behind a pass")
}
