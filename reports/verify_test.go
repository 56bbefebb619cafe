package reports

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The suite of these tests: an observation is the list of the results that it gives.

const observed = observationDir + "/conformance.json"

func judgeFile(path string) ([]Check, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var checks []Check
	err = json.Unmarshal(data, &checks)
	return checks, err
}

func requiredChecks(_ Report, profile string) []string {
	return map[string][]string{
		"setup": {"prometheus-sidecar-injected", "certificates-mounted"}, "scrape": {"targets-complete", "targets-up", "unmeshed-still-scraped"},
	}[profile]
}

// certified is a report that claims two profiles.
func certified() Report {
	r := good()
	r.Checks = []Check{
		passing("prometheus-sidecar-injected", "setup"), passing("certificates-mounted", "setup"),
		passing("targets-complete", "scrape"), passing("targets-up", "scrape"),
		checkWith("unmeshed-still-scraped", "scrape", Core, Skip, "nothing is without a sidecar"),
		checkWith("ambient-scraped", "scrape", Provisional, Fail, "ztunnel refused the connection"),
	}
	r.Profiles = []Profile{{Name: "setup"}, {Name: "scrape"}}
	r.Conclude()
	return r
}

// denied is a report of a subject that is not conformant.
func denied() Report {
	r := certified()
	r.Checks[3].Verdict, r.Checks[3].Reason = Fail, "2 of 6 targets are down"
	r.Conclude()
	return r
}

// bench is the directory of a run that somebody may edit.
type bench struct {
	t   *testing.T
	dir string
}

func newBench(t *testing.T, r Report, key ed25519.PrivateKey) bench {
	t.Helper()
	b := bench{t, filepath.Join(t.TempDir(), r.RunID)}
	require.NoError(t, os.MkdirAll(b.path(observationDir), 0o755))
	checks := append([]Check(nil), r.Checks...)
	for i := range checks {
		checks[i].Causes, checks[i].DurationSeconds = nil, 0 // a judge gives none
	}
	b.observe(checks)
	_, err := WriteAll(b.dir, r, key)
	require.NoError(t, err)
	return b
}

func (b bench) path(name string) string { return filepath.Join(b.dir, filepath.FromSlash(name)) }

func (b bench) read(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(b.path(name))
	require.NoError(b.t, err)
	return string(data)
}

func (b bench) write(name, text string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.path(name), []byte(text), 0o600))
}

func (b bench) remove(name string) {
	b.t.Helper()
	require.NoError(b.t, os.Remove(b.path(name)))
}

func (b bench) observe(checks []Check) {
	b.t.Helper()
	data, err := json.Marshal(checks)
	require.NoError(b.t, err)
	b.write(observed, string(data))
}

// report edits report.json and draws no conclusion.
func (b bench) report(edit func(*Report)) {
	b.t.Helper()
	r, err := Decode([]byte(b.read(FileName)))
	require.NoError(b.t, err)
	edit(&r)
	data, err := json.MarshalIndent(writable(r), "", "  ")
	require.NoError(b.t, err)
	b.write(FileName, string(data)+"\n")
}

// concluded edits report.json as one who knows how it is concluded.
func (b bench) concluded(edit func(*Report)) {
	b.t.Helper()
	b.report(func(r *Report) { edit(r); r.Conclude() })
}

func (b bench) envelope(edit func(*dsse.Envelope)) {
	b.t.Helper()
	var e dsse.Envelope
	require.NoError(b.t, json.Unmarshal([]byte(b.read(AttestationFile)), &e))
	edit(&e)
	data, err := json.Marshal(e)
	require.NoError(b.t, err)
	b.write(AttestationFile, string(data)+"\n")
}

// statement edits what was attested and leaves the signature.
func (b bench) statement(edit func(s node)) {
	b.t.Helper()
	b.envelope(func(e *dsse.Envelope) {
		data, err := base64.StdEncoding.DecodeString(e.Payload)
		require.NoError(b.t, err)
		var s node
		require.NoError(b.t, json.Unmarshal(data, &s))
		edit(s)
		data, err = json.Marshal(s)
		require.NoError(b.t, err)
		e.Payload = base64.StdEncoding.EncodeToString(data)
	})
}

func subjectsOf(s node) []any { return s["subject"].([]any) }

func (b bench) verify(key ed25519.PublicKey) Verification {
	return Verifier{Key: key, Judge: judgeFile, Required: requiredChecks, Suite: Suite{Version: "v1.2.0", Commit: "0123abcd"}}.Verify(b.dir)
}

// find is the text of the first finding of a code that says something.
func find(v Verification, code, says string) string {
	for _, f := range v.Findings {
		if f.Code == code && strings.Contains(f.Text, says) {
			return f.Text
		}
	}
	return ""
}

func TestVerifyProves(t *testing.T) {
	v := newBench(t, certified(), testKey(1)).verify(publicOf(testKey(1)))
	assert.Empty(t, v.Findings)
	assert.Empty(t, v.Notes)
	assert.Equal(t, []string{"setup", "scrape"}, v.Claims)
	assert.Equal(t, KeyID(publicOf(testKey(1))), v.SignedBy)
	assert.Equal(t, 6, v.Judged)
	assert.Equal(t, ExitConformant, v.ExitCode())
	assert.Equal(t, "proven: setup, scrape", v.Headline())
}

func TestVerifyWithoutAKeyProvesLess(t *testing.T) {
	v := newBench(t, certified(), nil).verify(nil)
	assert.True(t, v.Sound())
	assert.Equal(t, []string{"the attestation is unsigned: it shows that the files belong together, but not who made them"}, v.Notes)
	assert.Equal(t, ExitInconclusive, v.ExitCode())
	v = newBench(t, certified(), testKey(1)).verify(nil)
	assert.True(t, v.Sound())
	assert.Contains(t, v.Notes[0], "the signature was not verified")
	assert.Equal(t, ExitInconclusive, v.ExitCode())
}

// TestVerifyOfATruthfulRedReport makes sure that the truth is no tampering, and no
// green light either.
func TestVerifyOfATruthfulRedReport(t *testing.T) {
	v := newBench(t, denied(), testKey(1)).verify(publicOf(testKey(1)))
	assert.Empty(t, v.Findings)
	assert.Equal(t, []string{"setup"}, v.Claims)
	assert.Equal(t, ExitCheckFailed, v.ExitCode())
	for name, sample := range samples {
		r := sample()
		b := newBench(t, r, testKey(1))
		if len(r.Checks) == 0 {
			b.remove(observed)
			require.NoError(t, Attest(b.dir, testKey(1)))
		}
		for _, f := range b.verify(publicOf(testKey(1))).Findings {
			// Their profiles are not those of the suite of these tests.
			assert.Contains(t, []string{"profile-unknown", "required-missing"}, f.Code, "%s: %s", name, f.Text)
		}
	}
}

// TestVerifyOfASkippedCheck makes sure that who leaves a check out is not taken for one
// who tampers, unless it is one that fails.
func TestVerifyOfASkippedCheck(t *testing.T) {
	for seen, code := range map[Verdict]ExitCode{Pass: ExitConformant, Inconclusive: ExitConformant, Fail: ExitCheckFailed} {
		r := certified()
		r.Checks = append(r.Checks, checkWith("ports-known", "scrape", Extended, Skip, "ticket 7"))
		r.Conclude()
		b := newBench(t, r, testKey(1))
		checks := append([]Check(nil), r.Checks...)
		for i := range checks {
			checks[i].DurationSeconds = 0
		}
		checks[6].Verdict = seen
		b.observe(checks)
		require.NoError(t, Attest(b.dir, testKey(1)))
		v := b.verify(publicOf(testKey(1)))
		assert.Equal(t, code, v.ExitCode(), "%s: %v", seen, v.Findings)
		if code == ExitConformant {
			assert.Equal(t, []string{"check ports-known was skipped (ticket 7); the observation, judged again, says " + string(seen)}, v.Notes)
		}
	}
}

// edits are the ways in which somebody may tamper with a run. Each is found by a
// sentence of its own. Those that hold even if everything is attested again, by one
// who has a key, say so: what the observations show cannot be signed away.
var edits = []struct {
	name       string
	base       func() Report
	edit       func(b bench)
	code, says string
	again      string // code of the finding that remains if it is attested again; empty if none is claimed
}{
	// The report.
	{"a failure made a pass", denied, func(b bench) {
		b.concluded(func(r *Report) { r.Checks[3].Verdict, r.Checks[3].Reason = Pass, "" })
	}, "verdict", "check targets-up: the report says pass, but the observation, judged again, says fail: 2 of 6 targets are down", "verdict"},
	{"a pass made a failure", certified, func(b bench) {
		b.concluded(func(r *Report) { r.Checks[2].Verdict, r.Checks[2].Reason = Fail, "down" })
	}, "verdict", "check targets-complete: the report says fail, but the observation, judged again, says pass", "verdict"},
	{"a failure skipped", denied, func(b bench) { b.concluded(func(r *Report) { r.Checks[3].Verdict = Skip }) },
		"required-unpassed", "the report claims the profile scrape, but its check targets-up is skipped", "required-unpassed"},
	{"the verdict of the run", denied, func(b bench) { b.report(func(r *Report) { r.Verdict = Pass }) },
		"contradiction", `verdict is "pass", the checks say "fail"`, "contradiction"},
	{"the exit code", denied, func(b bench) { b.report(func(r *Report) { r.ExitCode = 0 }) },
		"contradiction", "exitCode is 0, the checks say 1 (not conformant)", "contradiction"},
	{"the counts", certified, func(b bench) { b.report(func(r *Report) { r.Profiles[0].Passed = 7 }) },
		"contradiction", "profile setup: counts 7 passed, its checks say 2 passed", "contradiction"},
	{"the claim of a profile", denied, func(b bench) { b.report(func(r *Report) { r.Profiles[1].Verdict = Pass }) },
		"contradiction", `profile scrape: verdict is "pass", its checks say "fail"`, "contradiction"},
	{"the claim of a further profile", certified, func(b bench) {
		b.concluded(func(r *Report) {
			c := r.Checks[0]
			c.ID, c.Profile = "root-rotated", "rotation"
			r.Checks = append(r.Checks, c)
		})
	}, "profile-unknown", `the report claims the profile "rotation", which this suite does not know`, "profile-unknown"},
	{"a check that nobody made", certified, func(b bench) {
		b.concluded(func(r *Report) {
			c := r.Checks[0]
			c.ID = "everything-else"
			r.Checks = append(r.Checks, c)
		})
	}, "unjudged", "check everything-else cannot be judged again: no observation has anything to say of it", "unjudged"},
	{"a failed check dropped", denied, func(b bench) {
		b.concluded(func(r *Report) { r.Checks = append(r.Checks[:3:3], r.Checks[4:]...) })
	}, "required-missing", "the report claims the profile scrape without its check targets-up", "required-missing"},
	{"a passed check dropped", certified, func(b bench) { b.concluded(func(r *Report) { r.Checks = r.Checks[1:] }) },
		"listed", "the statement says that prometheus-sidecar-injected passed, the report does not", "required-missing"},
	{"a check twice", certified, func(b bench) { b.concluded(func(r *Report) { r.Checks = append(r.Checks, r.Checks[0]) }) },
		"contradiction", "check prometheus-sidecar-injected: listed twice", "contradiction"},
	{"a check made provisional", denied, func(b bench) { b.concluded(func(r *Report) { r.Checks[3].Level = Provisional }) },
		"check-level", `check targets-up is core, the report says "provisional"`, "check-level"},
	{"a check moved to another profile", denied, func(b bench) { b.concluded(func(r *Report) { r.Checks[3].Profile = "other" }) },
		"check-profile", `check targets-up belongs to the profile scrape, the report has it in "other"`, "check-profile"},
	{"a reason", certified, func(b bench) { b.report(func(r *Report) { r.Checks[4].Reason = "the owner said so" }) },
		"reason", "check unmeshed-still-scraped: the reason in the report is not the one that the observation gives", "reason"},
	{"a piece of evidence", certified, func(b bench) { b.report(func(r *Report) { r.Checks[3].Evidence[0].Text = "up" }) },
		"evidence", "check targets-up: the evidence in the report is not what was observed", "evidence"},
	{"what must hold", certified, func(b bench) { b.report(func(r *Report) { r.Checks[3].Title = "Nothing in particular" }) },
		"check-title", "check targets-up: the report says that something else must hold", "check-title"},
	{"a lowered claim raised", lowered, func(b bench) { b.report(func(r *Report) { r.Profiles[0].Claimed = true }) },
		"contradiction", "profile setup: claimed is true, its checks say false", "contradiction"},
	{"a check that was left out called idle", lowered, func(b bench) { b.concluded(func(r *Report) { r.Checks[1].LeftOut = false }) },
		"required-unpassed", "the report claims the profile setup, but its check certificates-mounted is skipped", "required-unpassed"},
	{"what a claim takes", lowered, func(b bench) { b.concluded(func(r *Report) { r.Profiles[0].Required = nil }) },
		"fact", `the statement says of the profiles that setup is "pass, not claimed", the report says "pass"`, "required-unpassed"},
	{"a leftover hidden", func() Report { r := certified(); r.Leftovers = []string{"x"}; r.Conclude(); return r },
		func(b bench) { b.concluded(func(r *Report) { r.Leftovers = nil }) },
		"result", "the statement says that the run FAILED, the report that it WARNED", ""},
	{"the version of the subject", certified, func(b bench) { b.report(func(r *Report) { r.Subject.Istio = "1.32.0" }) },
		"fact", `the statement says of the subject that istio is "1.31.4", the report says "1.32.0"`, ""},
	{"the time of the run", certified, func(b bench) {
		b.report(func(r *Report) { r.StartedAt, r.EndedAt = r.StartedAt.AddDate(0, 3, 0), r.EndedAt.AddDate(0, 3, 0) })
	}, "fact", `the statement says of the run that startedAt is "2026-09-01 06:30:00", the report says "2026-12-01 06:30:00"`, ""},
	{"the suite", certified, func(b bench) { b.report(func(r *Report) { r.Suite.Version = "v9" }) },
		"fact", `the statement says of the suite that version is "v1.2.0", the report says "v9"`, ""},
	{"a phase, which nothing repeats", certified, func(b bench) { b.report(func(r *Report) { r.Phases[0].Seconds = 1 }) },
		"digest", "report.json is not the file that was attested: its SHA-256 is", ""},
	{"the report cut short", certified, func(b bench) { s := b.read(FileName); b.write(FileName, s[:len(s)/2]) },
		"report-unreadable", "report.json is not JSON: line", ""},
	{"something behind the report", certified, func(b bench) { b.write(FileName, b.read(FileName)+`{"verdict":"fail"}`) },
		"report-unreadable", "invalid character '{' after top-level value", ""},
	{"two verdicts in one report", certified, func(b bench) {
		b.write(FileName, strings.Replace(b.read(FileName), `"verdict"`, `"verdict": "fail", "verdict"`, 1))
	}, "report-unreadable", `the name "verdict" occurs twice in one object`, ""},
	{"the report gone", certified, func(b bench) { b.remove(FileName) }, "report-unreadable", "there is no report.json", ""},

	// The observations.
	{"an older observation", certified, func(b bench) {
		b.write(observed, strings.ReplaceAll(b.read(observed), "productpage-v1-7f", "productpage-v1-6e"))
	}, "digest", observed + " is not the file that was attested: its SHA-256 is", "evidence"},
	{"an observation that proves nothing", certified, func(b bench) { b.write(observed, "[]") },
		"observation-none", "there is no observation to judge again: the report has nothing but its own word", "observation-none"},
	{"an observation that is none", certified, func(b bench) { b.write(observed, "{") },
		"observation-unreadable", observed + " cannot be judged again: unexpected end of JSON input", "observation-unreadable"},
	{"the observation gone", certified, func(b bench) { b.remove(observed) },
		"file-missing", observed + " was attested and is not there", "observation-none"},
	{"a further observation", certified, func(b bench) { b.write(observationDir+"/better.json", b.read(observed)) },
		"observation-unattested", observationDir + "/better.json is there and was not attested", ""},
	{"an observation that is elsewhere", certified, func(b bench) {
		outside := filepath.Join(b.t.TempDir(), "o.json")
		require.NoError(b.t, os.WriteFile(outside, []byte(b.read(observed)), 0o600))
		b.remove(observed)
		require.NoError(b.t, os.Symlink(outside, b.path(observed)))
	}, "file-unreadable", observed + " was attested and cannot be read", ""},

	// The envelope.
	{"the attestation gone", certified, func(b bench) { b.remove(AttestationFile) }, "attestation-missing", "there is no attestation.intoto.jsonl", ""},
	{"an empty attestation", certified, func(b bench) { b.write(AttestationFile, "\n") }, "attestation-empty", "is empty", ""},
	{"a cut-off end", certified, func(b bench) { b.write(AttestationFile, strings.TrimSuffix(b.read(AttestationFile), "\n")) },
		"attestation-cut-off", "is cut off: its line has no end", ""},
	{"half an envelope", certified, func(b bench) { s := b.read(AttestationFile); b.write(AttestationFile, s[:len(s)/2]+"\n") },
		"envelope-invalid", "is no DSSE envelope: invalid character", ""},
	{"two envelopes", certified, func(b bench) { b.write(AttestationFile, b.read(AttestationFile)+b.read(AttestationFile)) },
		"envelopes", "has 2 lines, but a run is attested once", ""},
	{"something behind the envelope", certified, func(b bench) {
		b.write(AttestationFile, strings.TrimSuffix(b.read(AttestationFile), "\n")+` {"payload":"x"}`+"\n")
	}, "envelope-trailing", `has something behind its envelope: {"payload":"x"}`, ""},
	{"a further field", certified, func(b bench) {
		b.write(AttestationFile, strings.Replace(b.read(AttestationFile), "{", `{"note":"trust me",`, 1))
	}, "envelope-invalid", `unknown field "note"`, ""},
	{"two payloads", certified, func(b bench) {
		b.write(AttestationFile, strings.Replace(b.read(AttestationFile), "{", `{"payload":"e30=",`, 1))
	}, "envelope-ambiguous", `the name "payload" occurs twice`, ""},
	{"the type of the payload", certified, func(b bench) { b.envelope(func(e *dsse.Envelope) { e.PayloadType = "text/plain" }) },
		"payload-type", `the envelope holds "text/plain"`, ""},
	{"a payload in no encoding", certified, func(b bench) { b.envelope(func(e *dsse.Envelope) { e.Payload = "*" }) },
		"payload-invalid", "the payload of the envelope is not base64", ""},
	{"a payload that is no statement", certified, func(b bench) { b.envelope(func(e *dsse.Envelope) { e.Payload = "W10=" }) },
		"statement-invalid", "the payload of the envelope is no in-toto statement", ""},

	// The signature.
	{"no signature", certified, func(b bench) { b.envelope(func(e *dsse.Envelope) { e.Signatures = nil }) },
		"unsigned", "the envelope has no signature, though a public key was given", ""},
	{"the signature taken away", certified, func(b bench) { b.envelope(func(e *dsse.Envelope) { e.Signatures = []dsse.Signature{} }) },
		"signature-stripped", "the statement was signed with the key", ""},
	{"the signature of another run", certified, func(b bench) {
		var other dsse.Envelope
		require.NoError(b.t, json.Unmarshal([]byte(newBench(b.t, denied(), testKey(1)).read(AttestationFile)), &other))
		b.envelope(func(e *dsse.Envelope) { e.Signatures = other.Signatures })
	}, "signature", "the signature does not belong to this statement and key", ""},
	{"the attestation of another run", certified, func(b bench) {
		other := newBench(b.t, denied(), testKey(1))
		b.write(AttestationFile, other.read(AttestationFile))
	}, "unlisted", "the report says that targets-up passed, the statement does not", ""},
	{"another key", certified, func(b bench) { require.NoError(b.t, Attest(b.dir, testKey(2))) },
		"other-key", "the envelope is signed with the key", ""},
	{"another key under the name of the right one", certified, func(b bench) {
		require.NoError(b.t, Attest(b.dir, testKey(2)))
		b.envelope(func(e *dsse.Envelope) { e.Signatures[0].KeyID = KeyID(publicOf(testKey(1))) })
	}, "signer", "the statement was made for the key", ""},
	{"a signature added", certified, func(b bench) {
		signatures := []dsse.Signature{}
		b.envelope(func(e *dsse.Envelope) { signatures = e.Signatures })
		require.NoError(b.t, Attest(b.dir, nil))
		b.envelope(func(e *dsse.Envelope) { e.Signatures = signatures })
	}, "signature-added", "the statement was made without a key, and a signature was added", ""},
	{"two signatures", certified, func(b bench) {
		b.envelope(func(e *dsse.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) })
	}, "signatures", "the envelope has 2 signatures and not one", ""},

	// The statement.
	{"a digest", certified, func(b bench) {
		b.statement(func(s node) {
			subjectsOf(s)[0].(node)["digest"] = node{"sha256": strings.Repeat("0", 64)}
		})
	}, "digest", "and not 000000000000...", ""},
	{"a digest of another kind", certified, func(b bench) {
		b.statement(func(s node) { subjectsOf(s)[0].(node)["digest"] = node{"sha1": strings.Repeat("0", 40)} })
	}, "subject-digest", "the statement has no SHA-256 of report.json", ""},
	{"the report not attested", certified, func(b bench) { b.statement(func(s node) { s["subject"] = subjectsOf(s)[1:] }) },
		"report-unattested", "the statement is not about report.json", ""},
	{"the observation not attested", certified, func(b bench) { b.statement(func(s node) { s["subject"] = subjectsOf(s)[:1] }) },
		"observation-unattested", observed + " is there and was not attested", ""},
	{"a file elsewhere", certified, func(b bench) {
		b.statement(func(s node) { subjectsOf(s)[1].(node)["name"] = "observations/../../x.json" })
	},
		"subject-unsafe", `the statement is about "observations/../../x.json"`, ""},
	{"a file from the root", certified, func(b bench) { b.statement(func(s node) { subjectsOf(s)[1].(node)["name"] = "/etc/passwd" }) },
		"subject-unsafe", `the statement is about "/etc/passwd"`, ""},
	{"a file renamed", certified, func(b bench) {
		b.statement(func(s node) { subjectsOf(s)[1].(node)["name"] = "observations/other.json" })
	},
		"file-missing", "observations/other.json was attested and is not there", ""},
	{"a file twice", certified, func(b bench) { b.statement(func(s node) { s["subject"] = append(subjectsOf(s), subjectsOf(s)[0]) }) },
		"subject-twice", "the statement is about report.json twice", ""},
	{"the type of the statement", certified, func(b bench) { b.statement(func(s node) { s["_type"] = "https://in-toto.io/Statement/v0.1" }) },
		"statement-type", `the statement is of the type "https://in-toto.io/Statement/v0.1"`, ""},
	{"the type of the predicate", certified, func(b bench) { b.statement(func(s node) { s["predicateType"] = "https://slsa.dev/provenance/v1" }) },
		"predicate-type", `says something of the type "https://slsa.dev/provenance/v1" and not a test result`, ""},
	{"a predicate that is none", certified, func(b bench) { b.statement(func(s node) { s["predicate"].(node)["passedTests"] = 7 }) },
		"predicate-invalid", "the statement has no readable test result", ""},
	{"the result", denied, func(b bench) { b.statement(func(s node) { s["predicate"].(node)["result"] = "PASSED" }) },
		"result", "the statement says that the run PASSED, the report that it FAILED", ""},
	{"a passed check twice", certified, func(b bench) {
		b.statement(func(s node) {
			p := s["predicate"].(node)
			p["passedTests"] = append(p["passedTests"].([]any), "targets-up")
		})
	}, "listed-twice", "the statement lists 5 checks that passed, the report 4", ""},
	{"a description twice", certified, func(b bench) {
		b.statement(func(s node) {
			p := s["predicate"].(node)
			p["configuration"] = append(p["configuration"].([]any), p["configuration"].([]any)[1])
		})
	}, "fact-twice", "the statement describes the suite twice", ""},
}

func TestEveryEditIsFound(t *testing.T) {
	sentences := map[string]string{}
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) {
			b := newBench(t, e.base(), testKey(1))
			require.Empty(t, b.verify(publicOf(testKey(1))).Findings, "it is sound before")
			e.edit(b)
			v := b.verify(publicOf(testKey(1)))
			text := find(v, e.code, e.says)
			require.NotEmpty(t, text, "want %s: %s\ngot %v", e.code, e.says, v.Findings)
			assert.NotContains(t, text, "\n", "one sentence")
			assert.NotEqual(t, ExitConformant, v.ExitCode())
			// What the sentences share by design is the digest of whatever was changed.
			key := e.code + " " + e.says
			assert.Empty(t, sentences[key], "the sentence of this one and of %q is the same", sentences[key])
			sentences[key] = e.name
		})
	}
	assert.GreaterOrEqual(t, len(edits), 20)
}

// TestWhatIsObservedCannotBeSignedAway lets the one who edits attest again: with the
// right key, as an insider, and without any.
func TestWhatIsObservedCannotBeSignedAway(t *testing.T) {
	for _, e := range edits {
		if e.again == "" {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			for _, key := range []ed25519.PrivateKey{testKey(1), nil} {
				b := newBench(t, e.base(), testKey(1))
				e.edit(b)
				require.NoError(t, Attest(b.dir, key))
				var public ed25519.PublicKey
				if key != nil {
					public = publicOf(key)
				}
				v := b.verify(public)
				assert.NotEmpty(t, find(v, e.again, ""), "want %s, got %v", e.again, v.Findings)
				assert.Empty(t, find(v, "digest", ""), "it is attested again")
				assert.Equal(t, ExitCheckFailed, v.ExitCode())
			}
		})
	}
}

func TestVerifyOfAnotherSuite(t *testing.T) {
	b := newBench(t, certified(), testKey(1))
	b.write(observed, strings.ReplaceAll(b.read(observed), "up over https", "is up by https"))
	require.NoError(t, Attest(b.dir, testKey(1)))
	verifier := Verifier{Key: publicOf(testKey(1)), Judge: judgeFile, Required: requiredChecks, Suite: Suite{Version: "v1.3.0"}}
	v := verifier.Verify(b.dir)
	assert.True(t, v.Sound(), "%v", v.Findings)
	assert.Contains(t, v.Notes, "check targets-up is worded differently by this suite than by the one that judged it, v1.2.0")
	verifier.Suite = Suite{}
	assert.False(t, verifier.Verify(b.dir).Sound(), "one who does not say which suite he is compares words")
}

// TestVerifyOfSeveralObservations has one more beside that of the report.
func TestVerifyOfSeveralObservations(t *testing.T) {
	cases := map[string]struct {
		report Report
		other  Verdict // of targets-up in the other observation
		rounds bool
		code   string
	}{
		"a part of what there is to see": {certified(), Inconclusive, false, ""},
		"the same":                       {certified(), Pass, false, ""},
		"a failure that was left out":    {certified(), Fail, false, "verdict"},
		"a round that failed":            {certified(), Fail, true, "verdict"},
		"a round that was not judged":    {certified(), Inconclusive, true, "verdict"},
		"a failure in one of two":        {denied(), Pass, false, ""},
		"a failure in one of two rounds": {denied(), Pass, true, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := c.report
			if c.rounds {
				r.Repetitions = &Repetitions{Rounds: 2}
			}
			b := newBench(t, r, testKey(1))
			checks := append([]Check(nil), r.Checks...)
			for i := range checks {
				checks[i].Causes, checks[i].DurationSeconds = nil, 0
			}
			checks[3].Verdict = c.other
			data, err := json.Marshal(checks)
			require.NoError(t, err)
			b.write(observationDir+"/a.json", string(data))
			require.NoError(t, Attest(b.dir, testKey(1)))
			v := b.verify(publicOf(testKey(1)))
			if c.code == "" {
				assert.Empty(t, v.Findings)
			} else {
				assert.NotEmpty(t, find(v, c.code, "targets-up"), "%v", v.Findings)
			}
			assert.Equal(t, c.rounds, strings.Contains(strings.Join(v.Notes, ""), "the report is of 2 rounds"))
		})
	}
}

func TestVerifyWithoutMeans(t *testing.T) {
	b := newBench(t, certified(), testKey(1))
	v := Verifier{}.Verify(b.dir)
	assert.NotEmpty(t, find(v, "observation-none", ""), "without a judge nothing is proven")
	assert.NotEmpty(t, find(v, "profile-unknown", ""))
	v = Verifier{Judge: func(string) ([]Check, error) { return nil, errors.New("no") }}.Verify(b.dir)
	assert.NotEmpty(t, find(v, "observation-unreadable", "no"))
	v = Verifier{}.Verify(filepath.Join(b.dir, "gone"))
	assert.NotEmpty(t, find(v, "directory", "is not the directory of a run"))
	assert.Equal(t, ExitCheckFailed, v.ExitCode())
}

func TestVerificationIsShown(t *testing.T) {
	var b strings.Builder
	show := func(v Verification) {
		NewTerminal(&b, Style{Width: 80}).Verification(v)
		b.WriteString("----\n")
	}
	proven := newBench(t, certified(), testKey(1))
	show(proven.verify(publicOf(testKey(1))))
	show(proven.verify(nil))
	show(newBench(t, denied(), nil).verify(nil))
	proven.report(func(r *Report) { r.Checks[3].Verdict = Fail; r.RunID = hostile })
	show(proven.verify(publicOf(testKey(2))))
	golden(t, "verification", b.String())
	data, err := proven.verify(nil).JSON()
	require.NoError(t, err)
	var doc node
	require.NoError(t, json.Unmarshal(data, &doc))
	assert.Equal(t, false, doc["sound"])
	assert.Equal(t, 1.0, doc["exitCode"])
	assert.NotContains(t, string(data), "null")
}

func TestAttestationGolden(t *testing.T) {
	b := newBench(t, certified(), testKey(1))
	golden(t, "attestation", b.read(AttestationFile))
	var e dsse.Envelope
	require.NoError(t, json.Unmarshal([]byte(b.read(AttestationFile)), &e))
	data, err := base64.StdEncoding.DecodeString(e.Payload)
	require.NoError(t, err)
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, data, "", "  "))
	golden(t, "statement", pretty.String()+"\n")
	assert.Equal(t, "application/vnd.in-toto+json", e.PayloadType)
	assert.Len(t, e.Signatures, 1)

	again := newBench(t, certified(), testKey(1))
	assert.Equal(t, b.read(AttestationFile), again.read(AttestationFile), "the same run is attested in the same bytes")
}

func TestAttestNeedsARun(t *testing.T) {
	require.ErrorContains(t, Attest(filepath.Join(t.TempDir(), "gone"), nil), "name the directory of a run")
	require.ErrorContains(t, Attest(t.TempDir(), nil), "cannot attest the report: there is no report at")
	b := newBench(t, certified(), nil)
	require.NoError(t, os.RemoveAll(b.path(observationDir)))
	b.write(observationDir, "")
	require.ErrorContains(t, Attest(b.dir, nil), "cannot attest the observations")
}

// FuzzAttestation looks for an attestation that crashes the verifier, or that it
// takes for signed though nobody signed it.
func FuzzAttestation(f *testing.F) {
	key := testKey(1)
	signed, err := seal([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"report.json","digest":{"sha256":"00"}}],"predicateType":"`+predicateType+`","predicate":{"result":"PASSED","passedTests":["a"]}}`), key)
	require.NoError(f, err)
	unsigned, err := seal([]byte(`{}`), nil)
	require.NoError(f, err)
	f.Add(signed)
	f.Add(unsigned)
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var found findings
		e := openEnvelope(data, &found)
		if e == nil {
			if len(found.list) == 0 {
				t.Fatal("no envelope, and no word of it")
			}
			return
		}
		by := checkSignature(e, publicOf(key), &found)
		s := readStatement(e, &found)
		if s != nil && s.result != nil {
			found.compareSigner(e.Signatures, s.result)
			found.compareStatement(certified(), s.result)
		}
		if by != "" && !bytes.Contains(signed, []byte(e.Payload)) {
			t.Fatalf("taken for signed: %s", data)
		}
	})
}
