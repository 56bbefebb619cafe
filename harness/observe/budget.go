package observe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// budget is the time that many reads may take together. Each has a bound of its own, but
// forty pods that never answer would take forty times that.
type budget struct {
	limit time.Duration
	ends  time.Time
}

func newBudget(limit time.Duration) *budget { return &budget{limit, time.Now().Add(limit)} }

// pause does something whose time is not counted. No read is to run meanwhile.
func (b *budget) pause(do func()) {
	began := time.Now()
	do()
	b.ends = b.ends.Add(time.Since(began))
}

// spend does one read with what is left of the time. Of one that is cut off, or whose
// turn comes too late, the error says so rather than what the cut looked like to it.
func (b *budget) spend(ctx context.Context, read func(context.Context) error) error {
	bounded, cancel := context.WithDeadline(ctx, b.ends)
	defer cancel()
	err := read(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("all targets that are asked took longer than the %s that they may together, and this one had not answered by then; see which of the others say that they did not answer", b.limit)
	}
	return err
}
