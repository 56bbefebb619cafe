package observe

import "time"

// Watch is what was seen over a span of time.
type Watch struct {
	From  time.Time      `json:"from"`
	To    time.Time      `json:"to"`
	Ended string         `json:"ended"` // why it ended
	Up    []ReplicaUp    `json:"up"`
	Certs []Sighting     `json:"certificates"`    // of the replicas, in their files
	Shown []Sighting     `json:"shown,omitempty"` // of the targets, in new handshakes
	Seen  []ProxyTraffic `json:"traffic"`
}

// ReplicaUp are the raw up samples that a replica stored over the span.
type ReplicaUp struct {
	Pod    string   `json:"pod"`
	Series []Series `json:"series"`
}

// Variant is a second monitor of the same targets that was there during the watch.
// Its samples are told from the others by the label job.
type Variant struct {
	Job   string    `json:"job"`
	Since time.Time `json:"since"` // when every replica scraped it
	Marks []Mark    `json:"marks"`
	Error string    `json:"error,omitempty"` // why it could not be brought about
}

// Sighting is a certificate when it was first seen: in a replica's files, or in a
// handshake with a target, of which only the leaf is noted.
type Sighting struct {
	At          time.Time   `json:"at"`
	Pod         string      `json:"pod"` // name of a replica, or namespace/name of a target
	Certificate Certificate `json:"certificate"`
	// Former is when the one before it was seen last; zero if there was none, or if it was
	// not looked for.
	Former time.Time `json:"former,omitzero"`
	// Proxy is the serial of the certificate that the replica's own proxy used just
	// after, hexadecimal; empty if it has none or was not asked.
	Proxy string `json:"proxy,omitempty"`
	// Written is when each of the files was last written, by its path.
	Written map[string]time.Time `json:"written,omitempty"`
}

// ProxyTraffic is what a target's proxy logged over the span.
type ProxyTraffic struct {
	Pod      string    `json:"pod"`
	Requests []Request `json:"requests"`
}

// Episode is what was seen while something was disrupted and until all was well
// again.
type Episode struct {
	Disruption string      `json:"disruption"` // its name
	Title      string      `json:"title"`
	From       time.Time   `json:"from"`
	To         time.Time   `json:"to"`
	Marks      []Mark      `json:"marks"`
	Error      string      `json:"error,omitempty"` // why the disruption could not be carried out or undone
	Recovered  bool        `json:"recovered"`       // every expected target was up again at the end
	Settled    string      `json:"settled"`         // how the scrapes were at the end
	Up         []ReplicaUp `json:"up"`
	Certs      []Sighting  `json:"certificates,omitempty"` // of the replicas, in their files
	// Pods are those behind the targets and the replicas, before and after.
	Pods []EpisodePod `json:"pods"`
}

// Mark is a step of a disruption.
type Mark struct {
	At   time.Time `json:"at"`
	Step string    `json:"step"` // begins, in effect or undone
}

// EpisodePod is a pod that was there before or after a disruption.
type EpisodePod struct {
	Name   string    `json:"name"` // namespace/name
	UID    string    `json:"uid"`
	Ready  time.Time `json:"ready,omitzero"` // since when it was ready, when looked at
	Before bool      `json:"before"`
	After  bool      `json:"after"`
}
