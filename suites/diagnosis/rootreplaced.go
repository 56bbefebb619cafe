package diagnosis

import (
	"fmt"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// rootReplaced is what roots-differ says of a moment, said of what came before: by now
// everybody may trust the new root, and the scrapes that were missed meanwhile are all
// that is left to see of it.
var rootReplaced = Rule{
	Code: "root-replaced", Layer: LayerTrust,
	Title:   "The root of the mesh was replaced at once, not by way of both",
	Proof:   "the roots in root-cert.pem against those of an hour ago, and when the Secret cacerts was changed",
	Hides:   []string{"certificate-expired", "roots-differ"},
	Explain: findRootReplaced,
}

const oneCA = "let every control plane sign with one CA (the Secret cacerts of its namespace), or give back the one that was; change a root by way of a bundle with both: first trust both, then sign with the new one, then drop the old one"

func findRootReplaced(f *facts) []finding {
	var found []finding
	f.eachCertificate(func(r *replica, c *observe.Certificate) {
		if f.expired(c) && apart(c.Roots, f.o.Mesh.Roots) {
			found = append(found, certain(f.aboutFiles(setup{about: r.about()}), fmt.Sprintf("the certificate of pod %s/%s ended at %s, and root-cert.pem beside it has none of the roots that istiod publishes by now (%s, not %s): its proxy believes no istiod that could renew it",
				f.namespace, r.name, clock(c.NotAfter), short(c.Roots), short(f.o.Mesh.Roots)), oneCA))
		}
	})
	for _, e := range f.o.Episodes {
		for _, r := range f.replicas {
			if seen, confidence, ok := replacedIn(e, r.name); ok {
				found = append(found, finding{about: r.about(), seen: "root-cert.pem of pod " + f.namespace + "/" + r.name + " " + seen, change: oneCA, confidence: confidence})
			}
		}
	}
	return found
}

// replacedIn looks at the roots that a replica trusted in the course of an episode. If it
// trusted both for a while, it may have been done well, only too fast.
func replacedIn(e observe.Episode, pod string) (seen string, c reports.Confidence, ok bool) {
	var first, last *observe.Sighting
	c = reports.Likely
	for i := range e.Certs {
		s := &e.Certs[i]
		if s.Pod != pod {
			continue
		}
		if first == nil {
			first = s
		} else if apart(last.Certificate.Roots, s.Certificate.Roots) {
			c = reports.Certain
		}
		last = s
	}
	if first == nil || c != reports.Certain && !apart(first.Certificate.Roots, last.Certificate.Roots) {
		return "", "", false
	}
	return fmt.Sprintf("went from the roots %s (%s) to %s (%s), which have nothing in common",
		short(first.Certificate.Roots), clock(first.At), short(last.Certificate.Roots), clock(last.At)), c, true
}
