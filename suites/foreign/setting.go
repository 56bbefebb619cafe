package foreign

import (
	"encoding/base64"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/cert"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// Setting is the cluster of somebody else.
var Setting = stack.Setting{Revision: "prod", Folder: manifests.Foreign, Operators: "operators"}

// webSecret is what the Prometheus whose web port speaks TLS serves with: a certificate
// that signs itself, made for this run.
func webSecret() (*unstructured.Unstructured, error) {
	certificate, key, err := cert.GenerateSelfSignedCertKeyWithOptions(cert.SelfSignedCertKeyOptions{Host: "secure", MaxAge: 24 * time.Hour})
	if err != nil {
		return nil, fmt.Errorf("making a certificate for the web port of Prometheus: %w", err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"data": map[string]any{"tls.crt": base64.StdEncoding.EncodeToString(certificate), "tls.key": base64.StdEncoding.EncodeToString(key)},
	}}
	u.SetNamespace(namespace)
	u.SetName("secure-web")
	return u, nil
}
