package reports

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Verifier verifies reports for somebody who believes neither the one who shows it nor
// the place where it was kept.
type Verifier struct {
	// Key is whose signature is expected. Without one no signature is verified, and the
	// verification says so.
	Key ed25519.PublicKey
	// Judge judges an observation, by the name of its file, with every check there is.
	Judge func(observation string) ([]Check, error)
	// Required lists the IDs of the checks that a profile must have passed to be
	// claimed by a report. It is empty for a profile that there is not.
	Required func(r Report, profile string) []string
	// Suite is the version that Judge is from. A report of another one may word its
	// reasons and evidence differently, and then only its verdicts are compared.
	Suite Suite
}

// Finding is something that speaks against a report.
type Finding struct {
	// Code is its stable name.
	Code string `json:"code"`
	// Text says it in a sentence.
	Text string `json:"text"`
}

// Verification is the result of verifying a report.
type Verification struct {
	RunID   string  `json:"runId"`
	Verdict Verdict `json:"verdict"`
	// Claims are the profiles that the report claims and that no finding concerns as a
	// whole; they are proven only if there is no finding at all.
	Claims []string `json:"claims"`
	// SignedBy is the ID of the key whose signature was verified, or empty.
	SignedBy string `json:"signedBy"`
	// Judged is how many checks were judged again.
	Judged int `json:"judged"`
	// Findings are what speaks against the report; empty if nothing does.
	Findings []Finding `json:"findings"`
	// Notes are what a reader should know beside.
	Notes []string `json:"notes"`

	exitCode ExitCode // of the report
}

// Sound reports whether nothing speaks against the report. A report that says that
// its subject is not conformant can be sound.
func (v Verification) Sound() bool { return len(v.Findings) == 0 }

// ExitCode is 0 exactly if the report is sound, signed by the given key, says that its
// subject is conformant and claims a profile: 1 if anything speaks against it, else the
// report's own, else 6 if nobody's signature was verified, since then it is not shown who
// made it, or if no profile is claimed, since then nothing is proven.
func (v Verification) ExitCode() ExitCode {
	switch {
	case !v.Sound():
		return ExitCheckFailed
	case v.exitCode != ExitConformant:
		return v.exitCode
	case v.SignedBy == "", len(v.Claims) == 0:
		return ExitInconclusive
	}
	return ExitConformant
}

// findings collects what a verification finds.
type findings struct {
	list  []Finding
	notes []string
}

func (f *findings) add(code, format string, args ...any) {
	f.list = append(f.list, Finding{code, fmt.Sprintf(format, args...)})
}

func (f *findings) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// Verify verifies the report in dir: that one signed attestation is about exactly the
// files that are there, that the report does not contradict itself or the statement,
// that the observations, judged again, come to the same results, and that every
// required check of each profile it claims is there and passed. It goes on after a
// finding, so that all are told.
func (v Verifier) Verify(dir string) Verification {
	out := Verification{Claims: []string{}, Notes: []string{}, Findings: []Finding{}, Verdict: Inconclusive, exitCode: ExitInconclusive}
	root, err := os.OpenRoot(dir)
	if err != nil {
		out.Findings = append(out.Findings, Finding{"directory", fmt.Sprintf("%s is not the directory of a run: %v", dir, err)})
		return out
	}
	defer root.Close()
	var f findings
	s := v.attestation(root, &out, &f)
	r, err := readReport(root)
	if err != nil {
		f.add("report-unreadable", "%v", err)
	} else {
		out.RunID, out.Verdict, out.exitCode = r.RunID, r.Verdict, r.ExitCode
		f.contradictions(r)
		if s != nil && s.result != nil {
			f.compareStatement(r, s.result)
		}
		judged := v.judge(dir, root, &f)
		out.Judged = v.compareJudged(r, judged, &f)
		out.Claims = v.claims(r, judged, &f)
	}
	out.Findings, out.Notes = append(out.Findings, f.list...), append(out.Notes, f.notes...)
	return out
}

// attestation reads the statement and holds it against the files. It is nil if it
// cannot be read.
func (v Verifier) attestation(root *os.Root, out *Verification, f *findings) *statement {
	data, err := root.ReadFile(AttestationFile)
	if errors.Is(err, fs.ErrNotExist) {
		f.add("attestation-missing", "there is no %s: nothing shows that the report is what was found", AttestationFile)
		return nil
	}
	if err != nil {
		f.add("attestation-unreadable", "the attestation cannot be read: %v", err)
		return nil
	}
	e := openEnvelope(data, f)
	if e == nil {
		return nil
	}
	out.SignedBy = checkSignature(e, v.Key, f)
	s := readStatement(e, f)
	if s == nil {
		return nil
	}
	f.compareSigner(e.Signatures, s.result)
	for _, name := range slices.Sorted(maps.Keys(s.subjects)) {
		sum, err := digest(root, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f.add("file-missing", "%s was attested and is not there", name)
		case err != nil:
			f.add("file-unreadable", "%s was attested and cannot be read: %v", name, err)
		case sum != s.subjects[name]:
			f.add("digest", "%s is not the file that was attested: its SHA-256 is %s and not %s", name, short(15, sum), short(15, s.subjects[name]))
		}
	}
	present, err := observationsIn(root)
	if err != nil {
		f.add("observations-unreadable", "the observations cannot be listed: %v", err)
	}
	for _, name := range present {
		if s.subjects[name] == "" {
			f.add("observation-unattested", "%s is there and was not attested", name)
		}
	}
	return s
}

func readReport(root *os.Root) (Report, error) {
	data, err := root.ReadFile(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, fmt.Errorf("there is no %s", FileName)
	}
	if err != nil {
		return Report{}, fmt.Errorf("the report cannot be read: %w", err)
	}
	r, err := Decode(data)
	if err != nil {
		return Report{}, fmt.Errorf("%s %w", FileName, err)
	}
	return r, nil
}

// judge judges every observation again: the results by the ID of the check, one for
// each observation that has any.
func (v Verifier) judge(dir string, root *os.Root, f *findings) map[string][]Check {
	names, err := observationsIn(root)
	if err != nil {
		return nil // it was told with the attestation
	}
	judged := map[string][]Check{}
	for _, name := range names {
		if _, err := root.Stat(name); err != nil || v.Judge == nil {
			continue // what leads out of the directory was told with the attestation
		}
		checks, err := v.Judge(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			f.add("observation-unreadable", "%s cannot be judged again: %v", name, err)
			continue
		}
		for _, c := range checks {
			judged[c.ID] = append(judged[c.ID], c)
		}
	}
	return judged
}

// claims are the profiles that the report claims with all their required checks. What
// counts is what this suite requires and what the observations show, not what the report
// says of either.
func (v Verifier) claims(r Report, judged map[string][]Check, f *findings) []string {
	claims := []string{}
	for _, p := range r.Profiles {
		if p.Verdict != Pass {
			continue
		}
		if !p.Claimed {
			f.note("the report does not claim the profile %s, of which it has %s", p.Name, p.counts())
			continue
		}
		before := len(f.list)
		var required []string
		if v.Required != nil {
			required = v.Required(r, p.Name)
		}
		if len(required) == 0 {
			f.add("profile-unknown", "the report claims the profile %q, which this suite does not know", p.Name)
		}
		for _, g := range gaps(p.Name, required, r.Checks, func(c Check) bool { return idle(judged[c.ID]) }) {
			f.add(g.code, "%s", g.text)
		}
		if len(f.list) == before {
			claims = append(claims, p.Name)
		}
	}
	return claims
}

// idle reports whether every observation that has anything to say of a check, judged
// again, has nothing for it to judge. That what it takes was not permitted is not that.
func idle(judged []Check) bool {
	return len(judged) > 0 && !slices.ContainsFunc(judged, func(c Check) bool { return c.Verdict != Skip || c.LeftOut })
}
