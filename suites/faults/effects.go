package faults

import "slices"

// effect is what a kind of fault does to the checks. A scrape has many witnesses,
// so that what ends it turns several checks at once: the patterns are few.
type effect struct{ red, unclear []string }

// The checks, for short.
const (
	sidecarInjected     = "prometheus-sidecar-injected"
	certificatesMounted = "certificates-mounted"
	certificateOwn      = "certificate-identity"
	notIntercepted      = "traffic-not-intercepted"
	monitorsAccepted    = "monitors-accepted"
	targetsComplete     = "targets-complete"
	targetsUp           = "targets-up"
	metricsQueryable    = "metrics-queryable"
	mutualTLS           = "mutual-tls-on-the-wire"
	unmeshedScraped     = "unmeshed-still-scraped"
	plaintextRefused    = "plaintext-refused"
	noCertRefused       = "no-certificate-refused"
	foreignRefused      = "foreign-certificate-refused"
	identityAuthorized  = "identity-authorized"
	doorsKnown          = "side-doors-known"
	strictDoors         = "strict-side-doors"
	scraperRotated      = "scraper-certificate-rotated"
	targetRotated       = "target-certificate-rotated"
)

var (
	refusals  = []string{plaintextRefused, noCertRefused, foreignRefused}
	ofTargets = append([]string{targetsComplete, targetsUp, metricsQueryable, mutualTLS, unmeshedScraped, doorsKnown, notIntercepted}, refusals...)

	// noPods: no pod of the Prometheus, though there is what it should scrape.
	noPods = effect{red: append([]string{
		targetsUp, sidecarInjected, certificatesMounted, certificateOwn, notIntercepted, monitorsAccepted,
		targetsComplete, metricsQueryable, mutualTLS, doorsKnown,
	}, refusals...)}

	// nothing: nor anything that it should scrape.
	nothing = effect{
		red:     []string{sidecarInjected, certificatesMounted, certificateOwn, monitorsAccepted},
		unclear: ofTargets,
	}

	// notRunning: its pod is there, and Prometheus does not run in it.
	notRunning = effect{unclear: append([]string{
		targetsUp, certificatesMounted, certificateOwn, notIntercepted, monitorsAccepted, targetsComplete, metricsQueryable, mutualTLS, unmeshedScraped,
	}, refusals...)}

	// proxyWaits: its proxy is not ready, and as a native sidecar keeps it from starting.
	proxyWaits = effect{red: []string{sidecarInjected}, unclear: with(notRunning.unclear, doorsKnown)}

	// unreachable: it runs, and its API cannot be asked.
	unreachable = effect{unclear: append([]string{targetsUp, notIntercepted, monitorsAccepted, targetsComplete, metricsQueryable, unmeshedScraped}, refusals...)}

	// notSelected: the Prometheus has no monitor.
	notSelected = effect{red: []string{monitorsAccepted}, unclear: append([]string{certificatesMounted, certificateOwn}, ofTargets...)}

	// noTargets: the monitor leads to nothing.
	noTargets = effect{unclear: ofTargets}

	// notFound: it leads to something, which Prometheus does not find.
	notFound = effect{
		red:     []string{targetsComplete, targetsUp, metricsQueryable},
		unclear: append([]string{notIntercepted, mutualTLS}, refusals...),
	}

	// noJob: Prometheus has not made a job of it.
	noJob = effect{red: append([]string{monitorsAccepted}, notFound.red...), unclear: notFound.unclear}

	// noFiles: it could not, because a certificate file is not what it should be.
	noFiles = effect{red: append([]string{certificatesMounted}, noJob.red...), unclear: append([]string{certificateOwn}, noJob.unclear...)}

	// noProxy: Prometheus has no sidecar, and so none of the files.
	noProxy = effect{red: append([]string{sidecarInjected}, noFiles.red...), unclear: noFiles.unclear}

	// noMesh: its target has none either, and serves everybody.
	noMesh = effect{
		red:     append([]string{plaintextRefused}, noProxy.red...),
		unclear: without(noProxy.unclear, plaintextRefused),
	}

	// answered: Prometheus gets an answer over mutual TLS, and not one that it can use.
	// What refuses others at the same time has no twin that succeeds.
	answered = effect{red: append([]string{targetsUp, metricsQueryable}, refusals...)}

	// cutOff: it gets none.
	cutOff = effect{red: answered.red, unclear: []string{notIntercepted, mutualTLS}}
)

// with is a list and more.
func with(list []string, more ...string) []string { return append(slices.Clone(list), more...) }

// without is a list but for one.
func without(list []string, less string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(id string) bool { return id == less })
}
