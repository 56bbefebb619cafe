package conformance

import (
	"fmt"
	"regexp"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// noCertificateRefused: TLS alone is not enough, the client must show who it is.
var noCertificateRefused = Check{
	ID:      "no-certificate-refused",
	Title:   "A client that speaks TLS but shows no certificate is refused by the target's proxy",
	Profile: ProfileRefusal,
	Level:   reports.Core,
	Reads:   refusalReads,
	Assess: refusal{
		kind:   observe.NoCertificate,
		who:    "a client without a certificate",
		source: sourceCounter,
		// The alert of TLS 1.3, that of 1.2, and what is read when the connection is
		// closed before the alert is.
		client: regexp.MustCompile(`tls: certificate required|tls: handshake failure|broken pipe|connection reset by peer|http2: client conn could not be established|EOF`),
		proxy: func(p observe.Proxy) (int, string) {
			n := p.After["fail_verify_no_cert"] - p.Before["fail_verify_no_cert"]
			return int(n), fmt.Sprintf("ssl.fail_verify_no_cert rose by %d", n)
		},
	}.assess,
}
