package conformance

import (
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// verifier verifies reports of this suite, by what was observed and not by what they
// say.
var verifier = reports.Verifier{Judge: judgeFile, Required: required}

// judgeFile judges a kept observation by every check there is, whatever was selected
// when it was made.
func judgeFile(observation string) ([]reports.Check, error) {
	o, err := observe.Read(observation)
	if err != nil {
		return nil, err
	}
	var results []reports.Check
	for _, c := range Catalogue() {
		results = append(results, c.Judge(o))
	}
	return results, nil
}

// required are the checks without which a profile cannot be claimed: the core ones,
// but for those that most subjects are not meant to hold.
func required(_ reports.Report, profile string) []string {
	var ids []string
	for _, c := range Catalogue() {
		if c.Profile == profile && c.Level == reports.Core && !c.Optional {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
