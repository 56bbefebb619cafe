package upgrade

import (
	"maps"
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/preflight"
)

// skewID names, in what the checks of the ways say, that proxies are too old for the
// control plane that is to come.
const skewID = "upgrade-skew"

// supported requires, before anything is changed, that the newer control plane serves
// every proxy that there is, whether Prometheus scrapes it or not. What is too old must
// be made anew first; with it, the upgrade does not begin.
func (f *finding) supported(r Record) {
	if len(r.Steps) == 0 {
		return // that it was not tried is told with its steps
	}
	found := preflight.Skew(r.Steps[0].Observation.Pods, r.To)
	for _, workload := range slices.Sorted(maps.Keys(found.Behind)) {
		f.Fail("before the upgrade: %s: %s has the proxy %s, and Istio %s serves proxies of at most %d minor before it: make its pods anew with a newer proxy first",
			skewID, workload, found.Behind[workload], r.To, preflight.SupportedSkew)
	}
	for _, workload := range slices.Sorted(maps.Keys(found.Unknown)) {
		f.Unclear("before the upgrade: %s: which version the proxy of %s is, its image does not say: %q", skewID, workload, found.Unknown[workload])
	}
	if found.Served > 0 {
		f.Saw(sourceAPI, skewID, "%d proxies are none too old for Istio %s", found.Served, r.To)
	}
}
