package reports

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"
)

// mostAttestation bounds, in bytes, an attestation that is read: one of ten thousand
// checks has less.
const mostAttestation = 8 << 20

// openEnvelope finds the one envelope in the file of an attestation. It is nil if
// there is none that can be read.
func openEnvelope(data []byte, f *findings) *dsse.Envelope {
	switch lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")); {
	case len(bytes.TrimSpace(data)) == 0:
		f.add("attestation-empty", "%s is empty", AttestationFile)
		return nil
	case len(data) > mostAttestation:
		f.add("attestation-huge", "%s is longer than %d bytes and no attestation of this suite", AttestationFile, mostAttestation)
		return nil
	case data[len(data)-1] != '\n':
		f.add("attestation-cut-off", "%s is cut off: its line has no end", AttestationFile)
	case len(lines) > 1:
		f.add("envelopes", "%s has %d lines, but a run is attested once: which one counts, nobody could tell", AttestationFile, len(lines))
		data = lines[0]
	}
	var e dsse.Envelope
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		f.add("envelope-invalid", "%s is no DSSE envelope: %v", AttestationFile, err)
		return nil
	}
	if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 {
		f.add("envelope-trailing", "%s has something behind its envelope: %s", AttestationFile, short(40, string(rest)))
	}
	if err := ambiguous(data); err != nil {
		f.add("envelope-ambiguous", "%s %v", AttestationFile, err)
	}
	if e.PayloadType != payloadType {
		f.add("payload-type", "the envelope holds %q and not %q: it was made for another purpose", e.PayloadType, payloadType)
	}
	return &e
}

// checkSignature says whose signature an envelope has: the ID of the key if it was
// verified, else what speaks against it, or that nobody looked.
func checkSignature(e *dsse.Envelope, key ed25519.PublicKey, f *findings) (signedBy string) {
	switch n := len(e.Signatures); {
	case n > 1:
		f.add("signatures", "the envelope has %d signatures and not one", n)
		return ""
	case n == 0 && key != nil:
		f.add("unsigned", "the envelope has no signature, though a public key was given to verify one by")
		return ""
	case n == 0:
		f.note("the attestation is unsigned: it shows that the files belong together, but not who made them")
		return ""
	case key == nil:
		f.note("the signature was not verified, as no public key was given: who made the report is not shown")
		return ""
	}
	id := e.Signatures[0].KeyID
	if id != "" && id != KeyID(key) {
		f.add("other-key", "the envelope is signed with the key %s and not with the given one, %s", short(19, id), short(19, KeyID(key)))
		return ""
	}
	v, err := dsse.NewEnvelopeVerifier(verifier{key})
	if err == nil {
		_, err = v.Verify(context.Background(), e)
	}
	if err != nil {
		f.add("signature", "the signature does not belong to this statement and key: one of them was changed or swapped")
		return ""
	}
	return KeyID(key)
}

// statement is what an envelope says.
type statement struct {
	subjects map[string]string // digests, by the name of the file
	result   *testresult.TestResult
}

// readStatement reads what was attested. It is nil if that cannot be read.
func readStatement(e *dsse.Envelope, f *findings) *statement {
	data, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		f.add("payload-invalid", "the payload of the envelope is not base64: %v", err)
		return nil
	}
	var s intoto.Statement
	if err := protojson.Unmarshal(data, &s); err != nil {
		f.add("statement-invalid", "the payload of the envelope is no in-toto statement: %v", err)
		return nil
	}
	if s.GetType() != intoto.StatementTypeUri {
		f.add("statement-type", "the statement is of the type %q and not %q", s.GetType(), intoto.StatementTypeUri)
	}
	out := &statement{subjects: readSubjects(s.GetSubject(), f)}
	if s.GetPredicateType() != predicateType {
		f.add("predicate-type", "the statement says something of the type %q and not a test result, %q", s.GetPredicateType(), predicateType)
		return out
	}
	data, err = protojson.Marshal(s.GetPredicate())
	if err == nil {
		out.result = &testresult.TestResult{}
		err = protojson.Unmarshal(data, out.result)
	}
	if err != nil {
		f.add("predicate-invalid", "the statement has no readable test result: %v", err)
		out.result = nil
	}
	return out
}

// readSubjects are the files that a statement is about, as far as it may name them.
func readSubjects(list []*intoto.ResourceDescriptor, f *findings) map[string]string {
	subjects := map[string]string{}
	for _, s := range list {
		name, sum := s.GetName(), s.GetDigest()["sha256"]
		switch {
		case !attestable(name):
			f.add("subject-unsafe", "the statement is about %q, which is neither %s nor in %s/: it is not opened", name, FileName, observationDir)
			continue
		case subjects[name] != "":
			f.add("subject-twice", "the statement is about %s twice", name)
			continue
		}
		if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 || strings.ToLower(sum) != sum {
			f.add("subject-digest", "the statement has no SHA-256 of %s", name)
			continue
		}
		subjects[name] = sum
	}
	if _, ok := subjects[FileName]; !ok && !slices.ContainsFunc(list, func(s *intoto.ResourceDescriptor) bool { return s.GetName() == FileName }) {
		f.add("report-unattested", "the statement is not about %s", FileName)
	}
	return subjects
}

// attestable reports whether a statement may be about a file of that name: the report
// or an observation, and nothing that leads elsewhere.
func attestable(name string) bool {
	if name == FileName {
		return true
	}
	dir, file := path.Split(name)
	return dir == observationDir+"/" && strings.HasSuffix(file, ".json") && !strings.HasPrefix(file, ".") && !strings.ContainsAny(file, "\\\x00:")
}
