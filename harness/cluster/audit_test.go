package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheAuditLogIsReadEventByEvent(t *testing.T) {
	events, err := parseAudit(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","verb":"list","user":{"username":"kubernetes-admin"},"impersonatedUser":{"username":"system:serviceaccount:default:guest"},"objectRef":{"resource":"pods"}}
{"kind":"Event","verb":"get","user":{"username":"somebody"},"objectRef":{"resource":"pods","subresource":"proxy"}}
`)
	require.NoError(t, err)
	require.Len(t, events, 2)
	assert.Equal(t, "system:serviceaccount:default:guest", events[0].ImpersonatedUser.Username)
	assert.Equal(t, "proxy", events[1].ObjectRef.Subresource)
}

func TestALineOfTheAuditLogThatIsNoEventIsAnError(t *testing.T) {
	_, err := parseAudit("{\"verb\":\"list\"}\nhalf a li")
	assert.ErrorContains(t, err, "no event")
}
