package cluster

import (
	"fmt"
	"strings"

	"sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"
)

// quiet drops what kind says while it works: a run has one line for it, and what
// matters of a failure is in kind's error.
type quiet struct{ log.NoopLogger }

// withOutput adds what the failed program printed, which kind's error keeps apart.
func withOutput(err error) error {
	run := exec.RunErrorForError(err)
	if run == nil || len(run.Output) == 0 {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(run.Output)), "\n")
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	return fmt.Errorf("%w\n    %s", err, strings.Join(lines, "\n    "))
}
