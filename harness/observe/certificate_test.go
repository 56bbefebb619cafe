package observe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authority is a CA made for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{name}}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{cert, key}
}

// again is the authority with what was changed in its certificate.
func (a authority) again(t *testing.T) authority {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{cert, a.key}
}

// leaf issues a workload certificate that has ended already: what is seen of a
// certificate must not depend on when it is looked at.
func (a authority) leaf(t *testing.T) []byte {
	t.Helper()
	uri, err := url.Parse("spiffe://cluster.local/ns/default/sa/prometheus")
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xbeef), URIs: []*url.URL{uri}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(-time.Second),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func TestParseCertificateReadsWhatChecksAskFor(t *testing.T) {
	ca := newAuthority(t, "cluster.local")
	c, err := ParseCertificate(ca.leaf(t), ca.pem())
	require.NoError(t, err)
	assert.Equal(t, "beef", c.Serial)
	assert.Equal(t, []string{"spiffe://cluster.local/ns/default/sa/prometheus"}, c.URIs)
	assert.Equal(t, "O=cluster.local", c.Issuer)
	assert.True(t, c.ChainsTo)
	assert.Len(t, c.Roots, 1)
}

func TestParseCertificateTellsAForeignRoot(t *testing.T) {
	c, err := ParseCertificate(newAuthority(t, "ours").leaf(t), newAuthority(t, "theirs").pem())
	require.NoError(t, err)
	assert.False(t, c.ChainsTo)
}

func TestParseCertificateRefusesWhatIsNone(t *testing.T) {
	ca := newAuthority(t, "cluster.local")
	for name, in := range map[string]struct{ chain, roots []byte }{
		"nothing":                 {nil, ca.pem()},
		"no PEM":                  {[]byte("hello"), ca.pem()},
		"no roots":                {ca.leaf(t), nil},
		"a key instead of a cert": {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), ca.pem()},
		"PEM of rubbish":          {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), ca.pem()},
	} {
		_, err := ParseCertificate(in.chain, in.roots)
		assert.Error(t, err, name)
	}
}

func FuzzParseCertificate(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(_ *testing.T, content []byte) { _, _ = ParseCertificate(content, content) })
}
