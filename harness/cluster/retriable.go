package cluster

import (
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// retriable reports whether an API error passes by itself: the server is busy or
// restarting, or a webhook that has just been registered does not answer yet.
func retriable(err error) bool {
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsConflict(err) ||
		apierrors.IsInternalError(err) && strings.Contains(err.Error(), "webhook") ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err)
}
