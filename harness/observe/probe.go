package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const (
	// attempts is how often each probe asks. With TLS 1.3 the client learns of the
	// refusal after it believes the handshake done, and what it then reads differs
	// from one time to the next: one try would say little.
	attempts = 5
	// directReads is how often an application is asked when its first answer is not
	// the one that Prometheus has: the published productpage is eight processes.
	directReads = 32
	// viaAPIServer is who asks: a client outside the mesh that every cluster has.
	viaAPIServer = "the API server's pod proxy"
)

// probe asks every meshed target for its metrics as somebody without a
// certificate would, and reads beside it what the target's own proxy and
// Prometheus made of the same moments.
func (p *pass) probe(ctx context.Context) {
	targets := p.probed()
	if len(targets) == 0 {
		return
	}
	transport, err := rest.TransportFor(p.config)
	if err != nil {
		p.unread("targets by way of "+viaAPIServer, err)
		return
	}
	proxies := p.proxiesBefore(ctx, targets)
	started := time.Now().UTC()
	var reads []func(context.Context)
	for _, t := range targets {
		for _, kind := range []string{PlainText, NoCertificate} {
			reads = append(reads, func(ctx context.Context) {
				p.addProbe(ask(ctx, transport, p.config.Host, kind, t, attempts))
			})
		}
		reads = append(reads, func(ctx context.Context) { p.direct(ctx, t) })
	}
	for _, d := range p.sideDoors(targets) {
		reads = append(reads, func(ctx context.Context) { p.addProbe(ask(ctx, transport, p.config.Host, SideDoor, d, 1)) })
	}
	reads = append(reads, func(ctx context.Context) { p.askAsForeigner(ctx, targets) })
	each(ctx, reads...)
	p.awaitTwin(ctx, targets, started)
	p.proxiesAfter(ctx, proxies, started)
	p.readUp(ctx, started)
	p.readRenewed(ctx)
}

// probed are the targets to probe: one for each pod, port and path that is to be
// scraped over TLS.
func (p *pass) probed() []Expected {
	type place struct{ namespace, pod, port, path string }
	seen := map[place]bool{}
	var targets []Expected
	for _, e := range ExpectedTargets(p.o) {
		at := place{e.Namespace, e.Pod, e.Port, e.Path}
		if e.Scheme == "https" && e.Pod != "" && !seen[at] {
			seen[at] = true
			targets = append(targets, e)
		}
	}
	return targets
}

func (p *pass) addProbe(probes ...Probe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.Probes = append(p.o.Probes, probes...)
}

// sideDoors are the ports by which metrics may be had beside the one that is
// scraped: the agent's, which may serve the application's merged into its own,
// the proxy's, and Prometheus' own.
func (p *pass) sideDoors(targets []Expected) []Expected {
	var doors []Expected
	for _, t := range targets {
		for _, port := range []string{"15020", "15090"} {
			door := Expected{Namespace: t.Namespace, Pod: t.Pod, Port: port, Path: "/stats/prometheus"}
			same := func(x Expected) bool {
				return x.Namespace == door.Namespace && x.Pod == door.Pod && x.Port == door.Port
			}
			if !slices.ContainsFunc(doors, same) {
				doors = append(doors, door)
			}
		}
	}
	for _, r := range p.o.Replicas {
		doors = append(doors, Expected{Namespace: p.namespace, Pod: r.Pod, Port: "9090", Path: "/metrics"})
	}
	return doors
}

// ask carries out one probe.
func ask(ctx context.Context, transport http.RoundTripper, host, kind string, t Expected, times int) Probe {
	scheme := "http"
	if kind == NoCertificate {
		scheme = "https"
	}
	url := fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s:%s:%s/proxy%s", host, t.Namespace, scheme, t.Pod, t.Port, t.Path)
	probe := Probe{Kind: kind, Pod: t.Namespace + "/" + t.Pod, Port: t.Port, Path: t.Path, Via: viaAPIServer, Started: time.Now().UTC()}
	for range times {
		probe.Attempts = append(probe.Attempts, attempt(ctx, transport, url))
	}
	probe.Ended = time.Now().UTC()
	return probe
}

func attempt(ctx context.Context, transport http.RoundTripper, url string) Attempt {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Attempt{NotSent: true, Error: err.Error()}
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Attempt{NotSent: true, Error: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, probeBytes))
	if err != nil {
		return Attempt{Answered: true, Code: response.StatusCode, Bytes: int64(len(body)), Error: err.Error()}
	}
	return classify(response.StatusCode, body)
}

// probeBytes is how much of an answer is read: enough to know that there is one.
const probeBytes = 64 << 10

// classify tells the API server's own answers from those of the target. The API
// server answers 503 with a Status when it could not reach the target, and other
// codes with a Status when it did not try.
func classify(code int, body []byte) Attempt {
	var status metav1.Status
	if json.Unmarshal(body, &status) != nil || status.Kind != "Status" || status.APIVersion != "v1" {
		return Attempt{Answered: true, Code: code, Bytes: int64(len(body))}
	}
	if reason, ok := strings.CutPrefix(status.Message, "error trying to reach service: "); ok {
		return Attempt{Error: reason}
	}
	return Attempt{NotSent: true, Code: code, Error: status.Message}
}

// direct asks a target's application behind its proxy. If its answer is not what
// a replica has stored of it, it may be several processes: it is asked again.
func (p *pass) direct(ctx context.Context, t Expected) {
	p.unread("the application in "+t.Namespace+"/"+t.Pod+" behind its proxy", p.readDirect(ctx, t))
}

func (p *pass) readDirect(ctx context.Context, t Expected) error {
	found, err := p.startTimes(ctx, t.Namespace, t.Pod, t.Port, t.Path, 1)
	if err == nil && !p.explains(t, found) {
		found, err = p.startTimes(ctx, t.Namespace, t.Pod, t.Port, t.Path, directReads)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.Direct = append(p.o.Direct, Direct{Pod: t.Namespace + "/" + t.Pod, StartTimes: found})
	return err
}

func (p *pass) explains(t Expected, found []float64) bool {
	for _, r := range p.o.Replicas {
		for _, s := range r.StartTimes {
			if s.Labels["pod"] == t.Pod && s.Labels["namespace"] == t.Namespace && !slices.Contains(found, s.Value) {
				return false
			}
		}
	}
	return true
}

func (p *pass) proxiesBefore(ctx context.Context, targets []Expected) map[string]*Proxy {
	proxies := map[string]*Proxy{}
	var reads []func(context.Context)
	for _, t := range targets {
		name := t.Namespace + "/" + t.Pod
		if proxies[name] != nil {
			continue
		}
		proxy := &Proxy{Pod: name}
		proxies[name] = proxy
		reads = append(reads, func(ctx context.Context) {
			var err error
			proxy.Certificates, err = p.proxyCertificates(ctx, t.Namespace, t.Pod)
			p.unread("the certificates of the proxy of "+name, err)
			proxy.Before, err = p.counters(ctx, t.Namespace, t.Pod)
			p.unread("the TLS counters of the proxy of "+name, err)
		})
	}
	first := targets[0]
	reads = append(reads, func(ctx context.Context) {
		info, err := p.exec(ctx, first.Namespace, first.Pod, proxyContainer, "pilot-agent", "request", "GET", "server_info")
		p.unread("the version of the data plane", err)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.o.Versions.DataPlane = envoyVersion(info)
	})
	each(ctx, reads...)
	return proxies
}

func (p *pass) proxiesAfter(ctx context.Context, proxies map[string]*Proxy, started time.Time) {
	var reads []func(context.Context)
	for name, proxy := range proxies {
		namespace, pod, _ := strings.Cut(name, "/")
		reads = append(reads, func(ctx context.Context) {
			var err error
			proxy.After, err = p.counters(ctx, namespace, pod)
			p.unread("the TLS counters of the proxy of "+name+" after the probes", err)
			proxy.Requests, err = p.settledLog(ctx, namespace, pod, started)
			p.unread("the access log of the proxy of "+name, err)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.o.Proxies = append(p.o.Proxies, *proxy)
		})
	}
	each(ctx, reads...)
}

// settledLog reads a proxy's access log once it has what the probes and the twins
// must have left in it: Envoy writes its log now and then, not line by line. That
// it never gets there is for the checks to judge.
func (p *pass) settledLog(ctx context.Context, namespace, pod string, since time.Time) (requests []Request, err error) {
	readErr := errors.New("it was not read")
	_ = wait.For(ctx, "the proxy to have written its log", func(ctx context.Context) (bool, string, error) {
		read, err := p.accessLog(ctx, namespace, pod, since)
		if err != nil {
			if readErr != nil { // what was read before is better than why it was not read again
				readErr = err
			}
			return false, "", err
		}
		requests, readErr = read, nil
		served := map[string]bool{}
		for _, r := range requests {
			if r.Serial != "" {
				served[r.Serial] = true
			}
		}
		return len(requests) >= attempts+len(p.o.Replicas) && len(served) >= len(p.o.Replicas), "", nil
	}, wait.Timeout(logDelay), wait.Interval(logDelay/4))
	return requests, readErr
}

// logDelay is how long a line may take from the proxy to the reader: Istio has
// Envoy write its log every second.
const logDelay = 3 * time.Second

// awaitTwin waits until every replica has scraped every probed target once more
// since the probes began: the twin, with the right certificate, of what was
// refused. That it did not is a finding, not an error.
func (p *pass) awaitTwin(ctx context.Context, targets []Expected, since time.Time) {
	longest := time.Second
	for _, r := range p.o.Replicas {
		for _, t := range r.Targets {
			longest = max(longest, time.Duration(t.Interval))
		}
	}
	_ = wait.For(ctx, "a scrape beside the probes", func(ctx context.Context) (bool, string, error) {
		for _, r := range p.o.Replicas {
			scraped, err := p.targetsOf(ctx, r.Pod)
			if err != nil {
				return false, "", err
			}
			for _, t := range targets {
				again := func(s Target) bool { return s.meets(t) && s.LastScrape.After(since) }
				if !slices.ContainsFunc(scraped, again) {
					return false, "", nil
				}
			}
		}
		return true, "", nil
	}, wait.Timeout(longest+2*time.Second), wait.Interval(twinInterval))
}

// twinInterval is the pause between two looks for the twin: often enough at the
// shortest scrape intervals, and each look costs a request a replica.
const twinInterval = 500 * time.Millisecond

// readUp stores the samples around the probes: from two intervals before, so that
// there is something to see also where the interval is long.
func (p *pass) readUp(ctx context.Context, started time.Time) {
	now := time.Now().UTC()
	var reads []func(context.Context)
	for i := range p.o.Replicas {
		r := &p.o.Replicas[i]
		reads = append(reads, func(ctx context.Context) {
			api, err := p.replica(r.Pod)
			if err == nil {
				r.Up, err = rawUp(ctx, api, started, now)
			}
			p.unread("the up samples of "+r.Pod, err)
		})
	}
	each(ctx, reads...)
}

// readRenewed reads every replica's certificate once more: what the targets logged
// meanwhile may have come with one that was not there at the first look.
func (p *pass) readRenewed(ctx context.Context) {
	chain, roots := CertificateFiles(p.o)
	var reads []func(context.Context)
	for i := range p.o.Replicas {
		r := &p.o.Replicas[i]
		if r.Certificate == nil {
			continue
		}
		reads = append(reads, func(ctx context.Context) {
			c, err := p.readCertificate(ctx, r.Pod, chain, roots)
			p.unread("the certificate of "+r.Pod+" after the probes", err)
			if err == nil && c.Serial != r.Certificate.Serial {
				r.Renewed = c
			}
		})
	}
	each(ctx, reads...)
}
