package observe

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/podproxy"
)

// Served is what a target's sidecar counted of one kind of client between two looks.
type Served struct {
	Peer  string  `json:"peer"`  // SPIFFE ID of the client's certificate; empty without one
	TLS   bool    `json:"tls"`   // mutual TLS
	Count float64 `json:"count"` // by how much the counters of requests, or of bytes where they are no HTTP, grew
}

// agent is what a sidecar's own port gave: its metrics, with those of Envoy and, where
// the pod asks for it, those of the application merged in.
type agent struct {
	served     map[Served]float64 // by peer and TLS
	startTimes []float64          // process_start_time_seconds
}

// agentPort serves everything that a pod has, in plain text: it is meant for a
// Prometheus without certificates.
const (
	agentPort = "15020"
	agentPath = "/stats/prometheus"
)

// agentLimit bounds what is read of one pod's metrics, in bytes, and lineLimit one line
// of them. They are read line by line and few are kept, so it is time that is bounded.
const (
	agentLimit = 256 << 20
	lineLimit  = 1 << 20
)

// The metrics that are kept. Istio counts what it served by who asked and how:
// istio.io/latest/docs/reference/config/metrics.
const (
	requestsMetric = "istio_requests_total"
	bytesMetric    = "istio_tcp_received_bytes_total"
)

// readAgents asks the sidecars of some targets, by the names of their pods.
func (p *pass) readAgents(ctx context.Context, targets []Expected, b *budget) map[string]agent {
	client, err := podproxy.New(p.config)
	if err != nil {
		p.unread("the sidecars of targets", err)
		return nil
	}
	found := map[string]agent{}
	var reads []func(context.Context)
	for _, t := range targets {
		reads = append(reads, func(ctx context.Context) {
			name := t.Namespace + "/" + t.Pod
			var a agent
			err := b.spend(ctx, func(ctx context.Context) (err error) {
				a, err = readAgent(ctx, client, podproxy.Address{Namespace: t.Namespace, Pod: t.Pod, Port: agentPort})
				return err
			})
			p.unread("what the sidecar of "+name+" served", err)
			if err == nil {
				p.mu.Lock()
				defer p.mu.Unlock()
				found[name] = a
			}
		})
	}
	each(ctx, reads...)
	return found
}

func readAgent(ctx context.Context, client *podproxy.Client, address podproxy.Address) (agent, error) {
	body, err := client.Get(ctx, address, agentPath, agentLimit)
	if err != nil {
		return agent{}, err
	}
	defer body.Close()
	return parseAgent(body)
}

// parseAgent reads metrics line by line and keeps those that are wanted.
func parseAgent(text io.Reader) (agent, error) {
	a := agent{served: map[Served]float64{}}
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 0, 64<<10), lineLimit)
	for lines.Scan() {
		if err := a.add(lines.Bytes()); err != nil {
			return a, err
		}
	}
	return a, lines.Err()
}

func (a *agent) add(line []byte) error {
	name := string(line[:max(0, bytes.IndexAny(line, "{ "))])
	if !slices.Contains([]string{requestsMetric, bytesMetric, startTimeMetric}, name) {
		return nil
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.MultiReader(bytes.NewReader(line), strings.NewReader("\n")))
	if err != nil {
		return fmt.Errorf("reading its metric %s: %w", name, err)
	}
	for _, m := range families[name].GetMetric() {
		value := m.GetUntyped().GetValue()
		if name == startTimeMetric {
			a.startTimes = append(a.startTimes, value)
		} else if l := labelsIn(m); l["reporter"] == "destination" {
			a.served[Served{Peer: peerOf(l["source_principal"]), TLS: l["connection_security_policy"] == "mutual_tls"}] += value
		}
	}
	return nil
}

func labelsIn(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.Label {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// peerOf is empty for a client that Istio does not know.
func peerOf(principal string) string {
	if principal == "unknown" {
		return ""
	}
	return principal
}

// since is what was served between two looks. A counter that is smaller than before
// began anew.
func (a agent) since(before agent) []Served {
	var grown []Served
	for kind, now := range a.served {
		by := now - before.served[kind]
		if by < 0 {
			by = now
		}
		if by > 0 {
			kind.Count = by
			grown = append(grown, kind)
		}
	}
	slices.SortFunc(grown, func(x, y Served) int { return strings.Compare(x.Peer, y.Peer) })
	return grown
}

// readProxies adds what the targets' proxies counted between two looks. Where that does
// not say whether they served Prometheus, it adds what they logged of the replicas:
// requests of others are nobody's business.
func (p *pass) readProxies(ctx context.Context, targets []Expected, first, second map[string]agent, b *budget) {
	since, replicas := p.o.At.Add(-logSpan), Replicas(p.o)
	var identities []string
	for _, pod := range replicas {
		identities = append(identities, IdentityOf(p.o, &pod))
	}
	var reads []func(context.Context)
	for _, t := range targets {
		reads = append(reads, func(ctx context.Context) {
			name := t.Namespace + "/" + t.Pod
			proxy := Proxy{Pod: name}
			if before, ok := first[name]; ok {
				proxy.Served = second[name].since(before)
			}
			if !servedAll(identities, proxy.Served) {
				var logged []Request
				err := b.spend(ctx, func(ctx context.Context) (err error) {
					ctx, cancel := context.WithTimeout(ctx, readTimeout)
					defer cancel()
					logged, err = p.accessLog(ctx, t.Namespace, t.Pod, since)
					return err
				})
				p.unread("the access log of the proxy of "+name, err)
				proxy.Requests = slices.DeleteFunc(logged, func(r Request) bool { return !isOneOf(replicas, r.Remote) })
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.o.Proxies = append(p.o.Proxies, proxy)
		})
	}
	each(ctx, reads...)
}

// servedAll reports whether a sidecar counted a client of each of some names.
func servedAll(identities []string, served []Served) bool {
	for _, identity := range identities {
		if !slices.ContainsFunc(served, func(s Served) bool { return s.TLS && s.Peer == identity }) {
			return false
		}
	}
	return true
}

// logSpan is how far back an access log is read: five scrapes at the Operator's
// interval of 30 s.
const logSpan = 150 * time.Second

// isOneOf reports whether an address, "host:port", is that of one of some pods.
func isOneOf(pods []corev1.Pod, remote string) bool {
	for _, pod := range pods {
		if pod.Status.PodIP != "" && strings.HasPrefix(remote, pod.Status.PodIP+":") {
			return true
		}
	}
	return false
}

// readStartTimes asks the replicas for when the processes of some targets started.
func (p *pass) readStartTimes(ctx context.Context, targets []Expected) {
	var names []string
	for _, t := range targets {
		names = append(names, regexp.QuoteMeta(t.Pod))
	}
	selector := startTimeMetric + "{pod=~" + strconv.Quote(strings.Join(names, "|")) + "}"
	var reads []func(context.Context)
	for i := range p.o.Replicas {
		r := &p.o.Replicas[i]
		reads = append(reads, func(ctx context.Context) {
			api, err := p.replica(r.Pod)
			if err == nil {
				r.StartTimes, err = newest(ctx, api, selector)
			}
			p.unread("process start times at "+r.Pod, err)
		})
	}
	each(ctx, reads...)
}

// readApplications notes what the applications say of themselves: as their sidecars
// merge it into their own metrics, where there is one answer to tell by, else by
// forwarding a port to them if that is permitted.
func (p *pass) readApplications(ctx context.Context, targets []Expected, agents map[string]agent, b *budget) {
	var reads []func(context.Context)
	for _, t := range targets {
		name := t.Namespace + "/" + t.Pod
		if own := agents[name].startTimes; len(own) == 1 {
			p.o.Direct = append(p.o.Direct, Direct{Pod: name, StartTimes: own})
		} else if p.o.May(cluster.PortForward) {
			reads = append(reads, func(ctx context.Context) {
				err := b.spend(ctx, func(ctx context.Context) error { return p.readDirect(ctx, t) })
				p.unread("the application in "+name+" behind its proxy", err)
			})
		}
	}
	each(ctx, reads...)
}
