package reports

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// AttestationFile is the file that lets others verify a report.
	AttestationFile = "attestation.intoto.jsonl"
	// observationDir is the folder of what was observed, beside the report.
	observationDir = "observations"

	// payloadType is that of in-toto statements in a DSSE envelope.
	// https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md
	payloadType = "application/vnd.in-toto+json"
	// predicateType is that of test results.
	// https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
	predicateType = "https://in-toto.io/attestation/test-result/v0.1"

	// resultPassed, resultWarned and resultFailed are the results that the predicate
	// knows. A run that is inconclusive failed to show what it was to show.
	resultPassed = "PASSED"
	resultWarned = "WARNED"
	resultFailed = "FAILED"
)

// Attest writes an attestation of the report and the observations in dir: an in-toto
// statement with their digests and the results, in a DSSE envelope. Without a key it
// is unsigned, and says so: then it shows that the files belong together, but not who
// made them.
func Attest(dir string, key ed25519.PrivateKey) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot attest the report: %w; name the directory of a run", err)
	}
	defer root.Close()
	r, err := Read(dir)
	if err != nil {
		return fmt.Errorf("cannot attest the report: %w", err)
	}
	var subjects []*intoto.ResourceDescriptor
	observations, err := observationsIn(root)
	if err != nil {
		return fmt.Errorf("cannot attest the observations: %w", err)
	}
	for _, name := range append([]string{FileName}, observations...) {
		sum, err := digest(root, name)
		if err != nil {
			return fmt.Errorf("cannot attest %s: %w", name, err)
		}
		subjects = append(subjects, &intoto.ResourceDescriptor{Name: name, Digest: map[string]string{"sha256": sum}})
	}
	signedBy := ""
	if key != nil {
		signedBy = KeyID(key.Public().(ed25519.PublicKey))
	}
	statement, err := statementOf(r, subjects, signedBy)
	if err != nil {
		return fmt.Errorf("cannot attest the report of run %q: %w", r.RunID, err)
	}
	line, err := seal(statement, key)
	if err != nil {
		return fmt.Errorf("cannot sign the attestation of run %q: %w", r.RunID, err)
	}
	return replace(filepath.Join(dir, AttestationFile), line)
}

// observationsIn are the names of the observations of a run, sorted; none if it
// observed nothing.
func observationsIn(root *os.Root) ([]string, error) {
	d, err := root.Open(observationDir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, path.Join(observationDir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

// digest is the SHA-256 of a file, in hex. It follows no link out of the directory.
func digest(root *os.Root, name string) (string, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// statementOf is the statement on a report, as JSON without needless blanks: what is
// signed is bytes, and the library that makes them puts in blanks at random.
func statementOf(r Report, subjects []*intoto.ResourceDescriptor, signedBy string) ([]byte, error) {
	data, err := compact(resultOf(r, signedBy))
	if err != nil {
		return nil, err
	}
	var predicate structpb.Struct
	if err := protojson.Unmarshal(data, &predicate); err != nil {
		return nil, err
	}
	s := &intoto.Statement{Type: intoto.StatementTypeUri, Subject: subjects, PredicateType: predicateType, Predicate: &predicate}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return compact(s)
}

func compact(m proto.Message) ([]byte, error) {
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, data)
	return b.Bytes(), err
}

// resultOf is what a report says, in the words of the predicate. Checks on trial that
// did not pass are warnings; skipped ones are in no list.
func resultOf(r Report, signedBy string) *testresult.TestResult {
	r.Conclude()
	t := &testresult.TestResult{Result: resultFailed}
	for _, c := range r.Checks {
		switch o := c.outcome(); {
		case o == Skip:
		case o == Pass:
			t.PassedTests = append(t.PassedTests, valid(c.ID))
		case !c.Level.Gates():
			t.WarnedTests = append(t.WarnedTests, valid(c.ID))
		default:
			t.FailedTests = append(t.FailedTests, valid(c.ID))
		}
	}
	if r.Verdict == Pass {
		t.Result = resultPassed
		if len(t.WarnedTests) > 0 {
			t.Result = resultWarned
		}
	}
	for _, f := range factsOf(r, signedBy) {
		fields := map[string]*structpb.Value{}
		for name, value := range f.values {
			fields[name] = structpb.NewStringValue(valid(value))
		}
		t.Configuration = append(t.Configuration, &intoto.ResourceDescriptor{Name: f.name, Annotations: &structpb.Struct{Fields: fields}})
	}
	return t
}

// valid is s in the encoding that a statement must have.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// factGroup is a group of facts on a run that the statement has beside the results.
type factGroup struct {
	name   string
	values map[string]string
}

// factsOf are what was judged, by what, and how it came out, so that a statement says
// it by itself and an edit of either is seen.
func factsOf(r Report, signedBy string) []factGroup {
	subject := map[string]string{}
	for _, f := range r.Subject.fields() {
		subject[f.Name] = f.Value
	}
	profiles := map[string]string{}
	for _, p := range r.Profiles {
		profiles[p.Name] = string(p.Verdict)
		if p.Verdict == Pass && !p.Claimed {
			profiles[p.Name] += ", not claimed"
		}
	}
	return []factGroup{
		{"run", map[string]string{
			"runId": r.RunID, "startedAt": stamp(r.StartedAt), "endedAt": stamp(r.EndedAt), "verdict": string(r.Verdict), "exitCode": fmt.Sprint(int(r.ExitCode)),
		}},
		{"suite", map[string]string{"version": r.Suite.Version, "commit": r.Suite.Commit}},
		{"subject", subject},
		{"profiles", profiles},
		{"attestation", map[string]string{"signedBy": signedBy}}, // empty: nobody
	}
}

// seal puts a statement into an envelope, on a line of its own.
func seal(statement []byte, key ed25519.PrivateKey) ([]byte, error) {
	envelope := &dsse.Envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(statement), Signatures: []dsse.Signature{},
	}
	if key != nil {
		s, err := dsse.NewEnvelopeSigner(signer{key})
		if err != nil {
			return nil, err
		}
		if envelope, err = s.SignPayload(context.Background(), payloadType, statement); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(envelope)
	return append(data, '\n'), err
}
