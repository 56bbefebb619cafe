package run

import (
	"fmt"
	"os"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// verify verifies the report of a run for somebody who believes nobody. That the
// directory is not there is his mistake, and all else speaks against the report.
func verify(c Config, v reports.Verifier) int {
	if s, err := os.Stat(c.Dir); err != nil || !s.IsDir() {
		return usage(fmt.Errorf("there is no directory of a run at %s: name one with -dir", c.Dir))
	}
	var err error
	if v.Key, err = reports.PublicKey(c.PublicKey, os.Getenv); err != nil {
		return usage(err)
	}
	v.Suite = reports.Suite{Version: Version, Commit: Commit}
	found := v.Verify(c.Dir)
	return concluded(found.ExitCode(), c.show(found, func(t *reports.Terminal) { t.Verification(found) }))
}
