package observe

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// Attached is how a subject was looked at that is not ours.
type Attached struct {
	Permitted []cluster.Permission `json:"permitted"` // beyond reading
	// Asked are the pods of targets that were asked themselves, "namespace/name", out
	// of so many.
	Asked []string `json:"asked"`
	Of    int      `json:"of"`
}

// May reports whether something beyond reading was permitted. Of a subject of our
// own everything is.
func (o Observation) May(p cluster.Permission) bool {
	return o.Attached == nil || slices.Contains(o.Attached.Permitted, p)
}

// Guest is how to look at a subject that is not ours.
type Guest struct {
	Permitted []cluster.Permission
	History   time.Duration // how far to look back in what Prometheus has stored
	Settle    time.Duration // how long to wait at most for one more scrape of the targets that are asked
	Asking    time.Duration // how long all targets that are asked may take together; 0 stands for askingTime
}

// askingTime is how long the sidecars and applications of all targets that are asked may
// take to answer, together and without the wait for a scrape between. Forty that answer
// take a second or two; each that does not costs its own time-out, four times.
const askingTime = time.Minute

// Attach makes one pass over a subject that is not ours. Nothing is changed and nobody
// is asked for what he refuses strangers: what the targets saw is read from what their
// own sidecars count.
func (o *Observer) Attach(ctx context.Context, g Guest) (Observation, error) {
	p := &pass{Observer: o}
	before := o.requests.Load()
	p.lookAtRest(ctx, g.Settle, func(ctx context.Context) {
		p.o = Observation{FormatVersion: FormatVersion, At: time.Now().UTC(), Attached: &Attached{Permitted: g.Permitted}}
		p.readObjects(ctx)
		o.web = webOf(p.o.Prometheus)
		p.readMesh(ctx)
		p.readRunning(ctx)
	})
	p.askTargets(ctx, g.Settle, newBudget(cmp.Or(g.Asking, askingTime)))
	p.readHistory(ctx, g.History)
	p.o.Versions.DataPlane = sidecarVersion(p.o)
	p.sort()
	p.o.Requests = o.requests.Load() - before
	return p.o, ctx.Err()
}

// webOf is how a Prometheus serves its API, by its spec. Without a prefix of routes it
// takes the path of the address that it is known by.
func webOf(p *monitoringv1.Prometheus) monitoring.Web {
	if p == nil {
		return monitoring.Web{}
	}
	prefix := p.Spec.RoutePrefix
	if external, err := url.Parse(p.Spec.ExternalURL); prefix == "" && err == nil {
		prefix = external.Path
	}
	return monitoring.Web{TLS: p.Spec.Web != nil && p.Spec.Web.TLSConfig != nil, Prefix: prefix}
}

// sidecarVersion is that of the replicas' own sidecar, by its image.
func sidecarVersion(o Observation) string {
	for _, pod := range Replicas(o) {
		if s, ok := SidecarOf(&pod); ok {
			return s.Version()
		}
	}
	return ""
}

// askTargets asks some targets' sidecars what they served, twice, and the applications
// who they are. In between, each is to be scraped once more.
func (p *pass) askTargets(ctx context.Context, settle time.Duration, b *budget) {
	targets := p.probed()
	some := sample(targets)
	p.o.Attached.Of = len(targets)
	first := p.readAgents(ctx, some, b)
	for _, t := range some {
		p.o.Attached.Asked = append(p.o.Attached.Asked, t.Namespace+"/"+t.Pod)
	}
	if len(some) == 0 {
		return
	}
	b.pause(func() {
		p.awaitScrapes(ctx, some, settle)
		p.readStartTimes(ctx, some)
	})
	second := p.readAgents(ctx, some, b)
	p.readProxies(ctx, some, first, second, b)
	p.readApplications(ctx, some, second, b)
}

// sampleSize is how many targets are asked themselves. It is small beside what
// Prometheus asks them, and large enough to have some of every monitor.
const sampleSize = 40

// sample takes targets at even distances: they are in the order of their monitors. Of
// a pod that has several, one is asked.
func sample(targets []Expected) []Expected {
	var some []Expected
	seen := map[string]bool{}
	step := max(1, (len(targets)+sampleSize-1)/sampleSize)
	for i := 0; i < len(targets); i += step {
		name := targets[i].Namespace + "/" + targets[i].Pod
		if !seen[name] {
			seen[name] = true
			some = append(some, targets[i])
		}
	}
	return some
}

// awaitScrapes waits until every replica has scraped those of the targets that it has
// once more, or for as long as it may. That it did not is for the checks to say.
func (p *pass) awaitScrapes(ctx context.Context, targets []Expected, limit time.Duration) {
	since := latestScrape(p.o)
	_ = wait.For(ctx, "one more scrape of the targets that are asked", func(ctx context.Context) (bool, string, error) {
		for _, r := range p.o.Replicas {
			scraped, err := p.scrapedSince(ctx, r, targets, since)
			if err != nil || !scraped {
				return false, "", err
			}
		}
		return true, "", nil
	}, wait.Timeout(limit), wait.Interval(scrapeInterval))
}

// scrapeInterval is the pause between two looks for a scrape, each of which is a
// request a replica.
const scrapeInterval = 2 * time.Second

// scrapedSince reports whether a replica has scraped all of the targets that it has
// after a moment. It asks for one number and not for a list of all targets.
func (p *pass) scrapedSince(ctx context.Context, r Replica, targets []Expected, since time.Time) (bool, error) {
	wanted := map[string]bool{}
	for _, t := range targets {
		wanted[t.URL] = true
	}
	var instances, jobs []string
	for _, t := range r.Targets {
		if wanted[t.URL] {
			instances = append(instances, regexp.QuoteMeta(t.Labels["instance"]))
			jobs = append(jobs, regexp.QuoteMeta(t.Labels["job"]))
		}
	}
	// Of a monitor that is gone Prometheus marks no series as ended: they are found for
	// five minutes more, of the same instances.
	slices.Sort(jobs)
	jobs = slices.Compact(jobs)
	if len(instances) == 0 {
		return true, nil
	}
	api, err := p.replica(r.Pod)
	if err != nil {
		return false, err
	}
	answer, err := api.Query(ctx, fmt.Sprintf("min(timestamp(up{instance=~%s,job=~%s}))", strconv.Quote(strings.Join(instances, "|")), strconv.Quote(strings.Join(jobs, "|"))), time.Now())
	if err != nil {
		return false, err
	}
	v, ok := answer.(model.Vector)
	return ok && len(v) == 1 && float64(v[0].Value) > float64(since.UnixMilli())/1000, nil
}

// latestScrape is the newest that any replica knew of: by their clocks, not by ours.
func latestScrape(o Observation) time.Time {
	var latest time.Time
	for _, r := range o.Replicas {
		for _, t := range r.Targets {
			if t.LastScrape.After(latest) {
				latest = t.LastScrape
			}
		}
	}
	return latest
}
