// Package faults is the catalogue of deliberate mistakes, and the test that makes
// each of them for real: which checks it must turn red, which it may leave unclear,
// and which cause must be named first.
//
// A suite that certifies others must be certified itself. Every check of the
// conformance suite, and every rule of the diagnosis, has a fault here that shows
// it at work, or a reason in [Unprovoked] or [Unfaulted] why none can.
//
// A fault has a namespace of its own with a small set-up of its own, so that many
// are tried at a time. Nothing here judges: that is for the conformance suite.
//
// Read [Fault] first, then any of the layers, such as certificates.go.
package faults

import (
	"slices"
	"time"

	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
)

// Fault is one mistake, as a change of the good set-up.
type Fault struct {
	ID    string // stable, kebab-case
	Title string // what is wrong, in a sentence
	Layer string // of the way from the Operator to the application
	Why   string // the field report, or the step of the guide, that it comes from

	// Change is made before the set-up is applied; Later once it has settled.
	Change []Change
	Later  []Change
	// Mesh is a change of the mesh as a whole. Such a fault runs alone.
	Mesh *MeshChange

	// Red are the checks that must fail, the one that says it best first. Unclear are
	// those that may be inconclusive, fail or pass as a consequence. Every other check
	// must pass or be skipped.
	Red     []string
	Unclear []string
	// Cause is the code of the first cause of every red check that has any, and of the
	// first one in any case; if none is red, of the first unclear one.
	Cause string

	Watch   bool // certificates are short-lived, and their rotation is watched
	Unready bool // its workloads do not all come up, so nobody waits for that
	Expires bool // it is observed once Prometheus' certificate has ended
	// Age is how long Prometheus has run before the fault is observed; zero for as
	// long as it takes to settle.
	Age time.Duration
	// Optional are checks to be judged beside the others that run only if asked for.
	Optional []string
	// Namespace is the one that the fault is about; empty for one made up from its ID.
	Namespace string

	named []string // codes that must be named, whatever is red: of a combination
}

// MeshChange changes the mesh as a whole, and back.
type MeshChange struct {
	Late bool // once the set-up has settled, rather than before it is applied
	Make func(client klient.Client) (disrupt.Disruption, error)
}

// Control is the good set-up itself. That everything is green in it is how we know
// that what turns red elsewhere is due to the fault.
const Control = "none"

// Singles are the faults with one thing wrong, layer by layer.
func Singles() []Fault {
	var all []Fault
	for _, l := range []struct {
		layer  string
		faults []Fault
	}{
		{"operator", operatorFaults()}, {"prometheus", prometheusFaults()}, {"injection", injectionFaults()},
		{"certificates", certificateFaults()}, {"rotation", rotationFaults()}, {"discovery", discoveryFaults()},
		{"policy", policyFaults()}, {"protocol", protocolFaults()}, {"capture", captureFaults()},
		{"workload", workloadFaults()}, {"monitors", monitorFaults()},
	} {
		for _, f := range l.faults {
			f.Layer = l.layer
			all = append(all, f)
		}
	}
	return all
}

// Catalogue lists everything that is tried: the good set-up, the faults, and the
// combinations of two. What has to run alone comes last.
func Catalogue() []Fault {
	all := []Fault{{ID: Control, Title: "Nothing is wrong", Layer: "control", Why: "zero false alarms"}}
	all = append(all, Singles()...)
	all = append(all, combinations()...)
	slices.SortStableFunc(all, func(a, b Fault) int { return btoi(a.alone()) - btoi(b.alone()) })
	return all
}

// alone reports whether a fault must not run beside others.
func (f Fault) alone() bool { return f.Mesh != nil }

// late reports whether the set-up has to settle before the fault is made.
func (f Fault) late() bool { return len(f.Later) > 0 || f.Mesh != nil && f.Mesh.Late }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// find returns a fault of the catalogue by its ID.
func find(id string) (Fault, bool) {
	all := Catalogue()
	i := slices.IndexFunc(all, func(f Fault) bool { return f.ID == id })
	if i < 0 {
		return Fault{}, false
	}
	return all[i], true
}
