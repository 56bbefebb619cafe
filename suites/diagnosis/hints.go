package diagnosis

import "embed"

// docs is where the hint pages can be read without this program.
const docs = "https://github.com/seed-140c7b37/mtls-scrape-conformance/blob/main/suites/diagnosis/hints/"

//go:embed hints/*.md
var hints embed.FS

// Hint returns the page about a code, in Markdown.
func Hint(code string) (string, bool) {
	page, err := hints.ReadFile("hints/" + code + ".md")
	return string(page), err == nil
}
