package diagnosis

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// answerRules are about answers that arrive and that Prometheus does not take.
var answerRules = []Rule{
	{
		Code: "content-type-refused", Layer: LayerApplication,
		Title:   "Prometheus 3 refuses metrics whose Content-Type it does not know",
		Explain: contentTypeRefused,
	},
	{
		Code: "not-metrics", Layer: LayerApplication,
		Title:   "What the application serves at that path is not metrics",
		Explain: notMetrics,
	},
	{
		Code: "scrape-limit-exceeded", Layer: LayerApplication,
		Title:   "The application serves more than a limit allows",
		Explain: limitExceeded,
	},
}

func contentTypeRefused(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		found = append(found, t.finding(reports.Certain, t.says(),
			t.monitor.String()+": set spec.fallbackScrapeProtocol to PrometheusText0.0.4, or let the application send Content-Type: text/plain; version=0.0.4"))
	}, ContentType)
	return found
}

func notMetrics(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		found = append(found, t.finding(reports.Certain, fmt.Sprintf("%s asks for %s; %s", t.monitor, t.Path, t.says()), t.at("path")+" to where the application serves metrics, or correct what it serves there"))
	}, NotMetrics)
	return found
}

var limitNames = []struct {
	text  *regexp.Regexp
	field string
}{
	{re(`body`), "bodySizeLimit"}, {re(`sample`), "sampleLimit"}, {re(`label_?name`), "labelNameLengthLimit"},
	{re(`label_?value`), "labelValueLengthLimit"}, {re(`label`), "labelLimit"}, {re(`target`), "targetLimit"},
}

func limitExceeded(f *facts) []finding {
	var found []finding
	f.failing(func(t *target) {
		field := "the limit"
		for _, l := range limitNames {
			if l.text.MatchString(strings.Join(t.errors(), " ")) {
				field = "spec." + l.field
				break
			}
		}
		found = append(found, t.finding(reports.Certain, t.says(), fmt.Sprintf("%s, or %s (and its enforced form): raise %s; or let the application serve less", t.monitor, f.prometheus, field)))
	}, LimitExceeded)
	return found
}
