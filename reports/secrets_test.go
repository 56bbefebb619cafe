package reports

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The secrets of these tests are made here, so that none is in the repository.

func packedPEM(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// keys are private keys as PEM has them, by the kind of block.
func keys(t *testing.T) map[string]string {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // nothing is protected with it
	require.NoError(t, err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize)))
	ec, ecErr := x509.MarshalECPrivateKey(e)
	return map[string]string{
		"PKCS #1": packedPEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil),
		"SEC 1":   packedPEM(t, "EC PRIVATE KEY", ec, ecErr), "PKCS #8": packedPEM(t, "PRIVATE KEY", pkcs8, err),
	}
}

// secretsByKind are texts that hold one secret each.
func secretsByKind(t *testing.T) map[string][]string {
	t.Helper()
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := part(`{"alg":"RS256","kid":"x"}`) + "." + part(`{"iss":"kubernetes/serviceaccount"}`) + "." + part("not a real signature")
	opaque := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{1, 77, 203}, 12))
	packed := base64.StdEncoding.EncodeToString([]byte("swordfish"))
	all := map[string][]string{
		secretToken: {token, "token: " + token, "Authorization: Bearer " + opaque + "\n", "authorization: bearer " + opaque},
		secretKubeconfig: {
			"users:\n- name: a\n  user:\n    client-key-data: " + base64.StdEncoding.EncodeToString([]byte("what is no key in truth")),
		},
		secretObject: {
			"apiVersion: v1\nkind: Secret\ndata:\n  password: " + packed + "\n",
			"data:\n  password: " + packed + "\nkind: Secret\nmetadata:\n  name: a\n",
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n- apiVersion: v1\n  kind: Secret\n  stringData:\n    password: swordfish\n",
			"a: b: c\nkind: Secret\nstringData:\n  password: swordfish\n", // no YAML as a whole
			`{"apiVersion":"v1","kind":"Secret","data":{"password":"` + packed + `"}}`,
			`{"items":[{"data": {"password": "` + packed + `"}, "metadata": {"labels": {"a": "}"}}, "kind": "Secret"}`,
			`time=1 level=info msg="got" object={"kind":"Secret","stringData":{"a":"swordfish"},"metadata":{"na`,
		},
	}
	for _, k := range keys(t) {
		all[secretKey] = append(all[secretKey], k)
	}
	return all
}

// forms are the ways in which a text may stand in a file.
var forms = map[string]func(string) string{
	"plain":                 func(s string) string { return "before\n" + s + "\nafter" },
	"a string of JSON":      quoted,
	"a string in a string":  func(s string) string { return quoted(quoted(s)) },
	"base64":                func(s string) string { return "x: " + base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 for addresses":  func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"base64 twice":          func(s string) string { return pack(pack(s)) },
	"wrapped base64":        func(s string) string { return wrapped(pack(s)) },
	"base64 in JSON":        func(s string) string { return quoted("v=" + wrapped(pack(s))) },
	"JSON in base64":        func(s string) string { return pack(quoted(s)) },
	"JSON in a log of JSON": func(s string) string { return `{"log":` + quoted(`{"object":`+quoted(s)+`}`) + "}\n" },
}

func pack(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func quoted(s string) string {
	data, _ := json.Marshal(map[string]string{"text": s})
	return string(data)
}

func wrapped(s string) string {
	var b strings.Builder
	for len(s) > 64 {
		b.WriteString(s[:64] + "\n")
		s = s[64:]
	}
	return b.String() + s
}

func TestEveryKindOfSecretIsFoundInEveryForm(t *testing.T) {
	for kind, texts := range secretsByKind(t) {
		for _, text := range texts {
			for form, in := range forms {
				assert.Contains(t, Secrets([]byte(in(text))), kind, "%s of\n%s", form, text)
			}
		}
	}
}

// A key is one without the lines around it as well: that is how a Secret has DER.
func TestAKeyIsFoundByItsBytes(t *testing.T) {
	for kind, k := range keys(t) {
		block, _ := pem.Decode([]byte(k))
		assert.Equal(t, []string{secretKey}, Secrets([]byte("data: "+pack(string(block.Bytes)))), kind)
	}
}

// What only speaks of secrets, or shows that one is hidden, must not fail a run.
func TestWhatIsNoSecretIsNotTakenForOne(t *testing.T) {
	certificate := packedPEM(t, "CERTIFICATE", bytes.Repeat([]byte{0x30, 7, 9}, 200), nil)
	public, err := x509.MarshalPKIXPublicKey(publicOf(testKey(1)))
	for _, text := range []string{
		"", "expected -----BEGIN PRIVATE KEY----- in /etc/istio-output-certs/key.pem, which is not there", certificate, pack(certificate),
		packedPEM(t, "PUBLIC KEY", public, err), "authorization:\n  type: Bearer\n  credentials: <secret>", "bearer authenticationconfigurationisneeded",
		"Authorization: Bearer <redacted>", "client-key-data: DATA+OMITTED", "client-key-data: REDACTED",
		"involvedObject:\n  kind: Secret\n  name: a\n", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata: {}\n",
		"kind: ConfigMap\ndata:\n  a: b\n---\nkind: Secret\nmetadata: {}\n", "- kind: Secret\n  name: a\n- kind: ConfigMap\n  data:\n    a: b\n",
		`{"kind":"Secret","metadata":{"name":"a"}}`, `{"kind":"ConfigMap","data":{"a":"b"},"ref":{"kind":"Secret"}}`, `{"kind":"Secret","data":{"a":""}}`,
		strings.Repeat("aVeryLongNameOfNothing/", 30), `"\u00e9\`, `\u12`, strings.Repeat("{", 50) + `"kind":"Secret"`,
	} {
		assert.Empty(t, Secrets([]byte(text)), text)
	}
}

func TestNoSecretsNamesTheFileAndNotTheSecret(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, NoSecrets(filepath.Join(dir, "absent")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "evidence", "logs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), []byte("{}"), 0o600))
	require.NoError(t, NoSecrets(dir))
	key := keys(t)["PKCS #8"]
	require.NoError(t, os.WriteFile(filepath.Join(dir, "evidence", "logs", "a.log"), []byte(quoted(key)), 0o600))
	err := NoSecrets(dir)
	require.ErrorContains(t, err, "evidence/logs/a.log holds a private key")
	assert.NotContains(t, err.Error(), strings.Split(key, "\n")[1])
	assert.NotContains(t, err.Error(), FileName+" holds")
}

func TestAFileThatCannotBeSearchedIsNotTakenForClean(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "closed"), 0))
	if _, err := os.ReadDir(filepath.Join(dir, "closed")); err == nil {
		t.Skip("who runs this test may read everything")
	}
	require.ErrorContains(t, NoSecrets(dir), "could not be searched for secrets")
}

// TestTheRepositoryHoldsNoSecret searches what was recorded of real clusters, and every
// golden file.
func TestTheRepositoryHoldsNoSecret(t *testing.T) {
	searched := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.ToSlash(path), "/testdata/") && !strings.Contains(path, "recorded") && filepath.Dir(path) != "testdata" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".gz") {
			unpacked, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				return err
			}
			if text, err = io.ReadAll(unpacked); err != nil {
				return err
			}
		}
		searched++
		assert.Empty(t, Secrets(text), path)
		return nil
	}))
	assert.Greater(t, searched, 150, "the recordings of the faults alone are more than a hundred")
}
