package diagnosis

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryRuleHasOneHintPage(t *testing.T) {
	entries, err := os.ReadDir("hints")
	require.NoError(t, err)
	pages := map[string]bool{}
	for _, e := range entries {
		pages[strings.TrimSuffix(e.Name(), ".md")] = true
	}
	for _, code := range Codes() {
		page, ok := Hint(code)
		if assert.True(t, ok, "no page hints/%s.md", code) {
			assert.True(t, strings.HasPrefix(page, "# "), code)
			for _, part := range []string{"## How to recognise it", "## How to fix it"} {
				assert.Contains(t, page, part, code)
			}
		}
		delete(pages, code)
	}
	assert.Empty(t, pages, "pages without a rule")
}

func TestRules(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	known := map[string]bool{}
	for _, r := range Rules() {
		assert.Regexp(t, kebab, r.Code)
		assert.False(t, known[r.Code], "two rules with the code %s", r.Code)
		known[r.Code] = true
		assert.NotEmpty(t, r.Title, r.Code)
		assert.NotEmpty(t, r.Layer, r.Code)
		assert.NotNil(t, r.Explain, r.Code)
	}
	for _, r := range Rules() {
		for _, h := range r.Hides {
			assert.True(t, known[h], "%s hides %s, which is no rule", r.Code, h)
		}
	}
}
