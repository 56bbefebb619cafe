package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// FileName is the file of a report in the directory of its run.
	FileName = "report.json"
	// latest is the link beside the runs that points to the newest.
	latest = "latest"
)

// Encode is the content of report.json. It is the conclusion of what was found
// whatever r said before, since a report that a crash left without one would read as
// exit code 0.
func Encode(r Report) ([]byte, error) {
	r.Conclude()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read it, and \u003c is no way to show them a <
	e.SetIndent("", "  ")
	if err := e.Encode(writable(r)); err != nil {
		return nil, fmt.Errorf("cannot encode the report of run %q: %w", r.RunID, err)
	}
	return b.Bytes(), nil
}

// writable is r without what JSON cannot say: lists that are null, and numbers that
// are none. The latter are a defect that Validate names, but no reason to lose a
// report over.
func writable(r Report) Report {
	r.StartedAt, r.EndedAt = utc(r.StartedAt), utc(r.EndedAt)
	if r.Configuration == nil {
		r.Configuration = map[string]string{}
	}
	r.Profiles = list(r.Profiles)
	r.Leftovers = list(r.Leftovers)
	r.Checks = list(r.Checks)
	for i := range r.Checks {
		c := &r.Checks[i]
		c.DurationSeconds = number(c.DurationSeconds)
		c.Evidence, c.Causes = list(c.Evidence), list(c.Causes)
	}
	r.Phases = list(r.Phases)
	for i := range r.Phases {
		r.Phases[i].Seconds = number(r.Phases[i].Seconds)
	}
	r.Timeline = list(r.Timeline)
	for i := range r.Timeline {
		r.Timeline[i].At = utc(r.Timeline[i].At)
	}
	if r.Repetitions != nil {
		n := *r.Repetitions
		n.Low, n.High, n.Phases = number(n.Low), number(n.High), list(n.Phases)
		for i := range n.Phases {
			n.Phases[i].MeanSeconds, n.Phases[i].HalfWidthSeconds = number(n.Phases[i].MeanSeconds), number(n.Phases[i].HalfWidthSeconds)
		}
		r.Repetitions = &n
	}
	r.Tracks = list(r.Tracks)
	for i := range r.Tracks {
		t := &r.Tracks[i]
		t.Bars, t.Points = list(t.Bars), list(t.Points)
		for j := range t.Bars {
			t.Bars[j].From, t.Bars[j].To = utc(t.Bars[j].From), utc(t.Bars[j].To)
		}
		for j := range t.Points {
			t.Points[j].At = utc(t.Points[j].At)
		}
	}
	return r
}

// list is a copy that is never nil.
func list[T any](s []T) []T { return append(make([]T, 0, len(s)), s...) }

func number(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// utc leaves a time alone whose year JSON could not say in UTC.
func utc(t time.Time) time.Time {
	if u := t.UTC(); u.Year() >= 0 && u.Year() <= 9999 {
		return u
	}
	return t
}

// replace puts data at path at once or not at all.
func replace(path string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write %s: %w; %s", path, err, nextStep(err))
		}
	}()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to tell
		}
	}()
	_, err = f.Write(data)
	// CreateTemp makes files for the owner alone; a report is read by a CI agent or a
	// web server that is somebody else.
	err = cmp.Or(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	// The content is safe by now. Not every file system can flush a directory, so
	// that a failure to flush the name is not worth a failed run.
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

// nextStep says what a person can do about a failed write.
func nextStep(err error) string {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	switch {
	case is(syscall.ENOSPC, syscall.EDQUOT):
		return "free some space there or choose another output directory"
	case is(fs.ErrPermission, syscall.EROFS):
		return "make the directory writable for this user or choose another output directory"
	case is(syscall.ENOTDIR, syscall.EISDIR, fs.ErrExist):
		return "something else has that name: move it away or choose another output directory"
	}
	return "check the directory or choose another output directory"
}

// Link lets out/latest point to the run. A link or a file of that name, whatever it
// points to, is replaced at once, so that a reader always finds some run. A real
// directory is left alone with an error: it may hold what nobody else has.
func Link(out, runID string) (err error) {
	link := filepath.Join(out, latest)
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot let %s point to run %q: %w", link, runID, err)
		}
	}()
	if err := validRunID(runID); err != nil {
		return err
	}
	if s, err := os.Stat(filepath.Join(out, runID)); err != nil {
		return err
	} else if !s.IsDir() {
		return fmt.Errorf("%s is not a directory", filepath.Join(out, runID))
	}
	if s, err := os.Lstat(link); err == nil && s.IsDir() {
		return errors.New("it is a directory, which is not replaced; move it away")
	}
	// A link cannot be made over another one, only renamed over it; a directory of our
	// own gives it a name that no other run uses.
	tmp, err := os.MkdirTemp(out, "."+latest+"-*")
	if err != nil {
		return fmt.Errorf("%w; %s", err, nextStep(err))
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	fresh := filepath.Join(tmp, latest)
	if err := os.Symlink(runID, fresh); err != nil {
		return fmt.Errorf("%w; %s", err, nextStep(err))
	}
	if err := os.Rename(fresh, link); err != nil {
		return fmt.Errorf("%w; %s", err, nextStep(err))
	}
	return nil
}
