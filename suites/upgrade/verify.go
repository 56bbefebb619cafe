package upgrade

import (
	"fmt"
	"slices"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// verifier verifies reports of this suite by the records of their upgrades, and not by
// what they say.
var verifier = reports.Verifier{Judge: judgeFile, Required: required}

// judgeFile judges a kept record by the check that is of it.
func judgeFile(record string) ([]reports.Check, error) {
	r, err := read(record)
	if err != nil {
		return nil, err
	}
	result, err := judged(r)
	if err != nil {
		return nil, err
	}
	return []reports.Check{result}, nil
}

// judged is what the check says of a record that is of it.
func judged(r Record) (reports.Check, error) {
	if r.Check == upgradeWatched.ID {
		var o observe.Observation // in which nobody looked on
		if len(r.Steps) > 0 {
			o = r.Steps[0].Observation
		}
		return upgradeWatched.Verdict(o), nil
	}
	c, err := checkOf(r)
	if err != nil {
		return reports.Check{}, err
	}
	return c.Judge(r), nil
}

// checkOf is the check that judges a record.
func checkOf(r Record) (Check, error) {
	i := slices.IndexFunc(Catalogue(), func(c Check) bool { return c.ID == r.Check })
	if i < 0 {
		return Check{}, fmt.Errorf("it is the record of %q, which no check judges", r.Check)
	}
	return Catalogue()[i], nil
}

// required are the checks without which a report cannot claim the profile: those of the
// ways that it was to upgrade by. One that does not say which must have gone all.
func required(r reports.Report, profile string) []string {
	if profile != Profile {
		return nil
	}
	if r.Configuration["mode"] == string(run.WatchOver) {
		return []string{upgradeWatched.ID}
	}
	ways := checksOf(r.Configuration[settingWays])
	if len(ways) == 0 {
		ways = Catalogue()
	}
	var ids []string
	for _, c := range ways {
		ids = append(ids, c.ID)
	}
	return ids
}
