package reports

import "fmt"

// ExitCode is how the test binary ends. The numbers are a contract: scripts and
// pipelines branch on them. Which one wins when several apply is told at
// [Report.Conclude].
type ExitCode int

const (
	// ExitConformant (0): every check that counts passed or did not apply, at least
	// one passed, and the run ended in order and left nothing behind.
	ExitConformant ExitCode = 0
	// ExitCheckFailed (1): a check that counts failed; the subject is not conformant.
	ExitCheckFailed ExitCode = 1
	// ExitSetupFailed (2): the run could not be set up; little or nothing was judged.
	ExitSetupFailed ExitCode = 2
	// ExitLeftovers (3): nothing failed, but the run left something behind.
	ExitLeftovers ExitCode = 3
	// ExitInterrupted (4): somebody stopped the run before its end.
	ExitInterrupted ExitCode = 4
	// ExitUsage (5): a wrong flag or configuration file, found before there was a run
	// and so before there was a report. No report carries it.
	ExitUsage ExitCode = 5
	// ExitInconclusive (6): a check that counts could not be judged, or none ran.
	ExitInconclusive ExitCode = 6
)

// String is the code in words, as a banner shows it.
func (c ExitCode) String() string {
	switch c {
	case ExitConformant:
		return "conformant"
	case ExitCheckFailed:
		return "not conformant"
	case ExitSetupFailed:
		return "set-up failed"
	case ExitLeftovers:
		return "left something behind"
	case ExitInterrupted:
		return "interrupted"
	case ExitUsage:
		return "wrong usage"
	case ExitInconclusive:
		return "inconclusive"
	}
	return fmt.Sprintf("unknown exit code %d", int(c))
}
