// Package conformance is the catalogue of checks and the test that runs them.
//
// A check is a pure function of an observation: no cluster, no clock, no waiting.
// One file holds one check. Nothing here reads a cluster or changes one.
//
// Read [Check] first, then any of the checks, such as targets_up.go.
package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// Check is one requirement.
type Check struct {
	ID      string // stable: added, never renamed
	Title   string // what must hold, as a sentence
	Profile string
	Level   reports.Level
	// Reads names what the check needs to see, by the beginnings of what
	// [observe.Unread] calls it. If any of it was not read, the check cannot pass.
	Reads []string
	// Assess judges. What it saw goes into the finding; one that saw nothing is
	// inconclusive.
	Assess func(o observe.Observation, f *finding)
}

// Catalogue lists every check in the order in which they run.
func Catalogue() []Check {
	return []Check{
		targetsComplete, targetsUp, metricsQueryable,
		plaintextRefused, noCertificateRefused,
		scraperCertificateRotated,
	}
}

// Judge applies a check to an observation. The verdict is
//   - fail if anything was found that must not be,
//   - else inconclusive if something could not be read or was not seen,
//   - else pass, which needs evidence.
func (c Check) Judge(o observe.Observation) reports.Check {
	var f finding
	c.Assess(o, &f)
	for _, u := range o.Unread {
		if slices.ContainsFunc(c.Reads, func(r string) bool { return strings.HasPrefix(u.What, r) }) {
			f.unclear("%s could not be read: %s", u.What, u.Reason)
		}
	}
	result := reports.Check{ID: c.ID, Title: c.Title, Profile: c.Profile, Level: c.Level, Evidence: f.evidence}
	switch {
	case len(f.failures) > 0:
		result.Verdict, result.Reason = reports.Fail, strings.Join(f.failures, "\n")
	case len(f.doubts) > 0:
		result.Verdict, result.Reason = reports.Inconclusive, strings.Join(f.doubts, "\n")
	case len(f.evidence) == 0:
		result.Verdict, result.Reason = reports.Inconclusive, "nothing was seen that the check could judge"
	default:
		result.Verdict = reports.Pass
	}
	return result
}

// finding collects what a check finds.
type finding struct {
	failures []string
	doubts   []string
	evidence []reports.Evidence
}

// fail records something that must not be.
func (f *finding) fail(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

// unclear records something that keeps the check from passing, without proof that
// anything is wrong.
func (f *finding) unclear(format string, args ...any) {
	f.doubts = append(f.doubts, fmt.Sprintf(format, args...))
}

// saw records evidence: where it was read, of what, and what it said.
func (f *finding) saw(source, subject, format string, args ...any) {
	f.evidence = append(f.evidence, reports.Evidence{Source: source, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// The profiles, in the order in which they run.
const (
	profileScrape   = "scrape"
	profileRefusal  = "refusal"
	profileRotation = "rotation"
)

// Sources of evidence.
const (
	sourceTargets = "Prometheus, /api/v1/targets"
	sourceQuery   = "Prometheus, /api/v1/query"
	sourceFiles   = "certificate files, Prometheus container"
	sourceLog     = "access log of the target's proxy"
	sourceCounter = "TLS counters of the target's proxy"
)
