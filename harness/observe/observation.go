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
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FormatVersion is that of the file form. A reader takes any file with the same
// version; a field may be added without raising it, none may change its meaning.
const FormatVersion = 1

// Observation is what was seen of a subject at one instant, and, in Watch, over a
// span of time if somebody watched.
type Observation struct {
	FormatVersion int `json:"formatVersion"`
	// Since is when looking began: an older scrape says nothing of the subject as it
	// is. It is zero of a subject that stood long before, and that nobody changed.
	Since       time.Time `json:"since"`
	At          time.Time `json:"at"`
	Versions    Versions  `json:"versions"`
	TrustDomain string    `json:"trustDomain,omitempty"`
	// Attached says that the subject is not ours and was only read. Without, nothing
	// was held back.
	Attached *Attached `json:"attached,omitempty"`

	// What the owners of the subject wrote.
	Namespaces []corev1.Namespace       `json:"namespaces"`
	Prometheus *monitoringv1.Prometheus `json:"prometheus"`
	// OtherPrometheuses are those of the subject that are not under test. Null says
	// that nobody looked for any.
	OtherPrometheuses     []monitoringv1.Prometheus         `json:"otherPrometheuses"`
	ServiceMonitors       []monitoringv1.ServiceMonitor     `json:"serviceMonitors"`
	PodMonitors           []monitoringv1.PodMonitor         `json:"podMonitors"`
	ProbeMonitors         []monitoringv1.Probe              `json:"probeMonitors"` // the Operator's Probe objects
	ScrapeConfigs         []monitoringv1alpha1.ScrapeConfig `json:"scrapeConfigs"`
	Services              []corev1.Service                  `json:"services"`
	EndpointSlices        []discoveryv1.EndpointSlice       `json:"endpointSlices"`
	Pods                  []corev1.Pod                      `json:"pods"`
	StatefulSets          []appsv1.StatefulSet              `json:"statefulSets"` // of the Prometheus under test
	PeerAuthentications   []*securityv1.PeerAuthentication  `json:"peerAuthentications"`
	AuthorizationPolicies []*securityv1.AuthorizationPolicy `json:"authorizationPolicies"`
	DestinationRules      []*networkingv1.DestinationRule   `json:"destinationRules"`
	Sidecars              []*networkingv1.Sidecar           `json:"sidecars"`
	Mesh                  Mesh                              `json:"mesh"`

	// What the running parts say of themselves and of each other.
	Events   []Event   `json:"events"` // warnings, and what the Operator says of monitors
	Access   []Access  `json:"access"` // what Prometheus' service account may read, by namespace
	Replicas []Replica `json:"replicas"`
	Proxies  []Proxy   `json:"proxies"` // of the targets' pods
	Probes   []Probe   `json:"probes"`
	Direct   []Direct  `json:"direct"`

	Admission *Admission `json:"admission,omitempty"`

	Watch        *Watch        `json:"watch,omitempty"`
	WithoutCA    *Variant      `json:"withoutCA,omitempty"` // beside the watch
	RootRotation *RootRotation `json:"rootRotation,omitempty"`
	Episodes     []Episode     `json:"episodes,omitempty"`
	History      *History      `json:"history,omitempty"`

	// Unread is what could not be read. A check that needs it is inconclusive.
	Unread []Unread `json:"unread,omitempty"`
	// Requests is how many requests to the API server the pass took, the watch not
	// counted.
	Requests int64 `json:"requests"`
}

// Mesh is what holds for the mesh as a whole.
type Mesh struct {
	RootNamespace      string            `json:"rootNamespace"`
	TrustDomain        string            `json:"trustDomain"`
	TrustDomainAliases []string          `json:"trustDomainAliases,omitempty"`
	ProxyMetadata      map[string]string `json:"proxyMetadata,omitempty"` // of defaultConfig
	HoldApplication    bool              `json:"holdApplication"`         // defaultConfig.holdApplicationUntilProxyStarts
	MetricsMerging     bool              `json:"metricsMerging"`          // enablePrometheusMerge, on unless switched off
	Roots              []string          `json:"roots"`                   // SHA-256 of each root in the ConfigMap istio-ca-root-cert of Prometheus' namespace
	Injectors          []Injector        `json:"injectors"`
	ControlPlanes      []ControlPlane    `json:"controlPlanes"`
}

// Injector is a webhook that adds sidecars.
type Injector struct {
	Configuration     string                `json:"configuration"`
	Name              string                `json:"name"`
	Revision          string                `json:"revision"`
	Service           string                `json:"service"` // namespace/name
	HasCA             bool                  `json:"hasCA"`
	FailurePolicy     string                `json:"failurePolicy"`
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	ObjectSelector    *metav1.LabelSelector `json:"objectSelector,omitempty"`
}

// ControlPlane is an istiod.
type ControlPlane struct {
	Name      string            `json:"name"` // namespace/name of the Deployment
	Revision  string            `json:"revision"`
	Version   string            `json:"version"`
	Ready     int32             `json:"ready"`
	Replicas  int32             `json:"replicas"`
	Variables map[string]string `json:"variables,omitempty"` // those of its environment that concern certificates
}

// Event is what a component reported about an object.
type Event struct {
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Type      string    `json:"type"` // Normal or Warning
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	Last      time.Time `json:"last"`
}

// Access is whether Prometheus' service account may list and watch a resource.
type Access struct {
	Namespace string `json:"namespace"`
	Resource  string `json:"resource"` // services, pods, endpoints, endpointslices, nodes or ingresses
	Allowed   bool   `json:"allowed"`
	Reason    string `json:"reason,omitempty"`
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
	Renewed     *Certificate `json:"renewed,omitempty"`     // the same after the probes, if it was another by then
	Guide       []Sample     `json:"guide"`                 // the answer to the guide's query
	StartTimes  []Sample     `json:"startTimes"`            // process_start_time_seconds
	Scraped     []Sample     `json:"scraped,omitempty"`     // scrape_samples_post_metric_relabeling
	Up          []Series     `json:"up"`                    // raw samples around the probes

	// Configuration is what Prometheus has loaded, with its own redactions.
	Configuration string `json:"configuration,omitempty"`
	// Files are the certificate files that monitors and scrape classes name, as the
	// Prometheus container sees them.
	Files []File `json:"files"`
	// Sockets are the established TCP connections of the pod, from /proc/net/tcp.
	Sockets []Socket `json:"sockets"`
	// ProxyCertificates are the workload certificates that the pod's own proxy uses.
	ProxyCertificates []ProxyCertificate `json:"proxyCertificates"`
}

// File is a file that Prometheus must read. The content of a key is never read.
type File struct {
	Path       string `json:"path"`
	Role       string `json:"role"`            // ca, cert or key
	Error      string `json:"error,omitempty"` // why the container's user cannot read it, as in "No such file or directory"
	Mode       string `json:"mode,omitempty"`  // as in "0644"
	Owner      string `json:"owner,omitempty"` // uid:gid
	Size       int64  `json:"size"`
	ParseError string `json:"parseError,omitempty"` // for ca and cert: why it holds no certificate
	// What it holds is valid between these: for cert the first certificate, for ca
	// all of them, so that NotAfter is when the first root ends.
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Serial    string    `json:"serial,omitempty"` // for cert: hexadecimal, as in Certificate
}

// Socket is one established TCP connection.
type Socket struct {
	Local  string `json:"local"`  // host:port
	Remote string `json:"remote"` // host:port
	UID    int    `json:"uid"`    // of the process that owns it
}

// ProxyCertificate is a certificate as a proxy's admin interface lists it.
type ProxyCertificate struct {
	Serial   string    `json:"serial"` // hexadecimal without leading zeros
	URI      string    `json:"uri"`
	NotAfter time.Time `json:"notAfter"`
	Roots    []string  `json:"roots,omitempty"` // serials of the roots it trusts
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
	Pod          string             `json:"pod"`
	Certificates []ProxyCertificate `json:"certificates"`
	Before       TLS                `json:"before"` // before the probes
	After        TLS                `json:"after"`  // after them
	// Requests are the lines of its access log from just before the probes on.
	Requests []Request `json:"requests"`
	// Served is what its telemetry counted between two looks, if it was asked.
	Served []Served `json:"served,omitempty"`
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
	PlainText          = "plaintext"           // HTTP without TLS
	NoCertificate      = "no-certificate"      // TLS without a client certificate
	ForeignCertificate = "foreign-certificate" // TLS with the right name from a CA that the mesh does not know
	SideDoor           = "side-door"           // plain HTTP to another port that may serve metrics
	OtherIdentity      = "other-identity"      // TLS with a certificate of the mesh that is not Prometheus'
	OldRoot            = "old-root"            // TLS with a certificate of the mesh from before its root was replaced
)

// Probe is a request for a target's metrics by a client outside the mesh.
type Probe struct {
	Kind     string    `json:"kind"` // one of the constants above
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
	Bytes    int64  `json:"bytes,omitempty"` // of the answer's body
	Error    string `json:"error,omitempty"`
	NotSent  bool   `json:"notSent,omitempty"` // the request never left: says nothing of the target

	// The certificate that the target showed, which is seen also when it then refuses
	// the client. Only clients in the cluster note it.
	PeerURI    string    `json:"peerURI,omitempty"`
	PeerSerial string    `json:"peerSerial,omitempty"` // hexadecimal without leading zeros
	PeerStarts time.Time `json:"peerStarts,omitzero"`  // of its validity
	PeerEnds   time.Time `json:"peerEnds,omitzero"`
}

// Direct is what an application says when asked behind its proxy, from inside the
// pod: the measure for what Prometheus claims to have scraped from it.
type Direct struct {
	Pod        string    `json:"pod"`
	StartTimes []float64 `json:"startTimes"` // process_start_time_seconds, one per process that answered
}
