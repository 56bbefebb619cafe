package observe

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// ParseCertificate reads the chain and the roots that a sidecar wrote, both PEM.
// The moment is that at which the chain is to hold; a chain that has ended still
// parses, with ChainsTo as it was while it held.
func ParseCertificate(chainPEM, rootsPEM []byte) (*Certificate, error) {
	chain, err := parsePEM(chainPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate chain: %w", err)
	}
	roots, err := parsePEM(rootsPEM)
	if err != nil {
		return nil, fmt.Errorf("the roots: %w", err)
	}
	leaf := chain[0]
	c := &Certificate{
		Serial:    fmt.Sprintf("%x", leaf.SerialNumber),
		NotBefore: leaf.NotBefore.UTC(),
		NotAfter:  leaf.NotAfter.UTC(),
		Issuer:    leaf.Issuer.String(),
	}
	for _, u := range leaf.URIs {
		c.URIs = append(c.URIs, u.String())
	}
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	for _, r := range roots {
		pool.AddCert(r)
	}
	c.Roots = fingerprints(roots)
	for _, i := range chain[1:] {
		between.AddCert(i)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between,
		CurrentTime: leaf.NotAfter.Add(-time.Second),
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	c.ChainsTo = err == nil
	return c, nil
}

func parsePEM(content []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %s where a certificate is expected", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("holds no certificate")
	}
	return certs, nil
}

// fingerprints are the SHA-256 sums by which certificates are told apart.
func fingerprints(certs []*x509.Certificate) []string {
	var sums []string
	for _, c := range certs {
		sum := sha256.Sum256(c.Raw)
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	return sums
}
