package observe

import (
	"context"
	"strings"
	"time"
)

// written reads when the files that the monitors name were last written, in the
// container that scrapes with them.
func (o *watching) written(ctx context.Context, pod string) (map[string]time.Time, error) {
	argv := []string{"stat", "-c", "%y %n"}
	for _, f := range NamedFiles(o.o) {
		argv = append(argv, f.Path)
	}
	printed, _, err := o.execAll(ctx, pod, argv...)
	if err != nil {
		return nil, err
	}
	return ParseWritten(printed), nil
}

// ParseWritten reads what `stat -c "%y %n"` prints: a moment as in
// "2026-11-25 04:09:20.107666608 +0000" and the path. Lines that are none are
// skipped: stat says of a file that is not there only that it is not.
func ParseWritten(printed string) map[string]time.Time {
	const layout = "2006-01-02 15:04:05.999999999 -0700"
	times := map[string]time.Time{}
	for line := range strings.Lines(printed) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(parts) < 4 {
			continue
		}
		if at, err := time.Parse(layout, strings.Join(parts[:3], " ")); err == nil {
			times[parts[3]] = at.UTC()
		}
	}
	return times
}
