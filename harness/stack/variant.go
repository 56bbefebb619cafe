package stack

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"istio.io/api/annotation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// Variant is what a run changes in the guide's objects: the paces at which things
// happen, never what happens. The guide's own would make a run last for days.
type Variant struct {
	// ScrapeInterval replaces the 30 s of the guide's ServiceMonitor.
	ScrapeInterval time.Duration
	// CertificateLifetime is what the sidecars of Prometheus and of productpage ask of
	// the mesh's CA instead of 24 h. The agent renews at half of it.
	CertificateLifetime time.Duration
	// Small has one replica of productpage and of Prometheus, and nothing else of
	// Bookinfo: it is for where dozens of them stand, or one has no part in what is
	// judged. Otherwise productpage has two, so that a target which answers for another
	// can be told.
	Small bool
	// EllipticKeys has the sidecars make ECDSA keys instead of RSA ones, which takes a
	// hundredth of the time: it matters where dozens of them start.
	EllipticKeys bool
}

// Default is the variant of the main job: certificates of 20 s are renewed every
// 10 s, which is five scrapes each, and two rotations past the first certificate's
// end fit into 20 s.
var Default = Variant{ScrapeInterval: 2 * time.Second, CertificateLifetime: 20 * time.Second}

// scraped is the only service of Bookinfo that serves metrics.
const scraped = "productpage"

// SetUp are the objects of Bookinfo and of the guide, in that order, with the variant in
// them.
func (v Variant) SetUp() ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, folder := range []string{manifests.Bookinfo, manifests.Guide} {
		read, err := manifests.Read(folder)
		if err != nil {
			return nil, err
		}
		if v.Small && folder == manifests.Bookinfo {
			read = slices.DeleteFunc(read, func(u *unstructured.Unstructured) bool { return !strings.Contains(u.GetName(), scraped) })
		}
		objects = append(objects, manifests.Apply(read, v.Edits()...)...)
	}
	return objects, nil
}

// EndsSoon has Prometheus be waited for at its end for 5 s and not for the 10 minutes that
// the Operator gives it. It ends at once when it is told to, and what a fault puts beside
// it must. A namespace that is removed with it needs that as well: since Kubernetes 1.33
// its controller removes the pods first, and looks for the rest only after half of the
// time that they have.
var EndsSoon = manifests.OnlyKind("Prometheus", manifests.Set(int64(5), "spec", "terminationGracePeriodSeconds"))

// Edits are the variant as changes of manifests.
func (v Variant) Edits() []manifests.Edit {
	replicas := int64(2)
	if v.Small {
		replicas = 1
	}
	return []manifests.Edit{
		manifests.OnlyKind("Prometheus", manifests.Set(replicas, "spec", "replicas")),
		manifests.OnlyKind("Prometheus", manifests.Set(
			v.proxyConfig("OUTPUT_CERTS: /etc/istio-output-certs"), "spec", "podMetadata", "annotations", annotation.ProxyConfig.Name)),
		manifests.OnlyKind("ServiceMonitor", func(u *unstructured.Unstructured) {
			endpoints, _, _ := unstructured.NestedSlice(u.Object, "spec", "endpoints")
			for _, e := range endpoints {
				if m, ok := e.(map[string]any); ok {
					m["interval"] = model.Duration(v.ScrapeInterval).String() // Prometheus knows no 1.5s
				}
			}
			manifests.Set(endpoints, "spec", "endpoints")(u)
		}),
		manifests.OnlyKind("Deployment", func(u *unstructured.Unstructured) {
			if u.GetName() == scraped+"-v1" {
				manifests.Set(replicas, "spec", "replicas")(u)
				manifests.Set(v.proxyConfig(), "spec", "template", "metadata", "annotations", annotation.ProxyConfig.Name)(u)
			}
		}),
	}
}

// proxyConfig is the annotation that sets the lifetime of a pod's certificates,
// with more variables of its sidecar beside it.
func (v Variant) proxyConfig(variables ...string) string {
	variables = append(variables, "SECRET_TTL: "+v.CertificateLifetime.String(), `SECRET_GRACE_PERIOD_RATIO_JITTER: "0"`)
	if v.EllipticKeys {
		variables = append(variables, "ECC_SIGNATURE_ALGORITHM: ECDSA")
	}
	return "proxyMetadata:\n  " + strings.Join(variables, "\n  ") + "\n"
}
