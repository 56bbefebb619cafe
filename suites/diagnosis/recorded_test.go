package diagnosis

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// TestRecordedFaults is about observations of the real stack with a fault put into
// it. The older ones were made before much of an observation was: what it lacks
// must not mislead.
func TestRecordedFaults(t *testing.T) {
	for code, check := range map[string]string{
		"mtls-permissive":              "plaintext-refused",
		"certificate-path-elsewhere":   "targets-complete",
		"injection-disabled":           "targets-complete",
		"monitor-labels-not-selected":  "monitors-accepted",
		"service-port-missing":         "targets-complete",
		"insecure-skip-verify-missing": "targets-up",
	} {
		causes := Diagnose(load(t, code), failedCheck(check))[check]
		assert.Equal(t, []string{code}, codes(causes))
		if len(causes) > 0 {
			assert.Equal(t, reports.Certain, causes[0].Confidence, code)
		}
	}
	assert.Empty(t, Diagnose(load(t, "good-earlier"), failedCheck(allChecks...)))
}

func load(t *testing.T, name string) observe.Observation {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name + ".json.gz")
	require.NoError(t, err)
	o, err := recorded.Unpack(content)
	require.NoError(t, err)
	return o
}
