// Package observe reads a subject once and keeps what it saw as a plain value.
//
// An [Observation] is all that a check gets to see. It can be written to a file
// and read back, so that a subject is judged again without its cluster. This
// package never judges, never changes anything in the cluster, and never reads a
// private key, a token or a Secret.
//
// Read [Observation] first, then [Observer.Observe].
package observe

import (
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// FormatVersion is that of the file form. A reader takes any file with the same
// version; a field may be added without raising it, none may change its meaning.
const FormatVersion = 1

// Observation is what was seen of a subject at one instant, and, in Watch, over a
// span of time if somebody watched.
type Observation struct {
	FormatVersion int       `json:"formatVersion"`
	Since         time.Time `json:"since"` // when looking began: an older scrape says nothing of the subject as it is
	At            time.Time `json:"at"`
	Versions      Versions  `json:"versions"`
	TrustDomain   string    `json:"trustDomain,omitempty"`

	// What the owners of the subject wrote.
	Namespaces          []corev1.Namespace               `json:"namespaces"`
	Prometheus          *monitoringv1.Prometheus         `json:"prometheus"`
	ServiceMonitors     []monitoringv1.ServiceMonitor    `json:"serviceMonitors"`
	Services            []corev1.Service                 `json:"services"`
	EndpointSlices      []discoveryv1.EndpointSlice      `json:"endpointSlices"`
	Pods                []corev1.Pod                     `json:"pods"`
	PeerAuthentications []*securityv1.PeerAuthentication `json:"peerAuthentications"`

	// What the running parts say of themselves.
	Replicas []Replica `json:"replicas"`
	Proxies  []Proxy   `json:"proxies"` // of the targets' pods
	Probes   []Probe   `json:"probes"`
	Direct   []Direct  `json:"direct"`

	Watch *Watch `json:"watch,omitempty"`

	// Unread is what could not be read. A check that needs it is inconclusive.
	Unread []Unread `json:"unread,omitempty"`
}

// Versions are those of the parts, as they report them.
type Versions struct {
	Kubernetes string `json:"kubernetes,omitempty"`
	Istio      string `json:"istio,omitempty"`
	DataPlane  string `json:"dataPlane,omitempty"`
	Operator   string `json:"operator,omitempty"`
}

// Unread names something that could not be read, and why.
type Unread struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// Replica is one pod of the Prometheus under test.
type Replica struct {
	Pod         string       `json:"pod"`
	Version     string       `json:"version,omitempty"`
	Targets     []Target     `json:"targets"`
	Dropped     int          `json:"dropped"`
	ScrapePools []string     `json:"scrapePools"`
	Metrics     SelfMetrics  `json:"metrics"`
	Certificate *Certificate `json:"certificate,omitempty"` // as its Prometheus container sees it
	Guide       []Sample     `json:"guide"`                 // the answer to the guide's query
	StartTimes  []Sample     `json:"startTimes"`            // process_start_time_seconds
	Up          []Series     `json:"up"`                    // raw samples around the probes
}

// SelfMetrics are those that Prometheus keeps of its own work.
type SelfMetrics struct {
	ReloadSuccessful  float64 `json:"reloadSuccessful"`  // prometheus_config_last_reload_successful
	ScrapePoolsFailed float64 `json:"scrapePoolsFailed"` // prometheus_target_scrape_pools_failed_total
}

// Target is a scrape target as Prometheus lists it.
type Target struct {
	Pool       string            `json:"pool"`
	URL        string            `json:"url"`
	Labels     map[string]string `json:"labels"`
	Health     string            `json:"health"` // up, down or unknown
	LastError  string            `json:"lastError,omitempty"`
	LastScrape time.Time         `json:"lastScrape"`
	Interval   Duration          `json:"interval"`
}

// Sample is one value of one series.
type Sample struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
	At     time.Time         `json:"at"` // when it was scraped, not when it was asked for
}

// Series is every sample stored of one series in a window.
type Series struct {
	Labels map[string]string `json:"labels"`
	Points []Point           `json:"points"`
}

// Point is one stored sample.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Certificate is a leaf certificate and what it was found with. The key that
// belongs to it is never read.
type Certificate struct {
	Serial    string    `json:"serial"` // hexadecimal, as Envoy prints it
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	URIs      []string  `json:"uris"`
	Issuer    string    `json:"issuer"`
	ChainsTo  bool      `json:"chainsTo"` // the chain ends in one of the roots beside it
	Roots     []string  `json:"roots"`    // SHA-256 of each root in root-cert.pem, in order
}

// Proxy is what a target's own sidecar says.
type Proxy struct {
	Pod    string `json:"pod"`
	Before TLS    `json:"before"` // before the probes
	After  TLS    `json:"after"`  // after them
	// Requests are the lines of its access log from just before the probes on.
	Requests []Request `json:"requests"`
}

// TLS are the counters of the inbound listener, by Envoy's name without prefix,
// as in "fail_verify_no_cert".
type TLS map[string]int64

// Request is one line of a proxy's access log.
type Request struct {
	At      time.Time `json:"at"`
	Peer    string    `json:"peer,omitempty"`   // SPIFFE ID of the client's certificate
	Serial  string    `json:"serial,omitempty"` // of the client's certificate, hexadecimal
	Ends    time.Time `json:"ends,omitzero"`    // end of validity of the client's certificate
	TLS     string    `json:"tls,omitempty"`    // version, empty in plain text
	Remote  string    `json:"remote,omitempty"`
	Local   string    `json:"local,omitempty"`
	Path    string    `json:"path,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Code    int       `json:"code"`
	Flags   string    `json:"flags,omitempty"`
	Details string    `json:"details,omitempty"`
}

// How a probe asked.
const (
	PlainText     = "plaintext"      // HTTP without TLS
	NoCertificate = "no-certificate" // TLS without a client certificate
)

// Probe is a request for a target's metrics by a client outside the mesh.
type Probe struct {
	Kind     string    `json:"kind"` // PlainText or NoCertificate
	Pod      string    `json:"pod"`
	Port     string    `json:"port"`
	Path     string    `json:"path"`
	Via      string    `json:"via"` // who asked, as in "the API server's pod proxy"
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one request of a probe and what came of it.
type Attempt struct {
	Answered bool   `json:"answered"` // something at the target spoke HTTP
	Code     int    `json:"code,omitempty"`
	Error    string `json:"error,omitempty"`
	NotSent  bool   `json:"notSent,omitempty"` // the request never left: says nothing of the target
}

// Direct is what an application says when asked behind its proxy, from inside the
// pod: the measure for what Prometheus claims to have scraped from it.
type Direct struct {
	Pod        string    `json:"pod"`
	StartTimes []float64 `json:"startTimes"` // process_start_time_seconds, one per process that answered
}

// Watch is what was seen over a span of time.
type Watch struct {
	From  time.Time      `json:"from"`
	To    time.Time      `json:"to"`
	Ended string         `json:"ended"` // why it ended
	Up    []ReplicaUp    `json:"up"`
	Certs []Sighting     `json:"certificates"`
	Seen  []ProxyTraffic `json:"traffic"`
}

// ReplicaUp are the raw up samples that a replica stored over the span.
type ReplicaUp struct {
	Pod    string   `json:"pod"`
	Series []Series `json:"series"`
}

// Sighting is a certificate as a replica's files had it, when it was first seen.
type Sighting struct {
	At          time.Time   `json:"at"`
	Pod         string      `json:"pod"`
	Certificate Certificate `json:"certificate"`
}

// ProxyTraffic is what a target's proxy logged over the span.
type ProxyTraffic struct {
	Pod      string    `json:"pod"`
	Requests []Request `json:"requests"`
}
