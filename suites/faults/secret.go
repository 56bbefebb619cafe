package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ownSecret holds certificates that somebody made by hand, and ownFolder is where
// Prometheus sees them.
const (
	ownSecret = "certificates-by-hand"
	ownFolder = "/etc/prometheus/secrets/" + ownSecret + "/"
)

// byHand gives Prometheus a Secret with a certificate of a CA that is not the
// mesh's, with the files named as the sidecar names its own. The identity may have
// the placeholder of the namespace in it.
func byHand(identity string) Change {
	return Change{
		What: fmt.Sprintf("there is Secret %s with a certificate for %s, not signed by the mesh, and Prometheus mounts it", ownSecret, identity),
		do: func(s *Subject) error {
			files, err := handMade(strings.ReplaceAll(identity, own, s.Namespace), time.Now())
			if err != nil {
				return fmt.Errorf("making certificates by hand: %w", err)
			}
			data := map[string]any{}
			for name, content := range files {
				data[name] = base64.StdEncoding.EncodeToString(content)
			}
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "data": data}}
			u.SetName(ownSecret)
			s.add(u)
			return ofPrometheus([]string{ownSecret}, "spec", "secrets").do(s)
		},
	}
}

// handMade makes a root, and a client certificate below it that outlives every
// subject.
func handMade(identity string, now time.Time) (map[string][]byte, error) {
	uri, err := url.Parse(identity)
	if err != nil {
		return nil, err
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "made by hand"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), URIs: []*url.URL{uri},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, err
	}
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return map[string][]byte{
		"root-cert.pem":  encode("CERTIFICATE", rootDER),
		"cert-chain.pem": encode("CERTIFICATE", leafDER),
		"key.pem":        encode("PRIVATE KEY", key),
	}, nil
}
