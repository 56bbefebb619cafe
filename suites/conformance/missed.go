package conformance

import (
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// missed is a scrape that failed.
type missed struct {
	replica string
	labels  map[string]string // of the target's series
	at      time.Time
}

// pod is the target's, as in "namespace/name".
func (m missed) pod() string { return m.labels["namespace"] + "/" + m.labels["pod"] }

// excusedBy is the ID of the first of some checks whose bound covers a missed scrape,
// or empty.
// It does not depend on what the scrape was read for: a pod that a rollout ended may
// still be asked while the next part is taken away.
func excusedBy(checks []Check, o observe.Observation, m missed) string {
	for _, c := range checks {
		if c.Excuses != nil && c.Excuses(o, m) {
			return c.ID
		}
	}
	return ""
}
