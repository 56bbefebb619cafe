package conformance

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// plaintextRefused: the metrics cannot be had by plain HTTP, which is what STRICT
// promises.
var plaintextRefused = Check{
	ID:      "plaintext-refused",
	Title:   "A client that speaks plain HTTP is refused by the target's proxy",
	Profile: ProfileRefusal,
	Level:   reports.Core,
	Reads:   refusalReads,
	Assess: refusal{
		kind:   observe.PlainText,
		who:    "a client without TLS",
		source: sourceLog,
		client: regexp.MustCompile(`connection reset by peer|EOF|broken pipe`),
		proxy: func(p observe.Proxy) (int, string) {
			n := 0
			for _, r := range p.Requests {
				if r.TLS == "" && strings.Contains(r.Details+r.Flags, "filter_chain_not_found") {
					n++
				}
			}
			return n, fmt.Sprintf("%d connections closed for filter_chain_not_found: no chain takes plain text", n)
		},
	}.assess,
}
