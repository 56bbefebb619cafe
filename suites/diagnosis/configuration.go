package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"istio.io/api/annotation"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// configurationRules are about what Prometheus made of the monitors.
var configurationRules = []Rule{
	{
		Code: "configuration-not-loaded", Layer: LayerConfiguration,
		Title:   "Prometheus could not load its configuration and goes on with an older one",
		Hides:   []string{"configuration-outdated"},
		Explain: configurationNotLoaded,
	},
	{
		Code: "configuration-outdated", Layer: LayerConfiguration,
		Title:   "A selected monitor is not in the configuration that Prometheus has loaded",
		Proof:   "the log of the operator, and whether the job appears within two minutes (the kubelet's time to bring a changed Secret)",
		Explain: configurationOutdated,
	},
	{
		Code: "pools-made-before-files", Layer: LayerConfiguration,
		Title:   "Prometheus tried to make the job before the certificates were there, and does not try again",
		Explain: poolsMadeBeforeFiles,
	},
	{
		Code: "pool-not-made", Layer: LayerConfiguration,
		Title:   "Prometheus could not make the job, so that it has no target that could be down",
		Proof:   "the line \"error creating new scrape pool\" in the log of Prometheus: it names the file",
		Explain: poolNotMade,
	},
}

func configurationNotLoaded(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		if r.seen == nil || r.seen.Metrics.ReloadSuccessful != 0 {
			continue
		}
		if _, unread := f.unread("the own metrics of " + r.name); unread {
			continue
		}
		if _, unread := f.unread("the API of " + r.name); unread {
			continue
		}
		found = append(found, certain(append(r.about(), f.allPools()...), r.name+": prometheus_config_last_reload_successful is 0",
			"see the log of Prometheus for the line of the configuration that it refuses; most often a monitor's relabeling, or a field that this version does not know: set spec.version of "+f.prometheus+" to the version of its image"))
	}
	return found
}

func (f *facts) allPools() []string {
	var about []string
	for _, m := range f.monitors {
		if m.Selected {
			about = append(about, m.about()...)
		}
	}
	return about
}

// lacking calls with the jobs of expected targets that a replica does not have,
// each once.
func (f *facts) lacking(call func(r *replica, t *target)) {
	for _, r := range f.replicas {
		if r.seen == nil {
			continue
		}
		if _, unread := f.unread("the scrape pools of " + r.name); unread {
			continue
		}
		asked := map[string]bool{}
		for _, t := range f.targets {
			if !asked[t.Pool] && !r.pools[t.Pool] {
				asked[t.Pool] = true
				call(r, t)
			}
		}
	}
}

// configured reports whether a job is in the loaded configuration, and whether
// that is known.
func (r *replica) configured(pool string) (is, known bool) {
	if r.seen.Configuration == "" {
		return false, false
	}
	for line := range strings.Lines(r.seen.Configuration) {
		if name, ok := strings.CutPrefix(strings.TrimLeft(line, " -"), "job_name:"); ok && strings.Trim(strings.TrimSpace(name), `"'`) == pool {
			return true, true
		}
	}
	return false, true
}

func (t *target) aboutAt(r *replica) []string {
	return append(t.about(), "replica "+r.name)
}

func configurationOutdated(f *facts) []finding {
	var found []finding
	f.lacking(func(r *replica, t *target) {
		is, known := r.configured(t.Pool)
		if is || !known && r.seen.Metrics.ScrapePoolsFailed > 0 {
			return
		}
		x := finding{about: t.aboutAt(r), confidence: reports.Likely,
			seen:   fmt.Sprintf("%s selects %s, and the configuration of %s has no job %s", f.prometheus, t.monitor, r.name, t.Pool),
			change: "see the log of the operator and of the container config-reloader: one of them has not done its part, or not yet"}
		if !known {
			x.confidence = reports.Possible
		}
		found = append(found, x)
	})
	return found
}

func poolsMadeBeforeFiles(f *facts) []finding {
	var found []finding
	f.lacking(func(r *replica, t *target) {
		is, known := r.configured(t.Pool)
		if known && !is || r.seen.Metrics.ScrapePoolsFailed == 0 || !r.filesGood(t.tls) {
			return
		}
		x := finding{about: t.aboutAt(r), confidence: reports.Certain,
			seen:   fmt.Sprintf("%s has failed to make %g scrape pools and lacks the job %s, although the files that %s names can be read by now", r.name, r.seen.Metrics.ScrapePoolsFailed, t.Pool, t.monitor),
			change: fmt.Sprintf("restart the pods of %s now; for good, let the proxy start first: a native sidecar (Kubernetes 1.33, Istio 1.27), or holdApplicationUntilProxyStarts: true in %s", f.prometheus, "spec.podMetadata.annotations."+annotation.ProxyConfig.Name)}
		if !known {
			x.confidence = reports.Likely
		}
		found = append(found, x)
	})
	return found
}

// filesGood reports whether all files of a configuration were seen to be readable.
func (r *replica) filesGood(c clientTLS) bool {
	for _, p := range []string{c.ca, c.cert, c.key} {
		if p == "" {
			continue
		}
		good := false
		for _, x := range r.files {
			good = good || x.Path == p && x.Error == "" && x.ParseError == "" && !empty(x)
		}
		if !good {
			return false
		}
	}
	return c.cert != "" || c.ca != ""
}

func poolNotMade(f *facts) []finding {
	var found []finding
	f.lacking(func(r *replica, t *target) {
		if r.seen.Metrics.ScrapePoolsFailed == 0 || r.filesGood(t.tls) {
			return
		}
		files := slices.DeleteFunc([]string{t.tls.ca, t.tls.cert, t.tls.key}, func(p string) bool { return p == "" })
		found = append(found, finding{about: t.aboutAt(r), confidence: reports.Likely,
			seen:   fmt.Sprintf("%s has failed to make %g scrape pools (prometheus_target_scrape_pools_failed_total) and lacks the job %s", r.name, r.seen.Metrics.ScrapePoolsFailed, t.Pool),
			change: fmt.Sprintf("%s: set %s.tlsConfig to files that the Prometheus container can read; it names %s", t.monitor, t.field, firstOf(strings.Join(files, ", "), "none"))})
	})
	return found
}
