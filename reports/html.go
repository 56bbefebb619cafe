package reports

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

// HTMLFile is the file that a person opens in a browser.
const HTMLFile = "report.html"

var (
	//go:embed html/report.html.tmpl
	htmlSource string
	//go:embed html/report.css
	htmlCSS string
	//go:embed html/report.js
	htmlScript string

	htmlPage = template.Must(template.New("report").Funcs(template.FuncMap{
		// What comes from a cluster is shown by these, never as it is.
		"line": oneLine, "lines": block, "split": func(s string) []string { return strings.Split(s, "\n") }, "short": short, "clip": clipHTML,
		"word": verdictWord, "box": boxOf, "edge": lineOf, "sign": sign, "link": func(s string) bool { return webAddress.MatchString(s) },
	}).Parse(htmlSource))
)

// HTML renders a report as one page that needs no network and no script: the verdict
// and the profiles, a picture of the subject, what happened over time, each check
// with its causes and its evidence, the environment, and where the time went.
func HTML(r Report) ([]byte, error) {
	r.Conclude()
	v := view(r)
	v.CSS, v.Script = template.CSS(htmlCSS), template.JS(htmlScript) //nolint:gosec // both are embedded, not quoted
	v.Policy = contentPolicy()
	var b bytes.Buffer
	if err := htmlPage.Execute(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// contentPolicy lets the page use its own style and script and load nothing at all,
// so that a text that got past the escaping could still do nothing.
func contentPolicy() string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; img-src data:; base-uri 'none'; form-action 'none'", hash(htmlCSS), hash(htmlScript))
}

// verdictWord is a verdict for a person; that of an edge of which nothing was checked
// is empty.
func verdictWord(v Verdict) string {
	switch v {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case Skip:
		return "skipped"
	case "":
		return "not checked"
	}
	return "inconclusive"
}

// sign tells verdicts apart without colours.
func sign(v Verdict) string {
	switch v {
	case Pass:
		return "✓"
	case Fail:
		return "✗"
	case Skip:
		return "–"
	case "":
		return "·"
	}
	return "?"
}

// clipHTML is a piece of evidence as the page shows it.
func clipHTML(s string) string {
	if len(s) <= htmlText {
		return block(s)
	}
	return block(strings.ToValidUTF8(s[:htmlText], "")) + "\n... (cut short here, whole in " + FileName + ")"
}
