package reports

import (
	"encoding/json"
	"strings"
)

// BadgeFile is the file that a badge is drawn from.
const BadgeFile = "badge.json"

// badge is the answer of an endpoint as https://shields.io/badges/endpoint-badge
// describes it.
type badge struct {
	SchemaVersion int    `json:"schemaVersion"` // of that description; there is only 1
	Label         string `json:"label"`
	Message       string `json:"message"`
	Color         string `json:"color"`
	IsError       bool   `json:"isError"` // if true, whoever shows it cannot choose another colour
}

// Badge renders what a badge says: the outcome, and of a conformant subject the
// profiles that it claims.
func Badge(r Report) ([]byte, error) {
	r.Conclude()
	b := badge{SchemaVersion: 1, Label: "mTLS scrape", Message: r.Word(), Color: "yellow", IsError: r.Verdict != Pass}
	switch r.Verdict {
	case Fail:
		b.Color = "red"
	case Pass:
		b.Color = "brightgreen"
		if r.tone() != Pass {
			b.Color = "yellowgreen"
		}
		if claims := r.Claims(); len(claims) > 0 {
			b.Message += ": " + oneLine(strings.Join(claims, ", "))
		}
	}
	data, err := json.MarshalIndent(b, "", "  ")
	return append(data, '\n'), err
}
