package mesh

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASignerBelongsToItsRoot(t *testing.T) {
	ca, err := NewCA()
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Root)
	_, err = ca.Signer.Verify(x509.VerifyOptions{Roots: roots})
	require.NoError(t, err)

	data, err := ca.SignerData()
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"ca-cert.pem", "ca-key.pem", "cert-chain.pem"}, keys(data))
	_, err = tls.X509KeyPair(data["ca-cert.pem"], data["ca-key.pem"])
	assert.NoError(t, err, "the key is the signer's")
}

func keys(data map[string][]byte) (names []string) {
	for k := range data {
		names = append(names, k)
	}
	return names
}

func TestEveryRootIsItsOwn(t *testing.T) {
	a, err := NewCA()
	require.NoError(t, err)
	b, err := NewCA()
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(a.Root)
	_, err = b.Signer.Verify(x509.VerifyOptions{Roots: roots})
	require.Error(t, err, "even when both were made in the same second")

	block, rest := pem.Decode(PEM(a.Root, b.Root))
	assert.Equal(t, a.Root.Raw, block.Bytes)
	block, rest = pem.Decode(rest)
	assert.Equal(t, b.Root.Raw, block.Bytes)
	assert.Empty(t, rest)
}
