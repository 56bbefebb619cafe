package reports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

func TestMarkdownGolden(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			data, err := Markdown(sample())
			require.NoError(t, err)
			golden(t, name+".summary.md", string(data))
		})
	}
}

var gfm = goldmark.New(goldmark.WithExtensions(extension.GFM))

// shown is what a reader of Markdown sees, and the kinds of everything that is not
// text.
func shown(source string) (seen string, kinds map[string]int) {
	kinds = map[string]int{}
	var b strings.Builder
	data := []byte(source)
	_ = ast.Walk(gfm.Parser().Parse(text.NewReader(data)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		kinds[n.Kind().String()]++
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Value(data))
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(data))
		}
		return ast.WalkContinue, nil
	})
	return b.String(), kinds
}

func TestMarkdownShowsTextAsItIs(t *testing.T) {
	for _, s := range []string{
		"plain words", "a|b|c", "`code`", "**bold** _em_ ~~gone~~", "<script>alert(1)</script>", "<!-- c -->", "&lt;&amp;",
		"[text](javascript:alert(1))", "![x](http://evil/p.png)", "# heading", "- item", "+ item", "1. item", "23) item", "> quote", "=== ---",
		"---", "===", "$x$", `back\slash \* \`, "a <b", "[x]: http://evil", "***", "```", "~~~", "    code", "<http://evil>", ":smile:", "#12 @all",
	} {
		got, kinds := shown(md(s))
		// Entities are shown by the renderer, not by the parser: the source must hold none.
		got = strings.NewReplacer(`\&`, `&`).Replace(unescape(got))
		assert.Equal(t, strings.TrimSpace(s), got, "as %s", md(s))
		for _, kind := range []string{"Link", "Image", "RawHTML", "HTMLBlock", "CodeSpan", "Emphasis", "Heading", "List", "Blockquote", "ThematicBreak", "FencedCodeBlock", "CodeBlock", "Strikethrough", "Table"} {
			assert.Zero(t, kinds[kind], "%s in %q", kind, s)
		}
	}
}

// unescape undoes the backslashes that the parser leaves to the renderer.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func TestMarkdownInATable(t *testing.T) {
	r := good()
	r.Subject.Istio = "1.31 | <b>x</b>\n| a | b |"
	data, err := Markdown(r)
	require.NoError(t, err)
	assert.Contains(t, string(data), `| Istio | 1.31 \| \<b\>x\</b\> \| a \| b \| |`)
}

// TestMarkdownOfHostileText finds no markup but that of the format itself.
func TestMarkdownOfHostileText(t *testing.T) {
	evil := "</details><script>x</script>\n```\n# h\n[a](javascript:x)\n<img src=x onerror=y>"
	r := hostileReport()
	r.Checks[0].Reason = evil
	r.Checks[0].Evidence = []Evidence{{evil, "````", evil}}
	r.Checks[0].Causes = []Cause{{evil, evil, evil, "javascript:alert(1)", Certain}, {evil, evil, evil, "https://a.b/c>)<script>", Certain}}
	r.Error.Message = evil
	data, err := Markdown(r)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions()).Convert(data, &out))
	for _, bad := range []string{"<script", "<img", "href=\"javascript", "onerror=y>"} {
		assert.NotContains(t, out.String(), bad)
	}
	_, kinds := shown(string(data))
	assert.Zero(t, kinds["Link"]+kinds["Image"])
	assert.Equal(t, strings.Count(string(data), "<details><summary>"), strings.Count(string(data), "\n</details>\n"))
	for _, c := range string(data) {
		assert.True(t, c == '\n' || c >= ' ', "%q", c)
	}
}

func TestMarkdownStaysWithinWhatGitHubShows(t *testing.T) {
	r := failing()
	c := r.Checks[1]
	r.Checks = nil
	for i := range 40 {
		c.ID = fmt.Sprint("check-", i)
		c.Reason = strings.Repeat(strings.Repeat("x", 200)+"\n", 50)
		c.Evidence = nil
		for range 10000 {
			c.Evidence = append(c.Evidence, Evidence{"s", "u", strings.Repeat("y", 300)})
		}
		r.Checks = append(r.Checks, c)
	}
	data, err := Markdown(r)
	require.NoError(t, err)
	assert.Less(t, len(data), mostSummary)
	assert.Contains(t, string(data), "... and 9980 more in report.json")
}
