package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const (
	// longestWatch is longer than any upgrade, and shorter than Prometheus keeps samples
	// by default, which is 24 h where the Operator runs it.
	longestWatch = 20 * time.Hour
	// endInterval is how often it is looked for what ends a watch.
	endInterval = time.Second
)

// AwaitEnd waits for what ends a watch: the time that it was to last, the file that was
// to appear, or the first signal. It says which it was.
func (r *Run) AwaitEnd(ctx context.Context) (why string, err error) {
	end := time.Now().Add(longestWatch)
	if r.For > 0 {
		end = time.Now().Add(r.For)
	}
	err = wait.For(ctx, "the end of the watch", func(context.Context) (bool, string, error) {
		switch {
		case r.enough.Err() != nil:
			why = "a signal"
		case r.appeared():
			why = r.Until + " appeared"
		case time.Now().After(end):
			why = "the time was over"
		}
		return why != "", "nothing ends it yet", nil
	}, wait.Timeout(longestWatch+time.Minute), wait.Interval(endInterval))
	return why, err
}

// appeared reports whether the file is there that ends a watch.
func (r *Run) appeared() bool {
	if r.Until == "" {
		return false
	}
	_, err := os.Stat(r.Until)
	return err == nil
}

// checkWatch refuses a watch that would end at once, or too late.
func (c *Config) checkWatch() error {
	if c.Mode != WatchOver {
		return nil
	}
	if c.For > longestWatch {
		return UsageError{fmt.Errorf("for is %s: a watch lasts for %s at most, since Prometheus does not keep its samples for ever", c.For, longestWatch)}
	}
	if c.Until == "" {
		return nil
	}
	if _, err := os.Stat(c.Until); err == nil || !errors.Is(err, os.ErrNotExist) {
		return UsageError{fmt.Errorf("until is %s, which is there already or cannot be looked for: name a file that is made when the upgrade has ended", c.Until)}
	}
	return nil
}
