package parcel

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const runID = "20261125-140000-00ff"

// sent are the lines that a run prints, with some of its own around its report.
func sent(t testing.TB, dir string) []string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("[ 1/2] targets-up ... pass 0.0s\n")
	require.NoError(t, Send(&b, runID, dir, All, func(note string) { t.Error(note) }))
	b.WriteString("2 passed, 0 failed\n")
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// received reads lines, and gives those that are for people.
func received(r *Receiver, lines []string) (forPeople []string) {
	for _, l := range lines {
		if r.Line(l) {
			forPeople = append(forPeople, l)
		}
	}
	return forPeople
}

func TestWhatIsSentIsReceived(t *testing.T) {
	dir := directory(t, run)
	r := &Receiver{RunID: runID}
	assert.Equal(t, []string{"[ 1/2] targets-up ... pass 0.0s"}, received(r, sent(t, dir)), "the rest is told by the report")
	assert.True(t, r.Whole())
	archive, err := r.Archive()
	require.NoError(t, err)
	to := t.TempDir()
	require.NoError(t, Unpack(bytes.NewReader(archive), to))
	assert.Equal(t, run, filesIn(t, to))
}

// incompressible is a file that packs to its own length.
func incompressible(t *testing.T, dir, name string, length int) {
	t.Helper()
	content := make([]byte, length)
	source := rand.NewChaCha8([32]byte{1})
	_, err := source.Read(content)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), content, 0o600))
}

func TestALineIsShortEnoughForALog(t *testing.T) {
	dir := directory(t, run)
	incompressible(t, dir, "observations/b.json", 100<<10)
	lines := sent(t, dir)
	assert.Greater(t, len(lines), 20)
	for _, l := range lines {
		assert.LessOrEqual(t, len(l), lineLength)
	}
}

func TestWhatDoesNotFitIsSentWithoutWhatCanBeSpared(t *testing.T) {
	dir := directory(t, run)
	incompressible(t, dir, "observations/b.json", 20<<10)
	spare := func(name string) bool { return strings.HasPrefix(name, "observations/") }
	var b bytes.Buffer
	require.NoError(t, send(&b, runID, dir, 10<<10, spare, func(note string) { b.WriteString(note + "\n") }))
	first, _, _ := strings.Cut(b.String(), "-----BEGIN")
	assert.Contains(t, first, "packs to more than 10240 bytes, which is what a log holds", "it is told first")
	r := &Receiver{RunID: runID}
	received(r, strings.Split(b.String(), "\n"))
	archive, err := r.Archive()
	require.NoError(t, err)
	to := t.TempDir()
	require.NoError(t, Unpack(bytes.NewReader(archive), to))
	assert.Equal(t, map[string]string{"report.json": run["report.json"], "evidence/logs/x.log": ""}, filesIn(t, to))

	b.Reset()
	require.ErrorAs(t, send(&b, runID, dir, 10<<10, All, func(string) {}), new(*TooLargeError))
	assert.Zero(t, b.Len(), "half a report is none")
}

func TestALogThatIsNotWholeGivesNoReport(t *testing.T) {
	whole := sent(t, directory(t, run))
	begin := 1
	for name, c := range map[string]struct {
		change func(lines []string) []string
		says   string
	}{
		"no report in it":         {func(l []string) []string { return l[:begin] }, "the log has no report of the run " + runID},
		"cut off in the middle":   {func(l []string) []string { return l[:begin+1] }, "the log is cut off: it has 0 of the"},
		"cut off before its end":  {func(l []string) []string { return l[:len(l)-2] }, "the log is cut off"},
		"its beginning rotated":   {func(l []string) []string { return l[begin+1:] }, "the log has no report"},
		"a line missing":          {func(l []string) []string { return append(l[:begin+1:begin+1], l[begin+2:]...) }, "is not whole"},
		"a byte changed":          {func(l []string) []string { l[begin+1] = "AAAA" + l[begin+1][4:]; return l }, "is not whole: it has"},
		"another line in between": {func(l []string) []string { l[begin+1] = "E1125 error" + l[begin+1][11:]; return l }, "it is no base64"},
		"more than it says":       {func(l []string) []string { l[begin+1] += l[begin+1] + "AAAA"; return l }, "is longer than the"},
		"of another run":          {func(l []string) []string { l[begin] = strings.Replace(l[begin], runID, "other", 1); return l }, "is of the run other and not of " + runID},
		"too long to be taken": {func(l []string) []string {
			l[begin] = "-----BEGIN MTLS-SCRAPE REPORT " + runID + " 999999999 sha256:" + strings.Repeat("0", 64) + "-----"
			return l
		}, "more than 6291456 are not taken"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Receiver{RunID: runID}
			received(r, c.change(append([]string(nil), whole...)))
			archive, err := r.Archive()
			require.ErrorContains(t, err, c.says)
			assert.Nil(t, archive)
		})
	}
}

func TestNothingIsAwaitedAfterWhatCannotBeTaken(t *testing.T) {
	r := &Receiver{RunID: runID}
	assert.True(t, r.Line("text"))
	assert.False(t, r.Whole())
	r.Line(strings.Replace(sent(t, directory(t, run))[1], runID, "other", 1))
	assert.True(t, r.Whole())
}

// A log is written by whoever is in the pod: nothing of it is believed.
func FuzzReceiver(f *testing.F) {
	dir := f.TempDir()
	require.NoError(f, os.WriteFile(filepath.Join(dir, "report.json"), []byte("{}"), 0o600))
	whole := strings.Join(sent(f, dir), "\n")
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(strings.Replace(whole, "sha256:", "sha256:0", 1))
	f.Add("")
	f.Fuzz(func(t *testing.T, log string) {
		r := &Receiver{RunID: runID}
		received(r, strings.Split(log, "\n"))
		archive, err := r.Archive()
		if err != nil {
			assert.Nil(t, archive)
			return
		}
		assert.True(t, r.Whole())
		assert.LessOrEqual(t, len(archive), MostPacked)
		_ = Unpack(bytes.NewReader(archive), t.TempDir()) // it may refuse, and must return
	})
}
