package run

import (
	"os"
	"runtime/debug"
)

// memoryGoal is how much the Go runtime is to take, in bytes, while a cluster that is not
// ours is looked at: with what the program itself takes, a pass over ten thousand targets
// then stays within the 300 MiB of the design. Of these it holds 110 MiB at once; without
// a goal the collector lets that grow to twice as much. It is no bound: a larger cluster
// takes what it needs, and more processor time.
const memoryGoal = 200 << 20

// BoundMemory sets that goal, unless the user has set one of his own by GOMEMLIMIT.
func BoundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
}
