package observe

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// History is what the replicas have stored of the time before they were looked at.
type History struct {
	From     time.Time        `json:"from"`
	To       time.Time        `json:"to"`
	Replicas []ReplicaHistory `json:"replicas"`
	Watched  []string         `json:"watched,omitempty"` // pods, "namespace/name", of which is stored when their certificate ends
	Renewals []Renewal        `json:"renewals,omitempty"`
}

// ReplicaHistory is what one replica has stored of its targets.
type ReplicaHistory struct {
	Pod    string   `json:"pod"`
	Stored []Stored `json:"stored"`
}

// Stored is what was stored of the scrapes of one target.
type Stored struct {
	Pool    string `json:"pool"`
	URL     string `json:"url"`
	Samples int    `json:"samples"` // of up, in the whole span
	Up      int    `json:"up"`      // how many of them were 1
	// Points are the samples, where the two numbers leave it open whether a scrape was
	// lost; Open says that they do and that the samples were not read.
	Points []Point `json:"points,omitempty"`
	Open   bool    `json:"open,omitempty"`
}

// Renewal is when a pod's certificate was replaced: after one look of Prometheus and
// before the next.
type Renewal struct {
	Pod    string    `json:"pod"` // namespace/name
	After  time.Time `json:"after"`
	Before time.Time `json:"before"`
}

// expiryMetric is how long a certificate is still valid, in seconds, as the sidecar's
// agent gives it: istio, security/pkg/nodeagent/cache/monitoring.go.
const expiryMetric = "istio_agent_cert_expiry_seconds"

// doubtful is how many targets' samples are read one by one at most, of each replica.
// A day at 30 s are 2880 samples.
const doubtful = 50

// Whole reports whether as many scrapes were stored as a span has, each with success.
// The first and the last may lie just outside of it.
func (s Stored) Whole(span, interval time.Duration) bool {
	return interval > 0 && s.Up == s.Samples && s.Samples >= int(span/interval)-1
}

// readHistory reads what the replicas stored over a span. Prometheus counts; sample by
// sample is read only where the count leaves something open.
func (p *pass) readHistory(ctx context.Context, span time.Duration) {
	to := p.o.At.Truncate(time.Second)
	h := &History{From: to.Add(-span), To: to}
	all := make([]ReplicaHistory, len(p.o.Replicas))
	var reads []func(context.Context)
	for i, r := range p.o.Replicas {
		reads = append(reads, func(ctx context.Context) {
			all[i].Pod = r.Pod
			api, err := p.replica(r.Pod)
			if err == nil {
				all[i].Stored, err = stored(ctx, api, r.Targets, span, to)
			}
			p.unread("the stored scrapes of "+r.Pod, err)
			if err == nil {
				p.unread("the stored ends of certificates at "+r.Pod, p.readRenewals(ctx, api, h))
			}
		})
	}
	each(ctx, reads...)
	slices.SortFunc(all, func(a, b ReplicaHistory) int { return strings.Compare(a.Pod, b.Pod) })
	h.Replicas = all
	h.Renewals = earliest(h.Renewals)
	slices.Sort(h.Watched)
	p.o.History = h
}

// stored counts the samples of up of every target.
func stored(ctx context.Context, api *monitoring.Replica, targets []Target, span time.Duration, at time.Time) ([]Stored, error) {
	samples, err := counted(ctx, api, "count_over_time", span, at)
	if err != nil {
		return nil, err
	}
	up, err := counted(ctx, api, "sum_over_time", span, at)
	if err != nil {
		return nil, err
	}
	var all []Stored
	read := 0
	for _, t := range targets {
		k := key(t.Labels)
		s := Stored{Pool: t.Pool, URL: t.URL, Samples: samples[k], Up: up[k]}
		if s.Samples > 0 && !s.Whole(span, time.Duration(t.Interval)) {
			if s.Open = read >= doubtful; !s.Open {
				read++
				if s.Points, err = points(ctx, api, t.Labels, span, at); err != nil {
					return nil, err
				}
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// counted asks for a number of every series of up.
func counted(ctx context.Context, api *monitoring.Replica, function string, span time.Duration, at time.Time) (map[string]int, error) {
	counts := map[string]int{}
	err := api.EachSeries(ctx, fmt.Sprintf("%s(up[%dms])", function, span.Milliseconds()), at, func(s monitoring.Series) {
		for _, v := range s.Samples {
			counts[key(s.Labels)] = int(v.Value)
		}
	})
	return counts, err
}

// key is the same for the same labels, the name of the metric aside.
func key(labels map[string]string) string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != model.MetricNameLabel {
			b = strconv.AppendQuote(append(append(b, name...), '='), labels[name])
			b = append(b, ',')
		}
	}
	return string(b)
}

// points reads the samples of up of one target.
func points(ctx context.Context, api *monitoring.Replica, labels map[string]string, span time.Duration, at time.Time) ([]Point, error) {
	matrix, err := api.RawSamples(ctx, "up{"+key(labels)+"}", span, at)
	if err != nil {
		return nil, err
	}
	var all []Point
	for _, s := range matrix {
		for _, v := range s.Values {
			all = append(all, Point{At: v.Timestamp.Time().UTC(), Value: float64(v.Value)})
		}
	}
	slices.SortFunc(all, func(a, b Point) int { return a.At.Compare(b.At) })
	return all, nil
}

// readRenewals finds when the certificates of the replicas and of the targets that were
// asked were replaced, if Prometheus scrapes their agents: what is left of a
// certificate's life only ever grows by a new one.
func (p *pass) readRenewals(ctx context.Context, api *monitoring.Replica, h *History) error {
	var names []string
	for _, pod := range p.watchable() {
		_, name, _ := strings.Cut(pod, "/")
		names = append(names, regexp.QuoteMeta(name))
	}
	selector := fmt.Sprintf(`%s{resource_name="default",pod=~%s}`, expiryMetric, strconv.Quote(strings.Join(names, "|")))
	matrix, err := api.RawSamples(ctx, selector, h.To.Sub(h.From), h.To)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range matrix {
		pod := string(s.Metric["namespace"]) + "/" + string(s.Metric["pod"])
		if !slices.Contains(h.Watched, pod) {
			h.Watched = append(h.Watched, pod)
		}
		for i := 1; i < len(s.Values); i++ {
			if s.Values[i].Value > s.Values[i-1].Value {
				h.Renewals = append(h.Renewals, Renewal{Pod: pod, After: s.Values[i-1].Timestamp.Time().UTC(), Before: s.Values[i].Timestamp.Time().UTC()})
			}
		}
	}
	return nil
}

// watchable are the pods of which to ask when their certificates were replaced.
func (p *pass) watchable() []string {
	pods := slices.Clone(p.o.Attached.Asked)
	for _, r := range p.o.Replicas {
		pods = append(pods, p.namespace+"/"+r.Pod)
	}
	return pods
}

// earliest orders renewals, and keeps of those that several replicas saw the first.
func earliest(all []Renewal) []Renewal {
	slices.SortFunc(all, func(a, b Renewal) int {
		if c := strings.Compare(a.Pod, b.Pod); c != 0 {
			return c
		}
		return a.After.Compare(b.After)
	})
	return slices.CompactFunc(all, func(a, b Renewal) bool { return a.Pod == b.Pod && a.After.Before(b.Before) && b.After.Before(a.Before) })
}
