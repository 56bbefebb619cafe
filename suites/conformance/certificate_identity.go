package conformance

import (
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// certificateIdentity: a certificate that works may still be somebody else's. The
// name that it must have is worked out from the pod and the mesh, not from the
// certificate.
var certificateIdentity = Check{
	ID:      "certificate-identity",
	Title:   "The certificate names Prometheus' own account and comes from the mesh's root",
	Profile: ProfileSetup,
	Level:   reports.Core,
	Reads:   []string{"the Prometheus ", "pods", "the certificate files of ", "the certificate of ", "the mesh configuration", "the mesh's roots"},
	Assess: func(o *subject, f *finding) {
		wantReplicas(o, f)
		if !o.May(cluster.Exec) {
			f.withheld(cluster.Exec, "the certificates in Prometheus' files were not read")
			return
		}
		for _, r := range o.Replicas {
			pod := replicaPod(o, r)
			want := observe.IdentityOf(o.Observation, pod)
			switch {
			case pod == nil:
				f.Unclear("the pod of %s was not seen, so it is open whose name its certificate must have", r.Pod)
			case want == "":
				f.Unclear("the mesh's trust domain is not known, so it is open which name %s must have", r.Pod)
			case r.Certificate == nil:
				f.Unclear("the certificate of %s was not seen", r.Pod)
			default:
				assessIdentity(o, r, want, f)
			}
		}
	},
}

func assessIdentity(o *subject, r observe.Replica, want string, f *finding) {
	c := r.Certificate
	if len(c.URIs) != 1 || c.URIs[0] != want {
		f.Fail("the certificate of %s (serial %s) is for %s, its pod is %s", r.Pod, c.Serial, orNone(c.URIs), want)
	} else {
		f.Saw(sourceFiles, r.Pod, "serial %s is for %s, as the pod is", c.Serial, want)
	}
	if !c.ChainsTo {
		f.Fail("the certificate of %s (serial %s, issued by %q) does not chain to any of the %d roots in the file beside it", r.Pod, c.Serial, c.Issuer, len(c.Roots))
	}
	missing, extra := without(o.Mesh.Roots, c.Roots), without(c.Roots, o.Mesh.Roots)
	switch {
	case len(o.Mesh.Roots) == 0:
		f.Unclear("the mesh's roots were not seen, so it is open whether %s has them", r.Pod)
	case len(missing) > 0:
		f.Fail("the file with the roots of %s lacks the mesh's root %s: it has %s", r.Pod, orNone(missing), orNone(c.Roots))
	case len(extra) > 0:
		f.Unclear("the file with the roots of %s has, besides the mesh's, the root %s, whose origin was not seen", r.Pod, orNone(extra))
	case c.ChainsTo:
		f.Saw(sourceFiles, r.Pod, "issued by %q, chains to the mesh's root %s", c.Issuer, orNone(c.Roots))
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}
