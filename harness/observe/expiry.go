package observe

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// AwaitExpiry waits until the certificate in the files of every replica has ended:
// what keeps a sidecar from renewing it does no harm before. It reports whether all
// have, and what it last saw.
func (o *Observer) AwaitExpiry(ctx context.Context, limit time.Duration) (ended bool, note string) {
	err := wait.For(ctx, "the certificates in the files of Prometheus to have ended", func(ctx context.Context) (bool, string, error) {
		p := &pass{Observer: o}
		p.readTargetObjects(ctx)
		chain, roots := CertificateFiles(p.o)
		replicas := Replicas(p.o)
		var states []string
		over := len(replicas) > 0
		for _, r := range replicas {
			c, err := o.readCertificate(ctx, r.Name, chain, roots)
			if err != nil {
				return false, "", err
			}
			over = over && time.Now().After(c.NotAfter)
			states = append(states, fmt.Sprintf("that of %s (serial %s) ends at %s", r.Name, c.Serial, c.NotAfter.Format(time.TimeOnly)))
		}
		note = strings.Join(states, "; ")
		return over, note, nil
	}, wait.Timeout(limit), wait.Interval(2*time.Second))
	if err != nil {
		return false, err.Error()
	}
	return true, note
}
