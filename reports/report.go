// Package reports holds what a run found, writes it down and shows it.
//
// One value, [Report], is the source of every format: report.json is that value
// and nothing else, and whatever a person, a gate or an auditor is shown is
// rendered from it. The package judges no cluster. It turns the verdicts of single
// checks into the verdict and the exit code of a run ([Report.Conclude]) and finds
// contradictions in a report ([Report.Validate]).
//
// It writes the report and every other format ([WriteAll], [Formats]), compares two
// reports ([Compare]), and verifies one for somebody who believes nobody ([Verifier]).
//
// It never talks to a cluster, never reads the clock, never reads a Secret of one, and
// imports nothing of this project, so that a report can be read, compared and verified
// wherever Go runs.
//
// Read [Report] first, then [Report.Conclude].
package reports

import "time"

// SchemaVersion is the version of report.json that this package writes. The rule for
// changing it: the minor number grows when a field is added, which readers must
// tolerate; the major number grows when a field goes or changes its meaning, and then
// [Read] of an older build refuses the report. The schema changes in the same commit,
// and [Read] goes on reading every minor version of its major one.
//
// 1.1 added tracks and repetitions, 1.2 what excuses a missed scrape, 1.3 which profiles
// are claimed, what a claim takes and which checks were left out; all are optional. Of a
// report from before 1.3, [Read] takes each profile that passed for claimed.
const SchemaVersion = "1.3"

// Verdict is the outcome of a check, of a profile or of a run.
type Verdict string

const (
	// Pass says that what must hold was seen to hold. It needs evidence.
	Pass Verdict = "pass"
	// Fail says that what must hold was seen not to hold.
	Fail Verdict = "fail"
	// Skip says that the check does not apply here; the reason says why. A run as a
	// whole is never skipped: one that executed nothing is inconclusive.
	Skip Verdict = "skip"
	// Inconclusive says that the check applies but not enough was seen to judge. It
	// exists so that having seen nothing can never be taken for a pass.
	Inconclusive Verdict = "inconclusive"
)

// Level says how much a check counts.
type Level string

const (
	// Core checks hold on every conformant subject, and gate.
	Core Level = "core"
	// Extended checks concern what a subject may lack, and then they are skipped.
	// Where they apply they gate as core ones do.
	Extended Level = "extended"
	// Provisional checks are on trial: run and shown, but never gating.
	Provisional Level = "provisional"
)

// Gates reports whether a check of this level decides the verdict of a run. A
// level this package does not know gates: a misspelt one must not turn a red run
// green.
func (l Level) Gates() bool { return l != Provisional }

// Confidence says how sure a diagnosis is of a cause.
type Confidence string

const (
	// Certain says that the cause itself was seen, as a field with the wrong value.
	Certain Confidence = "certain"
	// Likely says that what was seen has few other explanations.
	Likely Confidence = "likely"
	// Possible says that it would explain what was seen, as other things would.
	Possible Confidence = "possible"
)

// Report is all that a run found. Every list is present in report.json even when
// empty, so that a reader needs no test for null.
type Report struct {
	// SchemaVersion tells a reader what the other fields mean; see the constant.
	SchemaVersion string `json:"schemaVersion"`
	// RunID names the run, its directory and, as a label, every object it created:
	// it is what links a report to the things in a cluster.
	RunID string `json:"runId"`
	// Suite says which suite judged, since its checks change from version to version.
	Suite Suite `json:"suite"`
	// StartedAt and EndedAt bound the run. What a target did outside of them says
	// nothing about this run.
	StartedAt time.Time `json:"startedAt"`
	EndedAt   time.Time `json:"endedAt"`
	// Interrupted says that somebody stopped the run, so that what is missing was
	// not judged rather than not applicable.
	Interrupted bool `json:"interrupted"`
	// Verdict and ExitCode are set by Conclude and follow from the rest. The verdict
	// is pass exactly if the exit code is 0.
	Verdict  Verdict  `json:"verdict"`
	ExitCode ExitCode `json:"exitCode"`
	// Error is why the run could not judge everything it was asked to: nil if the
	// set-up stood.
	Error *SetupError `json:"error,omitempty"`
	// Subject is what was judged, as found in the cluster and not as asked for.
	Subject Subject `json:"subject"`
	// Configuration is the effective configuration, so that the run can be repeated.
	// It must hold no secret: a report is made to be passed on.
	Configuration map[string]string `json:"configuration"`
	// Profiles are the profiles that were asked for, in that order. One that is
	// listed before Conclude and has no check makes the run inconclusive: a profile
	// that was asked for and silently not run would be a false green.
	Profiles []Profile `json:"profiles"`
	// Checks are the results in the order in which the checks ran.
	Checks []Check `json:"checks"`
	// Leftovers are the things that this run made and could not remove, each named
	// so that a person can find it: "namespace/mtls-scrape-x1", "kind cluster x1".
	Leftovers []string `json:"leftovers"`
	// APIRequests is how many requests to the API server one observation took. The
	// owner of a cluster wants to know what a guest costs him.
	APIRequests int64 `json:"apiRequests,omitempty"`
	// Phases say where the time went.
	Phases []Phase `json:"phases"`
	// Timeline holds what happened while the run watched, by time: it is what shows
	// that a scrape was lost at the very moment a certificate changed.
	Timeline []Event `json:"timeline"`
	// Repetitions are there if the subject was judged more than once. Checks then have
	// the worst of their verdicts.
	Repetitions *Repetitions `json:"repetitions,omitempty"`
	// Tracks are what a plot of the run shows, a lane each, in their order. They are
	// optional: what they lack is drawn from Timeline, as far as that goes, which knows
	// of scrapes only those that were missed.
	Tracks []Track `json:"tracks,omitempty"`
}

// Suite identifies the code that judged.
type Suite struct {
	// Version is the released version, or "devel".
	Version string `json:"version"`
	// Commit is the revision it was built from, "-dirty" appended if it had changes.
	Commit string `json:"commit"`
}

// Subject is the cluster and the Prometheus under test. A field that could not be
// found out is empty, never guessed.
type Subject struct {
	// Kubernetes is the version of the API server.
	Kubernetes string `json:"kubernetes"`
	// Istio is the version of the control plane that serves the Prometheus.
	Istio string `json:"istio"`
	// DataPlane is the proxies' kind and version, which may lag behind the control
	// plane: during an upgrade it is this one that matters.
	DataPlane string `json:"dataPlane"`
	// Prometheus is the version that scrapes; how it reloads client certificates
	// differs from version to version.
	Prometheus string `json:"prometheus"`
	// Operator is the version of the Prometheus Operator.
	Operator string `json:"operator"`
	// TrustDomain is the mesh's, the first part of every identity in the report.
	TrustDomain string `json:"trustDomain"`
	// ImageSource says where the images came from, as a registry or packages: a
	// verdict on rebuilt images is not one on the published images.
	ImageSource string `json:"imageSource"`
	// Fingerprint identifies the subject without naming it, so that two reports can
	// be told to be of the same one.
	Fingerprint string `json:"fingerprint"`
}

// Profile is the outcome of a group of checks that a subject can claim.
type Profile struct {
	// Name is the stable name, as in "refusal".
	Name string `json:"name"`
	// Verdict is over the checks of the profile that gate; see Conclude.
	Verdict Verdict `json:"verdict"`
	// Passed, Failed, Skipped and Inconclusive count all checks of the profile by
	// verdict, provisional ones included, so that they add up to the checks listed.
	Passed       int `json:"passed"`
	Failed       int `json:"failed"`
	Skipped      int `json:"skipped"`
	Inconclusive int `json:"inconclusive"`
	// Required are the IDs of the checks that a claim of the profile takes, as the suite
	// says before Conclude. Without any, it takes no more than its verdict.
	Required []string `json:"required,omitempty"`
	// Claimed says that the profile passed, and that each required check passed or has
	// nothing to judge here. It is set by Conclude. A profile that passed and is not
	// claimed lowers the claim of the run and not its exit code.
	Claimed bool `json:"claimed,omitempty"`
}

// Check is the result of one check.
type Check struct {
	// ID is the stable identifier, as in "targets-up": reports of different versions
	// are compared by it.
	ID string `json:"id"`
	// Title says in a sentence what must hold.
	Title string `json:"title"`
	// Profile is the name of the profile the check belongs to.
	Profile string `json:"profile"`
	// Level says whether the check gates.
	Level Level `json:"level"`
	// Verdict is the outcome.
	Verdict Verdict `json:"verdict"`
	// LeftOut says of a check that was skipped that there may well be something to judge:
	// somebody left it out, or did not permit what it takes.
	LeftOut bool `json:"leftOut,omitempty"`
	// Reason is one sentence that can stand alone. Everything but a pass needs one.
	Reason string `json:"reason"`
	// DurationSeconds is how long it took to observe and to judge.
	DurationSeconds float64 `json:"durationSeconds"`
	// Evidence is what the verdict rests on. A pass without any is a defect.
	Evidence []Evidence `json:"evidence"`
	// Causes are possible explanations of what is not a pass, the best first.
	Causes []Cause `json:"causes"`
}

// Evidence is one thing that was seen.
type Evidence struct {
	// Source is where it was read, so that a reader can look there himself:
	// "prometheus-0 /api/v1/targets".
	Source string `json:"source"`
	// Subject is what it was read of: "pod bookinfo/productpage-v1-7f".
	Subject string `json:"subject"`
	// Text is what was seen, in the words of the source where it has any.
	Text string `json:"text"`
}

// Cause is one explanation of a failure, with the way out.
type Cause struct {
	// Code is the stable name of the rule, by which a cause can be searched for.
	Code string `json:"code"`
	// Seen is the observation that speaks for this cause.
	Seen string `json:"seen"`
	// Change is what to change: object, field and value.
	Change string `json:"change"`
	// Doc is the address where it is documented.
	Doc string `json:"doc"`
	// Confidence ranks the causes.
	Confidence Confidence `json:"confidence"`
}

// SetupError says what kept the run from judging.
type SetupError struct {
	// Phase is the phase that failed, by its name in Phases.
	Phase string `json:"phase"`
	// Message names the thing and the next step.
	Message string `json:"message"`
}

// Phase is a part of the run and the time it took.
type Phase struct {
	// Name is stable, so that phases of two runs can be compared.
	Name string `json:"name"`
	// Seconds is its wall-clock time. Phases may overlap, so that they can add up to
	// more than the run.
	Seconds float64 `json:"seconds"`
}

// EventKind says what an event is, and with it where a picture shows it.
type EventKind string

// The kinds this suite writes. A reader shows one it does not know as a note. What
// lasts has an event at each end, which pair by subject; a certificate's end may
// lie after the run's.
const (
	ScrapeMissed     EventKind = "scrape-missed"
	CertificateStart EventKind = "certificate-start"
	CertificateEnd   EventKind = "certificate-end"
	DisruptionStart  EventKind = "disruption-start"
	DisruptionEnd    EventKind = "disruption-end"
	Note             EventKind = "note"
)

// Event is something that happened at one instant.
type Event struct {
	// At is when, by the clock of the source rather than of the reader.
	At time.Time `json:"at"`
	// Kind says what happened.
	Kind EventKind `json:"kind"`
	// Subject is what it happened to, written as in Evidence.
	Subject string `json:"subject"`
	// Text says it to a person.
	Text string `json:"text"`
}

// Track is what was seen of one thing over time: of a replica its certificates, of a
// replica and one of its targets the scrapes.
type Track struct {
	// Subject names the lane: "prometheus-0", or "prometheus-0 to bookinfo/reviews-v1-9c".
	Subject string `json:"subject"`
	// Bars are what lasted. They may overlap, as certificates do.
	Bars []Bar `json:"bars"`
	// Points are the scrapes in the order of their times.
	Points []Point `json:"points"`
}

// BarKind says what lasted.
type BarKind string

// The kinds of bars that this suite writes. A reader shows another one as a bar in
// its lane.
const (
	// CertificateBar is a certificate from when it was first seen to its end, which may
	// lie after the run's.
	CertificateBar BarKind = "certificate"
	// DisruptionBar is a disruption from when it was applied to when it was undone. It
	// concerns every lane, whichever track has it.
	DisruptionBar BarKind = "disruption"
)

// Bar is something that lasted.
type Bar struct {
	// From and To bound it.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Kind says what it is.
	Kind BarKind `json:"kind"`
	// Label says which one it is, as a serial.
	Label string `json:"label"`
}

// Point is one scrape.
type Point struct {
	// At is its time by the clock of the Prometheus.
	At time.Time `json:"at"`
	// OK says that it succeeded: the sample of up is 1.
	OK bool `json:"ok"`
	// ExcusedBy is the ID of the check whose stated bound covers that this scrape was
	// missed; empty if there is none, or if it was not missed. It excuses only if that
	// check passed.
	ExcusedBy string `json:"excusedBy,omitempty"`
}
