package reports

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Headline is the outcome of a verification in a sentence.
func (v Verification) Headline() string {
	switch {
	case !v.Sound():
		return fmt.Sprintf("%s against this report", speak(len(v.Findings)))
	case v.exitCode != ExitConformant:
		return "nothing speaks against this report, which says: " + v.exitCode.String()
	case v.SignedBy == "":
		return "nothing speaks against this report, but nobody's signature was verified"
	case len(v.Claims) == 0:
		return "nothing speaks against this report, but it claims no profile"
	}
	return "proven: " + strings.Join(v.Claims, ", ")
}

func speak(n int) string {
	if n == 1 {
		return "1 thing speaks"
	}
	return fmt.Sprintf("%d things speak", n)
}

// Verification shows a verification to a person.
func (t *Terminal) Verification(v Verification) {
	lines := []string{pad("Run", 10) + oneLine(v.RunID), pad("Says", 10) + oneLine(v.exitCode.String())}
	if v.SignedBy != "" {
		lines = append(lines, pad("Signed", 10)+"with the key "+v.SignedBy)
	}
	lines = append(lines, pad("Judged", 10)+count(v.Judged, "check")+" again from the observations", "")
	item := func(mark, text string) {
		for i, l := range wrap(text, t.style.Width-6) {
			if i > 0 {
				mark = ""
			}
			lines = append(lines, pad(mark, 6)+l)
		}
	}
	for _, n := range v.Notes {
		item("note", n)
	}
	for _, f := range v.Findings {
		item("FAIL", f.Text)
	}
	if len(v.Notes)+len(v.Findings) > 0 {
		lines = append(lines, "")
	}
	code := yellow
	switch v.ExitCode() {
	case ExitConformant:
		code = green
	case ExitCheckFailed:
		code = red
	}
	for _, l := range wrap(fmt.Sprintf("%s (exit code %d)", v.Headline(), v.ExitCode()), t.style.Width) {
		lines = append(lines, t.color(bold+";"+code, l))
	}
	t.print(lines...)
}

// JSON is the verification for a machine.
func (v Verification) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(struct {
		Verification
		Sound    bool     `json:"sound"`
		ExitCode ExitCode `json:"exitCode"`
	}{v, v.Sound(), v.ExitCode()}, "", "  ")
	return append(data, '\n'), err
}
