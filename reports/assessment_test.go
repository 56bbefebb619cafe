package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAVerdictFollowsFromWhatOutweighsWhat(t *testing.T) {
	fails := func(a *Assessment) { a.Fail("bad") }
	doubts := func(a *Assessment) { a.Unclear("dim") }
	holds := func(a *Assessment) { a.Hold("not permitted") }
	skips := func(a *Assessment) { a.Skip("not here") }
	sees := func(a *Assessment) { a.Saw("eye", "it", "good") }
	for name, c := range map[string]struct {
		found   []func(*Assessment)
		verdict Verdict
		reason  string
	}{
		"nothing":                          {nil, Inconclusive, "nothing was seen that the check could judge"},
		"evidence":                         {[]func(*Assessment){sees}, Pass, ""},
		"a doubt before evidence":          {[]func(*Assessment){sees, doubts}, Inconclusive, "dim"},
		"a failure before everything":      {[]func(*Assessment){sees, doubts, holds, skips, fails}, Fail, "bad"},
		"a doubt before what was not done": {[]func(*Assessment){holds, skips, doubts}, Inconclusive, "dim"},
		"what was not done is no pass":     {[]func(*Assessment){sees, holds}, Skip, "not permitted"},
		"nothing to judge":                 {[]func(*Assessment){skips}, Skip, "not here"},
		"something to judge after all":     {[]func(*Assessment){skips, sees}, Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var a Assessment
			for _, found := range c.found {
				found(&a)
			}
			got := a.Conclude(Check{ID: "x", Title: "it holds", Level: Core})
			assert.Equal(t, c.verdict, got.Verdict)
			assert.Equal(t, c.reason, got.Reason)
			assert.Equal(t, "x", got.ID, "the check itself is kept")
		})
	}
}

func TestAReportShowsSoMuchOfWhatWasFound(t *testing.T) {
	var a Assessment
	for i := range 300 {
		a.Fail("target %d is down", i)
		a.Fail("target %d is down", i)
		a.Saw("eye", "it", "%d", i)
	}
	assert.Equal(t, 600, a.Failures())
	got := a.Conclude(Check{})
	reason := strings.Split(got.Reason, "\n")
	assert.Len(t, reason, shownLines+1)
	assert.Equal(t, fmt.Sprintf("and %d more", 300-shownLines), reason[shownLines], "each is counted once")
	assert.Len(t, got.Evidence, ShownEvidence+1)
	assert.Equal(t, fmt.Sprintf("and %d more of the kind", 300-ShownEvidence), got.Evidence[ShownEvidence].Text)
}
