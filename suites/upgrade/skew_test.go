package upgrade

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// reviews is a workload of the mesh that nobody scrapes.
const reviews = "reviews-v2-9497744b5-j2str"

// aged lets one pod have the proxy of a version.
func aged(o *observe.Observation, pod, version string) {
	for i := range o.Pods {
		if o.Pods[i].Name == pod {
			o.Pods[i] = withProxy(o.Pods[i], version)
		}
	}
}

// On the recorded pods of the real stack: nothing is upgraded whose proxies the newer
// control plane does not serve.
func TestProxiesThatAreTooOldAreNotUpgraded(t *testing.T) {
	for _, check := range []Check{upgradeInPlace, upgradeCanary} {
		for name, c := range map[string]struct {
			version string
			verdict reports.Verdict
			says    string
		}{
			"one minor behind":     {"1.30.0", reports.Pass, ""},
			"two minors behind":    {"1.29.9", reports.Fail, "before the upgrade: upgrade-skew: Deployment default/reviews-v2 has the proxy 1.29.9, and Istio 1.31.0 serves proxies of at most 1 minor before it"},
			"by its digest alone":  {"", reports.Inconclusive, "which version the proxy of Deployment default/reviews-v2 is, its image does not say"},
			"another major behind": {"0.9.1", reports.Fail, "has the proxy 0.9.1"},
		} {
			t.Run(check.ID+"/"+name, func(t *testing.T) {
				r := good(t, check.ID)
				aged(&r.Steps[0].Observation, reviews, c.version)
				result := check.Judge(r)
				assert.Equal(t, c.verdict, result.Verdict, result.Reason)
				assert.Contains(t, result.Reason, c.says)
				begun := r
				begun.Steps = r.Steps[:1]
				assert.Equal(t, c.verdict != reports.Fail, goesOn(begun, Forward), "what is too old is not upgraded")
			})
		}
	}
}
