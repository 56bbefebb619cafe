package reports

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	// SigningKeyVariable holds a private key in PEM, for CI systems that keep secrets in
	// the environment.
	SigningKeyVariable = "MTLS_SCRAPE_SIGNING_KEY"
	// PublicKeyVariable holds the public key that belongs to it.
	PublicKeyVariable = "MTLS_SCRAPE_PUBLIC_KEY"

	privateBlock = "PRIVATE KEY" // PKCS#8, RFC 5958
	publicBlock  = "PUBLIC KEY"  // PKIX, RFC 5280
)

// makeKeys says how a person comes by what is missing.
const makeKeys = "make a pair with `openssl genpkey -algorithm ed25519 -out key.pem` and `openssl pkey -in key.pem -pubout -out key.pub`"

// SigningKey reads the key that attestations are signed with: from a file or, if file
// is empty, from [SigningKeyVariable]. It is nil if neither is there, and then an
// attestation is unsigned. No error quotes any of the key.
func SigningKey(file string, getenv func(string) string) (ed25519.PrivateKey, error) {
	data, from, err := keyText(file, SigningKeyVariable, getenv)
	if err != nil || data == nil {
		return nil, err
	}
	key, err := parseSigningKey(data)
	if err != nil {
		return nil, fmt.Errorf("the signing key in %s %w", from, err)
	}
	return key, nil
}

// PublicKey reads the key that attestations are verified with: from a file or, if
// file is empty, from [PublicKeyVariable]. It is nil if neither is there, and then no
// signature can be verified.
func PublicKey(file string, getenv func(string) string) (ed25519.PublicKey, error) {
	data, from, err := keyText(file, PublicKeyVariable, getenv)
	if err != nil || data == nil {
		return nil, err
	}
	key, err := parsePublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("the public key in %s %w", from, err)
	}
	return key, nil
}

// keyText is the text of a key and where it is from, or nil if there is none.
func keyText(file, variable string, getenv func(string) string) (data []byte, from string, err error) {
	if file == "" {
		if text := getenv(variable); text != "" {
			return []byte(text), variable, nil
		}
		return nil, "", nil
	}
	if data, err = os.ReadFile(file); err != nil {
		return nil, "", fmt.Errorf("cannot read the key: %w; %s", err, makeKeys)
	}
	return data, file, nil
}

func parseSigningKey(data []byte) (ed25519.PrivateKey, error) {
	der, err := onlyBlock(data, privateBlock)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("is not a PKCS#8 key; " + makeKeys)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("is not an ed25519 key; " + makeKeys)
	}
	return private, nil
}

func parsePublicKey(data []byte) (ed25519.PublicKey, error) {
	der, err := onlyBlock(data, publicBlock)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("is not a public key in PKIX form; " + makeKeys)
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("is not an ed25519 key; " + makeKeys)
	}
	return public, nil
}

// onlyBlock is the content of the one block of PEM that there may be. Of two keys
// nobody could tell which was meant.
func onlyBlock(data []byte, kind string) ([]byte, error) {
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, errors.New("is not PEM; " + makeKeys)
	case block.Type != kind:
		return nil, fmt.Errorf("is %q and not %q; %s", oneLine(block.Type), kind, makeKeys)
	case strings.TrimSpace(string(rest)) != "":
		return nil, errors.New("is followed by something else: keep one key alone")
	}
	return block.Bytes, nil
}

// KeyID names a public key: the SHA-256 of its PKIX form, in hex. An envelope has it
// as a hint which key to try; it proves nothing.
func KeyID(key ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// signer signs envelopes.
type signer struct{ key ed25519.PrivateKey }

func (s signer) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(s.key, data), nil
}

func (s signer) KeyID() (string, error) { return KeyID(s.key.Public().(ed25519.PublicKey)), nil }

// verifier verifies what a signer signed.
type verifier struct{ key ed25519.PublicKey }

func (v verifier) Verify(_ context.Context, data, sig []byte) error {
	if len(v.key) != ed25519.PublicKeySize || !ed25519.Verify(v.key, data, sig) {
		return errors.New("the signature is not that of the key")
	}
	return nil
}

func (v verifier) KeyID() (string, error) { return KeyID(v.key), nil }

func (v verifier) Public() crypto.PublicKey { return v.key }
