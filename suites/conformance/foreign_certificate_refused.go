package conformance

import (
	"fmt"
	"regexp"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// foreignCertificateRefused: anybody can write Prometheus' name into a certificate.
// What counts is who signed it.
var foreignCertificateRefused = Check{
	ID:      "foreign-certificate-refused",
	Title:   "A client with Prometheus' name from a foreign CA is refused by the target's proxy",
	Profile: ProfileRefusal,
	Level:   reports.Core,
	Reads:   append(reads("targets by way of the client in the cluster"), "the TLS counters ", "the up samples "),
	Assess: refusal{
		kind:   observe.ForeignCertificate,
		who:    "a client whose certificate a foreign CA signed",
		source: sourceCounter,
		// The alert, and what is read when the connection is closed before the alert is.
		client: regexp.MustCompile(`tls: (unknown certificate authority|unknown certificate|bad certificate)|broken pipe|connection reset by peer|http2: client conn could not be established|EOF`),
		proxy: func(p observe.Proxy) (int, string) {
			n := p.After["fail_verify_error"] - p.Before["fail_verify_error"]
			return int(n), fmt.Sprintf("ssl.fail_verify_error rose by %d", n)
		},
	}.assess,
}
