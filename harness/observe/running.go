package observe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// GuideQuery is what the guide has its reader enter at the end of step 4.
const GuideQuery = "python_gc_objects_collected_total"

// scrapedMetric is what Prometheus itself stores of every scrape: how many samples it
// left.
const scrapedMetric = "scrape_samples_post_metric_relabeling"

// readRunning asks every replica of the Prometheus for what it knows.
func (p *pass) readRunning(ctx context.Context) {
	var reads []func(context.Context)
	for _, pod := range Replicas(p.o) {
		reads = append(reads, func(ctx context.Context) {
			r := p.readReplica(ctx, pod.Name)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.o.Replicas = append(p.o.Replicas, r)
			if r.Certificate != nil && len(r.Certificate.URIs) > 0 {
				p.o.TrustDomain, _, _ = strings.Cut(strings.TrimPrefix(r.Certificate.URIs[0], "spiffe://"), "/")
			}
		})
	}
	each(ctx, reads...)
}

func (p *pass) readReplica(ctx context.Context, pod string) Replica {
	r := Replica{Pod: pod}
	api, err := p.replica(pod)
	if err != nil {
		p.unread("the API of "+pod, err)
		return r
	}
	targets, err := api.Targets(ctx)
	p.unread("the targets of "+pod, err)
	r.Targets, r.Dropped = readTargets(targets)
	for i := range r.Targets {
		p.texts.labels(r.Targets[i].Labels)
	}
	r.ScrapePools, err = api.ScrapePools(ctx)
	p.unread("the scrape pools of "+pod, err)
	own, version, err := api.SelfMetrics(ctx)
	p.unread("the own metrics of "+pod, err)
	r.Version = version
	r.Metrics = SelfMetrics{
		ReloadSuccessful:  own["prometheus_config_last_reload_successful"],
		ScrapePoolsFailed: own["prometheus_target_scrape_pools_failed_total"],
	}
	if p.o.Attached == nil {
		r.Guide, err = newest(ctx, api, GuideQuery)
		p.unread("the guide's query at "+pod, err)
		r.StartTimes, err = newest(ctx, api, startTimeMetric)
		p.unread("process start times at "+pod, err)
	} else { // what the applications serve is not known before, only what every scrape leaves
		r.Scraped, err = newest(ctx, api, scrapedMetric)
		for i := range r.Scraped {
			p.texts.labels(r.Scraped[i].Labels)
		}
		p.unread("the numbers of samples at "+pod, err)
	}
	r.Configuration, err = api.Configuration(ctx)
	p.unread("the configuration of "+pod, err)
	if !p.seen().May(cluster.Exec) {
		return r
	}
	p.readFilesOf(ctx, &r)
	if proxied(p.seen(), pod) {
		r.ProxyCertificates, err = p.proxyCertificates(ctx, p.namespace, pod)
		p.unread("the certificates of the proxy of "+pod, err)
	}
	return r
}

// readFilesOf looks at the files that the monitors name, the certificate in them,
// and the pod's sockets.
func (p *pass) readFilesOf(ctx context.Context, r *Replica) {
	files, contents, err := p.readFiles(ctx, r.Pod, NamedFiles(p.seen()))
	p.unread("the certificate files of "+r.Pod, err)
	r.Files = files
	for _, table := range socketTables {
		r.Sockets = append(r.Sockets, ParseSockets(contents[table])...)
	}
	chain, roots := CertificateFiles(p.seen())
	if chain == "" || contents == nil {
		return
	}
	r.Certificate, err = ParseCertificate([]byte(contents[chain]), []byte(contents[roots]))
	p.unread("the certificate of "+r.Pod, err)
}

// proxied reports whether one of the replicas' pods has Istio's sidecar.
func proxied(o Observation, pod string) bool {
	for _, p := range Replicas(o) {
		for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
			if p.Name == pod && c.Name == proxyContainer {
				return true
			}
		}
	}
	return false
}

// readCertificate reads a chain and its roots in the container that scrapes with
// them.
func (o *Observer) readCertificate(ctx context.Context, pod, chain, roots string) (*Certificate, error) {
	read, err := o.exec(ctx, o.namespace, pod, prometheusContainer, "head", "-c", "1000000", chain, roots)
	if err != nil {
		return nil, err
	}
	contents := splitHeads(read)
	return ParseCertificate([]byte(contents[chain]), []byte(contents[roots]))
}

// prometheusContainer is what the Operator calls the container of Prometheus.
const prometheusContainer = "prometheus"

// targetsOf asks one replica for the targets that it has now.
func (p *pass) targetsOf(ctx context.Context, pod string) ([]Target, error) {
	api, err := p.replica(pod)
	if err != nil {
		return nil, err
	}
	result, err := api.Targets(ctx)
	if err != nil {
		return nil, err
	}
	targets, _ := readTargets(result)
	return targets, nil
}

// meets reports whether a target is the one that is expected. Two monitors may ask
// for one address, each by a pool of its own.
func (t Target) meets(e Expected) bool { return t.Pool == e.Pool && t.URL == e.URL }

func readTargets(result monitoring.Targets) (targets []Target, dropped int) {
	for _, t := range result.Active {
		interval, err := model.ParseDuration(t.Discovered.Interval)
		if err != nil {
			interval = 0 // no target is without one; a check that needs it sees none
		}
		targets = append(targets, Target{
			Pool: t.ScrapePool, URL: t.ScrapeURL, Labels: t.Labels, Health: t.Health,
			LastError: t.LastError, LastScrape: t.LastScrape.UTC(), Interval: Duration(interval),
		})
	}
	return targets, result.Dropped
}

// lookback is how old a value may be that Prometheus still gives as current: its
// own default.
const lookback = 5 * time.Minute

// newest reads the newest stored value of every series of a selector, with the
// time of its scrape. An instant query would give each the time of the question,
// however stale the value.
func newest(ctx context.Context, api *monitoring.Replica, selector string) ([]Sample, error) {
	var samples []Sample
	err := api.EachSeries(ctx, fmt.Sprintf("%s[%dms]", selector, lookback.Milliseconds()), time.Now(), func(s monitoring.Series) {
		if len(s.Samples) > 0 {
			last := s.Samples[len(s.Samples)-1]
			samples = append(samples, Sample{Labels: s.Labels, Value: float64(last.Value), At: last.Timestamp.Time().UTC()})
		}
	})
	return samples, err
}

func labelsOf(m model.Metric) map[string]string {
	labels := map[string]string{}
	for name, value := range m {
		labels[string(name)] = string(value)
	}
	return labels
}

// upOver reads what replicas stored over a span, which is named for those that
// cannot be read.
func (p *pass) upOver(ctx context.Context, replicas []string, span string, from, to time.Time) []ReplicaUp {
	all := make([]ReplicaUp, len(replicas))
	var reads []func(context.Context)
	for i, pod := range replicas {
		reads = append(reads, func(ctx context.Context) {
			all[i].Pod = pod
			api, err := p.replica(pod)
			if err == nil {
				all[i].Series, err = rawUp(ctx, api, from, to)
			}
			p.unread("the up samples of "+pod+" over "+span, err)
		})
	}
	each(ctx, reads...)
	slices.SortFunc(all, func(a, b ReplicaUp) int { return strings.Compare(a.Pod, b.Pod) })
	return all
}

// namesOf are the pods of replicas.
func namesOf(replicas []Replica) []string {
	var names []string
	for _, r := range replicas {
		names = append(names, r.Pod)
	}
	return names
}

// rawUp reads every stored sample of up in a window.
func rawUp(ctx context.Context, api *monitoring.Replica, from, to time.Time) ([]Series, error) {
	matrix, err := api.RawSamples(ctx, "up", to.Sub(from), to)
	if err != nil {
		return nil, err
	}
	var all []Series
	for _, s := range matrix {
		series := Series{Labels: labelsOf(s.Metric)}
		for _, v := range s.Values {
			series.Points = append(series.Points, Point{At: v.Timestamp.Time().UTC(), Value: float64(v.Value)})
		}
		all = append(all, series)
	}
	return all, nil
}

// envoyVersion takes the release out of what Envoy says of itself,
// "<commit>/1.39.3/Clean/RELEASE/BoringSSL".
func envoyVersion(serverInfo string) string {
	for part := range strings.SplitSeq(serverInfo, "/") {
		if major, _, ok := strings.Cut(part, "."); ok {
			if _, err := strconv.Atoi(major); err == nil {
				return "Envoy " + part
			}
		}
	}
	return ""
}
