package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A run that only makes a Job does not renew its Lease: it takes it for as long as the
// Job may run.
func TestANamespaceThatIsReservedIsNotClearedUp(t *testing.T) {
	n := ofRun("run-7", time.Hour)
	n.Name = "mtls-scrape-certify-run-7"
	k := clusterWith(n)
	now := time.Now()
	require.NoError(t, Reserve(t.Context(), k, n.Name, "run-7 on here", n.Labels, now, 11*time.Minute))

	_, err := clean(t.Context(), k, metadataOf(t), now.Add(10*time.Minute))
	require.ErrorAs(t, err, new(*HeldError))
	assert.ErrorContains(t, err, "the namespace mtls-scrape-certify-run-7 is held by the run run-7 on here")
	assert.ErrorContains(t, err, "is overtaken 11m0s after that")

	require.NoError(t, GiveUp(t.Context(), k, n.Name))
	require.NoError(t, GiveUp(t.Context(), k, n.Name), "once more does no harm")
	removed, err := clean(t.Context(), k, metadataOf(t), now.Add(10*time.Minute))
	require.NoError(t, err)
	assert.Equal(t, []string{"namespace mtls-scrape-certify-run-7"}, removed)
}

func TestAReservationEndsByItself(t *testing.T) {
	n := ofRun("run-7", time.Hour)
	k := clusterWith(n)
	now := time.Now()
	require.NoError(t, Reserve(t.Context(), k, n.Name, "run-7 on here", n.Labels, now, 11*time.Minute))
	removed, err := clean(t.Context(), k, metadataOf(t), now.Add(12*time.Minute))
	require.NoError(t, err)
	assert.Equal(t, []string{"namespace " + n.Name}, removed)
}
