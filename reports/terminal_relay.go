package reports

import "strings"

// Relay shows a line that another run printed, as that laid it out. What does not print
// is shown as its escape all the same: nobody here has made that line.
func (t *Terminal) Relay(line string) {
	line, _ = clip(line)
	line = strings.ReplaceAll(clean(line), "\n", " ")
	text := strings.TrimLeft(line, " ")
	t.print(line[:len(line)-len(text)] + guard(text))
}
