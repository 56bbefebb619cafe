package run

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestWhatCannotBeVerifiedIsOneSentence(t *testing.T) {
	good := report(t, reports.Pass)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no run yet":         {nil, "there is no directory of a run at "},
		"a run that is gone": {[]string{"-dir=gone"}, "at gone: name one with -dir"},
		"a file":             {[]string{"-dir=" + filepath.Join(good, reports.FileName)}, "there is no directory of a run at "},
		"no key":             {[]string{"-dir=" + good, "-public-key=gone.pub"}, "cannot read the key"},
		"a key that is none": {[]string{"-dir=" + good, "-public-key=" + fileOf(t, "no PEM")}, "is not PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr, _ := suite(t, append([]string{"-mode=verify"}, c.args...)...)
			assert.Equal(t, int(reports.ExitUsage), code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, c.says)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}
