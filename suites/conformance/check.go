// Package conformance is the catalogue of checks and the test that runs them.
//
// A check is a pure function of an observation: no cluster, no clock, no waiting.
// One file holds one check. Nothing here reads a cluster or changes one.
//
// Read [Check] first, then any of the checks, such as targets_up.go.
package conformance

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/diagnosis"
)

// Check is one requirement.
type Check struct {
	ID      string // stable: added, never renamed
	Title   string // what must hold, as a sentence
	Profile string
	Level   reports.Level
	// Optional says that the check runs only if it is asked for by name: most
	// subjects are not meant to hold it.
	Optional bool
	// Long says, of a check that makes a run much longer, how much: it runs only if
	// it or its profile is asked for.
	Long string
	// Disrupts says what the check needs changed while it looks on; empty for a check
	// that only reads.
	Disrupts string
	// Shared is the name under which the owner of a cluster allows what the check
	// disrupts, if others use that as well; empty for what only the subject has.
	Shared string
	// Reads names what the check needs to see, by the beginnings of what
	// [observe.Unread] calls it. If any of it was not read, the check cannot pass.
	Reads []string
	// Stood says that the check judges what was stored before the run: only a subject
	// that stood before has it.
	Stood bool
	// Assess judges. What it saw goes into the finding; one that saw nothing is
	// inconclusive.
	Assess func(o *subject, f *finding)
	// Excuses reports whether the bound of the check covers that a replica missed a
	// scrape at a moment; nil for a check that lets none be missed.
	Excuses func(o observe.Observation, m missed) bool
}

// Catalogue lists every check in the order in which they run.
func Catalogue() []Check {
	return []Check{
		prometheusSidecarInjected, certificatesMounted, certificateIdentity, trafficNotIntercepted, monitorsAccepted,
		targetsComplete, targetsUp, metricsQueryable, mutualTLSOnTheWire, unmeshedStillScraped,
		plaintextRefused, noCertificateRefused, foreignCertificateRefused, identityAuthorized, sideDoorsKnown, strictSideDoors,
		scraperCertificateRotated, targetCertificateRotated, rotationWithoutCAFile, rootRotated, pastRotationsSurvived,
		operatorRestartSurvived, sidecarRestartSurvived, controlPlaneOutageSurvived, workloadRolloutSurvived, prometheusRestartSurvived,
	}
}

// Labels are what a check can be selected by.
func (c Check) Labels() labels.Set {
	return labels.Set{"id": c.ID, "profile": c.Profile, "level": string(c.Level), "disruptive": strconv.FormatBool(c.Disrupts != "")}
}

// Profiles lists the profiles in the order in which they run.
func Profiles() []string {
	return []string{ProfileSetup, ProfileScrape, ProfileRefusal, ProfileRotation, ProfileResilience}
}

// Judge applies a check to an observation, and comes to the verdict as
// [reports.Assessment.Conclude] does.
//
// If a whole collection could not be read, nothing is judged at all: what follows
// from an empty list would be wrong.
func (c Check) Judge(o observe.Observation) reports.Check { return c.judge(&subject{Observation: o}) }

// judge is Judge of an observation that other checks judge as well: what was looked up
// in it for one serves the next.
func (c Check) judge(s *subject) reports.Check {
	var f finding
	blind := false
	for _, u := range s.Unread {
		if slices.ContainsFunc(c.Reads, func(r string) bool { return strings.HasPrefix(u.What, r) }) {
			f.Unclear("%s could not be read: %s", u.What, u.Reason)
			blind = blind || slices.ContainsFunc(collections, func(r string) bool { return strings.HasPrefix(u.What, r) })
		}
	}
	if !blind {
		c.Assess(s, &f)
	}
	return f.Conclude(reports.Check{ID: c.ID, Title: c.Title, Profile: c.Profile, Level: c.Level})
}

// Verdict judges an observation and, unless the check passes, explains it: the one
// way from what was seen to what a report says.
func (c Check) Verdict(o observe.Observation) reports.Check {
	return c.verdict(&subject{Observation: o})
}

func (c Check) verdict(s *subject) reports.Check {
	start := time.Now()
	result := c.judge(s)
	if result.Verdict == reports.Fail || result.Verdict == reports.Inconclusive {
		result.Causes = diagnosis.Diagnose(s.Observation, []reports.Check{result})[c.ID]
	}
	result.DurationSeconds = time.Since(start).Seconds()
	return result
}

// finding collects what a check finds.
type finding struct{ reports.Assessment }

// withheld says what was not looked at since the owner of the subject did not permit
// what it takes.
func (f *finding) withheld(p cluster.Permission, what string) {
	f.Hold("%s: that takes -permit=%s", what, p)
}

// The profiles.
const (
	ProfileSetup      = "setup"
	ProfileScrape     = "scrape"
	ProfileRefusal    = "refusal"
	ProfileRotation   = "rotation"
	ProfileResilience = "resilience"
)

// Sources of evidence.
const (
	sourceAPI       = "Kubernetes API"
	sourceTargets   = "Prometheus, /api/v1/targets"
	sourceConfig    = "Prometheus, /api/v1/status/config and /api/v1/scrape_pools"
	sourceQuery     = "Prometheus, /api/v1/query"
	sourceFiles     = "certificate files, Prometheus container"
	sourceSockets   = "/proc/net/tcp, Prometheus container"
	sourceLog       = "access log of the target's proxy"
	sourceHandshake = "TLS handshake with the target"
	sourceCounter   = "TLS counters of the target's proxy"
	sourceTelemetry = "telemetry of the target's proxy, port 15020"
)

// collections are what is listed whole. A check that needs one and does not have
// it can say nothing.
var collections = []string{
	"the Prometheus ", "service monitors", "pod monitors", "probe objects", "scrape configs", "services", "endpoint slices", "pods", "namespaces",
}

// reads is what a check needs to see that judges targets: what they are worked
// out from, and more.
func reads(more ...string) []string { return append(slices.Clone(collections), more...) }
