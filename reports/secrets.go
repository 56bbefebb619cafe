package reports

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// What must be in no file that a run writes. The suite reads none of it; this is the
// proof, made on what was written.
const (
	secretKey        = "a private key"
	secretToken      = "a token"
	secretKubeconfig = "the client key of a kubeconfig"
	secretObject     = "the data of a Secret"
)

// Leak is a file of a run that holds a secret.
type Leak struct {
	File string // by its path below the directory, with slashes
	What string // what kind of secret it is; never the secret
}

// NoSecrets makes sure that no file below dir holds a secret, or none of those that are
// named by their paths below it. The error names each that does and what kind it is, and
// repeats none. A directory that is not there holds none.
func NoSecrets(dir string, only ...string) error {
	leaks, err := FindSecrets(dir, only...)
	if err != nil {
		return fmt.Errorf("what the run wrote to %s could not be searched for secrets: %w; pass nothing of it on unseen", dir, err)
	}
	if len(leaks) == 0 {
		return nil
	}
	var files []string
	for _, l := range leaks {
		files = append(files, l.File+" holds "+l.What)
	}
	return fmt.Errorf("secrets were written to %s: %s; delete what is named, pass nothing of this run on, and report it: the suite must never read them", dir, strings.Join(files, ", "))
}

// FindSecrets searches every file below dir, or only some, in the order of their names.
func FindSecrets(dir string, only ...string) ([]Leak, error) {
	var leaks []Leak
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || len(only) > 0 && !slices.Contains(only, filepath.ToSlash(name)) {
			return err
		}
		text, err := os.ReadFile(path)
		for _, what := range Secrets(text) {
			leaks = append(leaks, Leak{filepath.ToSlash(name), what})
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return leaks, nil
	}
	return leaks, err
}

// secretDepth is how often a text is unpacked: a kubeconfig in base64 in a Secret has
// its key in base64 once more, and a log quotes that as a string.
const secretDepth = 4

// Secrets lists the kinds of secrets in a text: as they are, as a string of JSON has
// them, or in base64, and each of these within the other.
func Secrets(text []byte) []string {
	found := map[string]bool{}
	search(text, secretDepth, found)
	var kinds []string
	for _, what := range []string{secretKey, secretToken, secretKubeconfig, secretObject} {
		if found[what] {
			kinds = append(kinds, what)
		}
	}
	return kinds
}

// Each of these needs the secret itself: a text that only speaks of keys and tokens, or
// that shows a masked one, has none.
var (
	privateKeyPEM = regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----(?:\s|\\+[nrt])+(?:Proc-Type|[A-Za-z0-9+/]{32})`)
	// jsonWebToken has a header and claims, which are JSON objects in base64, and a
	// signature. https://www.rfc-editor.org/rfc/rfc7515#section-7.1
	jsonWebToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}`)
	// bearerToken is a token of any form where it is said to be one.
	// https://www.rfc-editor.org/rfc/rfc6750#section-2.1
	bearerToken   = regexp.MustCompile(`(?i:bearer)[ \t]+([A-Za-z0-9._~+/-]{20,})`)
	clientKeyData = regexp.MustCompile(`client-key-data[\\"']*\s*:\s*[\\"']*[A-Za-z0-9+/]{24}`)
)

func search(text []byte, depth int, found map[string]bool) {
	found[secretKey] = found[secretKey] || privateKeyPEM.Match(text)
	found[secretToken] = found[secretToken] || jsonWebToken.Match(text) || bearsToken(text)
	found[secretKubeconfig] = found[secretKubeconfig] || clientKeyData.Match(text)
	found[secretObject] = found[secretObject] || secretInJSON(text) || secretInYAML(text)
	if depth == 0 {
		return
	}
	for quoted := range quotedTexts(text) {
		search(unquote(quoted), depth-1, found)
	}
	for packed := range packedTexts(text) {
		decoded := make([]byte, base64.RawStdEncoding.DecodedLen(len(packed)))
		n, _ := base64.RawStdEncoding.Decode(decoded, packed) // what comes before an error is of use
		decoded = decoded[:n]
		switch {
		case isKey(decoded):
			found[secretKey] = true
		case utf8.Valid(decoded):
			search(decoded, depth-1, found)
		}
	}
}

// bearsToken reports whether a text has a token where it says so. A long word is none.
func bearsToken(text []byte) bool {
	if !bytes.Contains(text, []byte("earer")) && !bytes.Contains(text, []byte("EARER")) {
		return false // which is found out much faster than by the expression
	}
	return slices.ContainsFunc(bearerToken.FindAllSubmatch(text, -1), func(m [][]byte) bool { return bytes.ContainsAny(m[1], "0123456789") })
}

// isKey reports whether bytes are a private key in any of the forms that PEM packs.
func isKey(der []byte) bool {
	if len(der) < 32 || der[0] != 0x30 { // of an ASN.1 SEQUENCE, as each of them is
		return false
	}
	_, pkcs8 := x509.ParsePKCS8PrivateKey(der)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(der)
	_, ec := x509.ParseECPrivateKey(der)
	return pkcs8 == nil || pkcs1 == nil || ec == nil
}

// unquote undoes one level of the escapes of a string of JSON, as far as what is in
// secrets has any.
func unquote(text []byte) []byte {
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			plain = append(plain, text[i])
			continue
		}
		i++
		switch c := text[i]; {
		case c == 'n':
			plain = append(plain, '\n')
		case c == 'r', c == 't':
			plain = append(plain, ' ')
		case c == 'u' && i+4 < len(text):
			plain = append(plain, unquoteRune(text[i+1:i+5])...)
			i += 4
		default:
			plain = append(plain, c)
		}
	}
	return plain
}

func unquoteRune(hex []byte) string {
	var r rune
	if _, err := fmt.Sscanf(string(hex), "%04x", &r); err != nil {
		return " "
	}
	return string(r)
}
