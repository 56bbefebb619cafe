package upgrade

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// shown is the directory of a run with the record of an upgrade, and the report of it.
func shown(t *testing.T, r Record, configuration map[string]string, edit func(*reports.Report)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x1")
	record := filepath.Join(dir, "observations", r.Check+".json")
	require.NoError(t, r.write(record))
	judged, err := judgeFile(record)
	require.NoError(t, err)
	o := r.Steps[0].Observation
	report := reports.Report{
		SchemaVersion: reports.SchemaVersion, RunID: "x1", StartedAt: o.At, EndedAt: r.Steps[len(r.Steps)-1].episode().To,
		Profiles: []reports.Profile{{Name: Profile}}, Checks: judged, Configuration: configuration,
	}
	edit(&report)
	report.Conclude()
	_, err = reports.WriteAll(dir, report, nil)
	require.NoError(t, err)
	return dir
}

func TestAReportOfAnUpgradeIsVerifiedByItsRecord(t *testing.T) {
	inPlace := map[string]string{settingWays: "in-place"}
	for name, c := range map[string]struct {
		edit func(*reports.Report)
		code string // of the finding, empty for none
	}{
		"as it was judged": {func(*reports.Report) {}, ""},
		"a verdict that was made better": {func(r *reports.Report) {
			r.Checks[0].Verdict, r.Checks[0].Reason = reports.Pass, ""
			r.Checks[0].Evidence = []reports.Evidence{{Source: "me", Subject: "all", Text: "is well"}}
		}, "verdict"},
		"a profile that is none": {func(r *reports.Report) { r.Checks[0].Profile = "setup" }, "check-profile"},
		"another level":          {func(r *reports.Report) { r.Checks[0].Level = reports.Provisional }, "check-level"},
	} {
		t.Run(name, func(t *testing.T) {
			// The record is inconclusive: its episodes are none of the real stack.
			dir := shown(t, good(t, upgradeInPlace.ID), inPlace, c.edit)
			found := verifier.Verify(dir)
			var codes []string
			for _, f := range found.Findings {
				codes = append(codes, f.Code)
			}
			assert.Equal(t, 1, found.Judged)
			if c.code == "" {
				assert.Empty(t, found.Findings)
				return
			}
			assert.Contains(t, codes, c.code)
		})
	}
}

func TestOnlyTheWaysThatWereGoneAreRequired(t *testing.T) {
	for ways, ids := range map[string][]string{
		"in-place": {upgradeInPlace.ID}, "canary": {upgradeCanary.ID}, "both": {upgradeInPlace.ID, upgradeCanary.ID},
	} {
		assert.Equal(t, ids, required(reports.Report{Configuration: map[string]string{settingWays: ways}}, Profile))
	}
	for _, r := range []reports.Report{{}, {Configuration: map[string]string{settingWays: "none"}}} {
		assert.Len(t, required(r, Profile), len(Catalogue()), "to leave the way out saves no check")
	}
	assert.Empty(t, required(reports.Report{}, "setup"))
}

func TestWhatIsNoRecordCannotBeJudgedAgain(t *testing.T) {
	other := Record{Check: "upgrade-sideways"}
	file := filepath.Join(t.TempDir(), "record.json")
	require.NoError(t, other.write(file))
	_, err := judgeFile(file)
	require.ErrorContains(t, err, `the record of "upgrade-sideways", which no check judges`)
	require.NoError(t, os.WriteFile(file, []byte("no record"), 0o600))
	_, err = judgeFile(file)
	require.ErrorContains(t, err, "is not the record of an upgrade")
	newer := good(t, upgradeInPlace.ID)
	newer.Steps[0].Observation.FormatVersion = observe.FormatVersion + 1
	require.NoError(t, newer.write(file))
	_, err = judgeFile(file)
	assert.ErrorContains(t, err, "format version")
}
