package reports

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testKey is a key that is the same in every run, so that what is signed can be
// compared. n tells keys apart.
func testKey(n byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func pemOf(t testing.TB, key any) string {
	t.Helper()
	kind, marshal := privateBlock, x509.MarshalPKCS8PrivateKey
	if _, ok := key.(ed25519.PublicKey); ok {
		kind, marshal = publicBlock, x509.MarshalPKIXPublicKey
	}
	der, err := marshal(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func none(string) string { return "" }

func TestKeysAreReadFromAFileOrTheEnvironment(t *testing.T) {
	private, public := testKey(1), publicOf(testKey(1))
	env := map[string]string{SigningKeyVariable: pemOf(t, private), PublicKeyVariable: pemOf(t, public)}
	getenv := func(name string) string { return env[name] }
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}

	key, err := SigningKey("", none)
	require.NoError(t, err)
	assert.Nil(t, key, "no key is no error")
	key, err = SigningKey("", getenv)
	require.NoError(t, err)
	assert.Equal(t, private, key)
	key, err = SigningKey(file("k", pemOf(t, testKey(2))), getenv)
	require.NoError(t, err)
	assert.Equal(t, testKey(2), key, "the file is what was asked for")

	pub, err := PublicKey("", none)
	require.NoError(t, err)
	assert.Nil(t, pub)
	pub, err = PublicKey("", getenv)
	require.NoError(t, err)
	assert.Equal(t, public, pub)
	pub, err = PublicKey(file("p", pemOf(t, publicOf(testKey(2)))), getenv)
	require.NoError(t, err)
	assert.Equal(t, publicOf(testKey(2)), pub)
}

func TestKeysThatAreNone(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private := pemOf(t, testKey(1))
	public := pemOf(t, publicOf(testKey(1)))
	junk := string(pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: []byte("secret")}))
	cases := map[string]struct{ text, says string }{
		"a password":          {"hunter2", "is not PEM"},
		"the other half":      {public, `is "PUBLIC KEY" and not "PRIVATE KEY"`},
		"an older form":       {string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY"})), `is "RSA PRIVATE KEY"`},
		"an encrypted key":    {string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY"})), `is "ENCRYPTED PRIVATE KEY"`},
		"another kind of key": {pemOf(t, other), "is not an ed25519 key"},
		"junk in PEM":         {junk, "is not a PKCS#8 key"},
		"two keys":            {private + private, "is followed by something else"},
	}
	for name, c := range cases {
		_, err := SigningKey("", func(string) string { return c.text })
		require.ErrorContains(t, err, "the signing key in "+SigningKeyVariable+" "+c.says, name)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.NotContains(t, err.Error(), "secret")
	}
	_, err = PublicKey("", func(string) string { return private })
	require.ErrorContains(t, err, `the public key in `+PublicKeyVariable+` is "PRIVATE KEY" and not "PUBLIC KEY"`)
	_, err = PublicKey("", func(string) string { return string(pem.EncodeToMemory(&pem.Block{Type: publicBlock})) })
	require.ErrorContains(t, err, "is not a public key in PKIX form")
	der, err := x509.MarshalPKIXPublicKey(&other.PublicKey)
	require.NoError(t, err)
	_, err = PublicKey("", func(string) string { return string(pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der})) })
	require.ErrorContains(t, err, "is not an ed25519 key")
	_, err = SigningKey(filepath.Join(t.TempDir(), "gone"), none)
	require.ErrorContains(t, err, "cannot read the key")
	require.ErrorContains(t, err, "openssl genpkey")
}

// FuzzKeys looks for a text that crashes the parsers, or that makes a key that is none.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(pemOf(f, testKey(1))))
	f.Add([]byte(pemOf(f, publicOf(testKey(1)))))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, err := parseSigningKey(data); err == nil && len(key) != ed25519.PrivateKeySize {
			t.Fatalf("a key of %d bytes", len(key))
		}
		if key, err := parsePublicKey(data); err == nil && len(key) != ed25519.PublicKeySize {
			t.Fatalf("a key of %d bytes", len(key))
		}
	})
}
