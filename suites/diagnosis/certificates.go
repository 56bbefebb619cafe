package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// certificateRules are about the certificate in the files: is it current, whose is
// it, and who believes it.
var certificateRules = []Rule{
	{
		Code: "rotated-not-written", Layer: LayerFiles,
		Title:   "The proxy has a newer certificate than the files",
		Proof:   "whether the files still have the old serial a minute later",
		Hides:   []string{"certificate-expired", "control-plane-down"},
		Explain: rotatedNotWritten,
	},
	{
		Code: "certificate-expired", Layer: LayerFiles,
		Title:   "The certificate in the files has ended",
		Explain: certificateExpired,
	},
	{
		Code: "certificate-not-yet-valid", Layer: LayerFiles,
		Title:   "The certificate in the files is not valid yet: clocks differ",
		Explain: certificateNotYetValid,
	},
	{
		Code: "certificate-not-own", Layer: LayerTrust,
		Title:   "The certificate in the files is not that of this Prometheus",
		Explain: certificateNotOwn,
	},
	{
		Code: "trust-domain-mismatch", Layer: LayerTrust,
		Title:   "The certificate names a trust domain that the mesh does not accept",
		Explain: trustDomainMismatch,
	},
	{
		Code: "chain-incomplete", Layer: LayerTrust,
		Title:   "The certificate does not lead to the root beside it",
		Explain: chainIncomplete,
	},
	{
		Code: "roots-differ", Layer: LayerTrust,
		Title:   "Prometheus and its target trust different roots",
		Proof:   "the issuer of the client certificate against the roots that the target's proxy lists (istioctl proxy-config secret)",
		Explain: rootsDiffer,
	},
}

// eachCertificate calls with the certificate that each replica's files hold.
func (f *facts) eachCertificate(call func(*replica, *observe.Certificate)) {
	for _, r := range f.replicas {
		if r.seen != nil && r.seen.Certificate != nil {
			call(r, r.seen.Certificate)
		}
	}
}

// writeTime is far more than a proxy needs to write a certificate that it has.
const writeTime = 10 * time.Second

// skew is how far istiod dates the beginning of a certificate back.
const skew = 2 * time.Minute

// lifetime is what the proxy asked for.
func lifetime(c *observe.Certificate) time.Duration {
	return max(0, c.NotAfter.Sub(c.NotBefore)-skew)
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (f *facts) expired(c *observe.Certificate) bool { return !c.NotAfter.After(f.o.At) }

func rotatedNotWritten(f *facts) []finding {
	var found []finding
	f.eachCertificate(func(r *replica, c *observe.Certificate) {
		var newest observe.ProxyCertificate
		for _, p := range r.seen.ProxyCertificates {
			if strings.EqualFold(p.Serial, c.Serial) {
				return
			}
			if p.NotAfter.After(newest.NotAfter) {
				newest = p
			}
		}
		// It may have changed between the one look and the other. Both came after
		// At, so what the proxy had well before At must be in the files.
		made := newest.NotAfter.Add(-lifetime(c))
		if !newest.NotAfter.After(c.NotAfter) || !f.expired(c) && f.o.At.Sub(made) < writeTime {
			return
		}
		x := certain(f.aboutFiles(setup{about: r.about()}), fmt.Sprintf("in pod %s/%s the proxy has the certificate %s, not after %s, while the files still hold %s, not after %s", f.namespace, r.name, newest.Serial, clock(newest.NotAfter), c.Serial, clock(c.NotAfter)),
			"let the agent write again: see the log of "+proxyName+" for \"error when output the resource\", keep OUTPUT_CERTS away from any directory that the agent reads certificates from, and upgrade Istio if it is older than 1.24; a restart of the pod helps until the next renewal")
		if !f.expired(c) {
			x.confidence = reports.Likely
		}
		found = append(found, x)
	})
	return found
}

func certificateExpired(f *facts) []finding {
	var found []finding
	f.eachCertificate(func(r *replica, c *observe.Certificate) {
		if f.expired(c) {
			found = append(found, certain(f.aboutFiles(setup{about: r.about()}), fmt.Sprintf("the certificate in the files of pod %s/%s ended at %s, %s before it was looked at", f.namespace, r.name, clock(c.NotAfter), f.o.At.Sub(c.NotAfter).Round(time.Second)),
				"let the proxy renew it: see its log for errors of its CSR, and whether istiod answers; a restart of the pod asks for a new one"))
		}
	})
	return found
}

func certificateNotYetValid(f *facts) []finding {
	var found []finding
	f.eachCertificate(func(r *replica, c *observe.Certificate) {
		if c.NotBefore.After(f.o.At) {
			found = append(found, certain(r.about(), fmt.Sprintf("the certificate in the files of pod %s/%s begins at %s; it was looked at at %s", f.namespace, r.name, clock(c.NotBefore), clock(f.o.At)),
				"synchronise the clocks of the nodes"))
		}
	})
	return found
}

func certificateNotOwn(f *facts) []finding {
	var found []finding
	want := "/ns/" + f.namespace + "/sa/" + f.serviceAccount()
	f.eachCertificate(func(r *replica, c *observe.Certificate) {
		if !slices.ContainsFunc(c.URIs, func(u string) bool { return strings.HasPrefix(u, "spiffe://") && strings.HasSuffix(u, want) }) {
			found = append(found, certain(r.about(), fmt.Sprintf("the certificate in the files of pod %s/%s is for %s, issued by %s; this Prometheus is %s", f.namespace, r.name, firstOf(strings.Join(c.URIs, ", "), "no SPIFFE ID"), c.Issuer, want),
				"let the monitors name the files that the pod's own proxy writes, not a copy from a Secret or from another workload"))
		}
	})
	return found
}

func trustDomainMismatch(f *facts) []finding {
	mesh := f.o.Mesh
	if _, unread := f.unread("the mesh configuration"); unread || mesh.TrustDomain == "" {
		return nil
	}
	var found []finding
	f.eachCertificate(func(r *replica, c *observe.Certificate) {
		for _, u := range c.URIs {
			domain, ok := trustDomainOf(u)
			if !ok || domain == mesh.TrustDomain || slices.Contains(mesh.TrustDomainAliases, domain) {
				continue
			}
			found = append(found, certain(f.aboutFiles(setup{about: r.about()}), fmt.Sprintf("the certificate of pod %s/%s is for %s, and the mesh accepts the trust domains %s", f.namespace, r.name, u, strings.Join(append([]string{mesh.TrustDomain}, mesh.TrustDomainAliases...), ", ")),
				fmt.Sprintf("mesh configuration: add %s to trustDomainAliases, or restart the pods of %s so that they get the mesh's present domain", domain, f.prometheus)))
		}
	})
	for _, e := range f.o.Episodes {
		for _, r := range f.replicas {
			if from, to, at := movedIn(e, r.name); from != to {
				found = append(found, certain(r.about(), fmt.Sprintf("the certificates of pod %s/%s went from the trust domain %s to %s, seen at %s: until both ends of a scrape had changed, neither accepted the other", f.namespace, r.name, from, to, clock(at)),
					fmt.Sprintf("mesh configuration: before trustDomain changes, add %s to trustDomainAliases", from)))
			}
		}
	}
	return found
}

// trustDomainOf is that of an identity, if it has one.
func trustDomainOf(uri string) (domain string, ok bool) {
	domain, _, ok = strings.Cut(strings.TrimPrefix(uri, "spiffe://"), "/")
	return domain, ok
}

// movedIn is between which trust domains the certificates of a replica changed first in
// the course of an episode, and when that was seen; the same one twice if they did not.
func movedIn(e observe.Episode, pod string) (from, to string, at time.Time) {
	for _, s := range e.Certs {
		if s.Pod != pod || len(s.Certificate.URIs) == 0 {
			continue
		}
		domain, _ := trustDomainOf(s.Certificate.URIs[0])
		switch {
		case from == "":
			from, to = domain, domain
		case domain != from:
			return from, domain, s.At
		}
	}
	return from, to, at
}

func chainIncomplete(f *facts) []finding {
	var found []finding
	f.eachCertificate(func(r *replica, c *observe.Certificate) {
		if !c.ChainsTo {
			found = append(found, certain(r.about(), fmt.Sprintf("the chain in the files of pod %s/%s, issued by %s, does not end in one of the %d roots beside it", f.namespace, r.name, c.Issuer, len(c.Roots)),
				"let certFile and caFile be what one proxy writes; if they are, restart the pods of "+f.prometheus+" so that chain and root come from the same CA"))
		}
	})
	return found
}

func rootsDiffer(f *facts) []finding {
	var found []finding
	for _, r := range f.replicas {
		if r.seen == nil {
			continue
		}
		own := trusted(r.seen.ProxyCertificates)
		for _, t := range f.targets {
			c, ok := t.confidence(UnknownAuthority, ClosedAfterHandshake, VerifyAuthority)
			if !ok {
				continue
			}
			p := f.proxies[t.name]
			if p == nil {
				continue
			}
			if theirs := trusted(p.Certificates); apart(own, theirs) {
				found = append(found, t.finding(c, fmt.Sprintf("the proxy of pod %s/%s trusts the roots %s, that of the target %s the roots %s; %s", f.namespace, r.name, strings.Join(own, ", "), t.name, strings.Join(theirs, ", "), t.says()),
					"restart what still has the old root: the pods of "+f.prometheus+" or those of its targets; change a root by way of a bundle with both"))
			}
		}
		if c := r.seen.Certificate; c != nil && apart(c.Roots, f.o.Mesh.Roots) {
			found = append(found, finding{about: r.about(), confidence: f.confidenceOfAny(UnknownAuthority, ClosedAfterHandshake),
				seen:   fmt.Sprintf("root-cert.pem of pod %s/%s has none of the roots that istiod publishes (ConfigMap istio-ca-root-cert): %s, not %s", f.namespace, r.name, short(c.Roots), short(f.o.Mesh.Roots)),
				change: "restart the pods of " + f.prometheus + " and of its targets, so that all have certificates of the present root"})
		}
	}
	return found
}

// confidenceOfAny is certain if some target fails with one of the classes.
func (f *facts) confidenceOfAny(fits ...Class) reports.Confidence {
	for _, t := range f.targets {
		if slices.Contains(fits, t.class) {
			return reports.Certain
		}
	}
	return reports.Likely
}

func trusted(certs []observe.ProxyCertificate) []string {
	var roots []string
	for _, c := range certs {
		for _, r := range c.Roots {
			if !slices.Contains(roots, r) {
				roots = append(roots, r)
			}
		}
	}
	return roots
}

// apart reports whether two known sets have nothing in common.
func apart(a, b []string) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

func short(sums []string) string {
	var parts []string
	for _, s := range sums {
		parts = append(parts, s[:min(len(s), 12)])
	}
	return strings.Join(parts, ", ")
}
