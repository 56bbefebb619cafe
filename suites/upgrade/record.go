// Package upgrade is the gate for upgrades: it takes a mesh from one version of Istio to
// another and back, or Prometheus, or its Operator, step by step, and says whether every
// scrape went on.
//
// Each step is recorded with what was observed of the subject after it and with every
// scrape since the step before. A check is a pure function of such a record: no
// cluster, no clock. What holds of a single step is judged by the checks of the
// package conformance.
//
// Read [Record] first, then upgrade_in_place.go, then plan.go.
package upgrade

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/diagnosis"
)

// Profile is that of every check in this package.
const Profile = "upgrade"

// Stage is a part of an upgrade at whose end what is upgraded is of one version.
type Stage string

// The stages, in their order. The last is only for a path that keeps the old control
// plane until nothing uses it.
const (
	Before  Stage = "before"
	Forward Stage = "forward"
	Back    Stage = "back"
	Final   Stage = "final"
)

// Record is what was seen of one upgrade.
type Record struct {
	Check string `json:"check"` // ID of the check that judges it
	From  string `json:"from"`  // version of what is upgraded, as in "1.30.4" or "v3.12.0"
	To    string `json:"to"`
	Steps []Step `json:"steps"`
	// Planned are the names of all steps of the path, by stage: what is missing from
	// Steps was not done.
	Planned []Name `json:"planned"`
}

// Name names a step: within its stage a step is what it does.
type Name struct {
	Stage Stage  `json:"stage"`
	Step  string `json:"step"`
}

// String is as in "forward, control-plane".
func (n Name) String() string {
	if string(n.Stage) == n.Step {
		return n.Step
	}
	return string(n.Stage) + ", " + n.Step
}

// Step is one change and the subject after it.
type Step struct {
	Name
	// Observation is of the subject after the step. Its one episode is the step itself,
	// with every scrape since the end of the step before.
	Observation observe.Observation `json:"observation"`
	// Checks are what the observation was judged to be. They are made anew when a
	// record is read, and not kept.
	Checks []reports.Check `json:"-"`
}

// episode is the step as something that was looked on at.
func (s Step) episode() observe.Episode {
	if len(s.Observation.Episodes) == 0 {
		return observe.Episode{}
	}
	return s.Observation.Episodes[0]
}

// bad are the checks that keep the step from being good.
func (s Step) bad() []reports.Check {
	return slices.DeleteFunc(slices.Clone(s.Checks), func(c reports.Check) bool {
		return c.Verdict == reports.Pass || c.Verdict == reports.Skip || !c.Level.Gates()
	})
}

// causes are what explains that a step of the upgrade which a check judges could not be
// carried out, by what was observed after it.
func (s Step) causes(check string) []reports.Cause {
	return diagnosis.Diagnose(s.Observation, []reports.Check{{ID: check, Verdict: reports.Fail}})[check]
}

// scrapesID is the check of every scrape since the step before.
const scrapesID = "no-scrape-missed"

// The steps after which the Operator generates Prometheus' configuration anew: by itself
// in another version, or for another version of Prometheus.
const (
	operatorStep = "operator"
	objectStep   = "object"
)

func regenerates(step string) bool { return step == operatorStep || step == objectStep }

// judge comes to what the checks say of a subject after a step: those that change
// nothing and, if somebody watched, those of rotation.
func judge(step string, o observe.Observation) []reports.Check {
	profiles := []string{conformance.ProfileSetup, conformance.ProfileScrape, conformance.ProfileRefusal}
	if o.Watch != nil {
		profiles = append(profiles, conformance.ProfileRotation)
	}
	results := []reports.Check{conformance.PodsReplaced(scrapesID, Profile, step, regenerates(step)).Verdict(o)}
	for _, c := range conformance.Catalogue() {
		switch {
		case !slices.Contains(profiles, c.Profile) || c.Disrupts != "" || c.Optional || c.Stood || c.Long != "":
		case c.ID == sameProxiesID && step == firstReplica && replicasDiffer(o):
			results = append(results, reports.Check{
				ID: c.ID, Title: c.Title, Profile: c.Profile, Level: c.Level, Verdict: reports.Skip,
				Reason: "every replica has a ready sidecar; that they are of different versions is what this step is for",
			})
		default:
			results = append(results, c.Verdict(o))
		}
	}
	return results
}

// sameProxiesID is the check that allows no replicas with different proxies: it is
// right about an upgrade that stops half way, and wrong about one that goes on.
const sameProxiesID = "prometheus-sidecar-injected"

// replicasDiffer reports whether the versions of their sidecars are all that there is
// to say against the replicas.
func replicasDiffer(o observe.Observation) bool {
	versions := map[string]bool{}
	replicas := observe.Replicas(o)
	for i := range replicas {
		s, ok := observe.SidecarOf(&replicas[i])
		if !ok || !s.Ready {
			return false
		}
		versions[s.Version()] = true
	}
	return len(versions) > 1 && !versions[""]
}

// write keeps a record in a file, which appears whole or not at all.
func (r Record) write(path string) error {
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the record of the upgrade: %w", err)
	}
	unfinished := path + ".unfinished"
	if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		err = os.WriteFile(unfinished, append(content, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(unfinished, path)
	}
	if err != nil {
		return fmt.Errorf("keeping the record of the upgrade: %w", err)
	}
	return nil
}

// read takes a record from a file and judges its steps.
func read(path string) (Record, error) {
	var r Record
	content, err := os.ReadFile(path)
	if err != nil {
		return r, fmt.Errorf("reading the record of an upgrade: %w", err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("%s is not the record of an upgrade: %w", path, err)
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		if v := s.Observation.FormatVersion; v != observe.FormatVersion {
			return r, fmt.Errorf("%s has observations of format version %d, this suite reads version %d", path, v, observe.FormatVersion)
		}
		if r.Check != upgradeWatched.ID { // it is judged as a whole
			s.Checks = judge(s.Step, s.Observation)
		}
	}
	return r, nil
}
