package observe

import (
	"fmt"
	"regexp"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
)

// scrapeJob is a job of the configuration that the Operator generates, as far as
// it decides what is scraped, and where.
type scrapeJob struct {
	pool    string
	object  string // that it is made of, and the field, if it makes one for each
	scheme  string
	path    string
	params  map[string][]string
	every   monitoringv1.Duration // the interval, if the monitor has its own
	timeout monitoringv1.Duration
	legacy  bool // nameValidationScheme is Legacy

	static    []group // targets that are written down
	queries   []query // and those that are to be discovered
	selection []namedRule
	rules     []namedRule
	open      string // why its targets cannot be worked out, if that is plain at once
}

// defaults are the labels that every target of the job starts with, where
// discovery gives it no others: scrape/target.go, PopulateDiscoveredLabels.
func (j *scrapeJob) defaults(o Observation) layer {
	interval, timeout := j.timing(o)
	l := layer{
		"job": known(j.pool), schemeLabel: known(j.scheme), pathLabel: known(j.path),
		intervalLabel: duration(intervalLabel, interval), timeoutLabel: duration(timeoutLabel, timeout),
	}
	for _, name := range []string{"__convert_classic_histograms_to_nhcb__", "__always_scrape_classic_histograms__", "__scrape_native_histograms__"} {
		l[name] = unobserved(name) // whether they are there depends on the release
	}
	for name, values := range j.params {
		if len(values) > 0 {
			l[paramPrefix+name] = known(values[0])
		}
	}
	return l
}

// The labels by which Prometheus scrapes a target.
const (
	addressLabel  = "__address__"
	schemeLabel   = "__scheme__"
	pathLabel     = "__metrics_path__"
	paramPrefix   = "__param_"
	intervalLabel = "__scrape_interval__"
	timeoutLabel  = "__scrape_timeout__"
)

// metaPrefix begins the labels that discovery makes.
const metaPrefix = "__meta_"

// timing is how often the job scrapes and how long a scrape may take, 0 if that is
// not known: config/config.go, ScrapeConfig.Validate.
func (j *scrapeJob) timing(o Observation) (interval, timeout time.Duration) {
	first := func(texts ...monitoringv1.Duration) time.Duration {
		for _, t := range texts {
			if t != "" {
				d, _ := model.ParseDuration(string(t)) // what is none is refused by the API server
				return time.Duration(d)
			}
		}
		return 0
	}
	spec := o.Prometheus.Spec
	interval = first(j.every, spec.ScrapeInterval, "30s")
	if j.timeout != "" {
		return interval, first(j.timeout)
	}
	return interval, min(interval, first(spec.ScrapeTimeout, "10s"))
}

func duration(name string, d time.Duration) value {
	if d <= 0 {
		return unobserved(name)
	}
	return known(model.Duration(d).String())
}

// environment is what the config reloader fills in when it writes the
// configuration for one replica: pkg/reloader of Thanos, expandEnv.
var environment = regexp.MustCompile(`\$\(([a-zA-Z_0-9]+)\)`)

// filledIn fails if texts hold what is filled in for each replica. In rules the
// shard is worked out; elsewhere nobody has a use for it.
func filledIn(what string, texts any) error {
	if found := environment.FindString(fmt.Sprint(texts)); found != "" {
		return fmt.Errorf("%s holds %s, which the config reloader fills in", what, found)
	}
	return nil
}
