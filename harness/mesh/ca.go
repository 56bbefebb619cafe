package mesh

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/e2e-framework/klient"
)

// The Secret from which istiod takes a plugged-in CA, and the files in it. An
// incomplete set keeps istiod from starting
// (detectSigningCABundleAndCRL in Istio's pilot/pkg/bootstrap).
const (
	CASecret  = "cacerts"
	caCert    = "ca-cert.pem"
	caKey     = "ca-key.pem"
	certChain = "cert-chain.pem"
	RootCert  = "root-cert.pem"
)

// caLifetime is that of the CAs made here. They serve clusters that live for hours.
const caLifetime = 30 * 24 * time.Hour

// CA is a root and the signer below it, which istiod issues certificates with. It
// is made for an ephemeral cluster: its keys are nobody else's.
type CA struct {
	Root      *x509.Certificate
	Signer    *x509.Certificate
	signerKey *ecdsa.PrivateKey
}

// NewCA makes one. The root's key is forgotten at once: nothing is to be signed
// with it again.
func NewCA() (*CA, error) {
	now := time.Now().Truncate(time.Second)
	name := "mtls-scrape-conformance " + now.UTC().Format(time.DateTime)
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a root for the mesh: %w", err)
	}
	signerKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a CA for the mesh: %w", err)
	}
	rootTemplate, err := caTemplate("root of "+name, now)
	if err != nil {
		return nil, err
	}
	root, err := sign(rootTemplate, rootTemplate, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	signerTemplate, err := caTemplate("signer of "+name, now)
	if err != nil {
		return nil, err
	}
	signerTemplate.MaxPathLenZero = true
	signer, err := sign(signerTemplate, root, &signerKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	return &CA{Root: root, Signer: signer, signerKey: signerKey}, nil
}

func caTemplate(name string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"mtls-scrape-conformance"}, CommonName: name},
		NotBefore:             now.Add(-time.Hour), // clocks differ
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// SignerData is what makes a CA the one that istiod signs with.
func (c *CA) SignerData() (map[string][]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.signerKey)
	if err != nil {
		return nil, fmt.Errorf("encoding the key of %s: %w", c.Signer.Subject.CommonName, err)
	}
	return map[string][]byte{
		caCert:    PEM(c.Signer),
		caKey:     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		certChain: PEM(c.Signer),
	}, nil
}

// PEM encodes certificates as a bundle.
func PEM(certificates ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certificates {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes everything
	}
	return b.Bytes()
}

// plugIn gives istiod a CA before it starts. One that is there already stays.
func plugIn(ctx context.Context, client klient.Client) error {
	ca, err := NewCA()
	if err != nil {
		return err
	}
	data, err := ca.SignerData()
	if err != nil {
		return err
	}
	data[RootCert] = PEM(ca.Root)
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: CASecret, Namespace: RootNamespace}, Data: data}
	if err := client.Resources(RootNamespace).Create(ctx, s); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the Secret %s/%s: %w", RootNamespace, CASecret, err)
	}
	return nil
}

// Roots reads the roots that the mesh trusts, from where every sidecar finds those
// of its control plane.
func Roots(ctx context.Context, client klient.Client) ([]*x509.Certificate, error) {
	const name, key = "istio-ca-root-cert", RootCert
	var m corev1.ConfigMap
	if err := client.Resources(RootNamespace).Get(ctx, name, RootNamespace, &m); err != nil {
		return nil, fmt.Errorf("reading the mesh's roots: %w", err)
	}
	roots, err := cert.ParseCertsPEM([]byte(m.Data[key]))
	if err != nil {
		return nil, fmt.Errorf("reading the mesh's roots in the ConfigMap %s/%s, %s: %w", RootNamespace, name, key, err)
	}
	return roots, nil
}
