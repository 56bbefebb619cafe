package parcel

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// The lines around a parcel. The first says whose it is, its length in bytes before
// base64 and the SHA-256 of that.
const (
	beginFormat = "-----BEGIN MTLS-SCRAPE REPORT %s %d sha256:%s-----"
	endFormat   = "-----END MTLS-SCRAPE REPORT %s-----"
)

// beginLine matches nothing that a check could print by chance.
var beginLine = regexp.MustCompile(`^-----BEGIN MTLS-SCRAPE REPORT ([A-Za-z0-9-]{1,64}) ([0-9]{1,9}) sha256:([0-9a-f]{64})-----$`)

// lineLength is that of base64 in a line, in bytes: a multiple of four, and well below
// the 16 KiB after which a container runtime breaks one.
const lineLength = 4096

// Send prints the directory of a run between its two lines. If it does not fit with
// all that it has, files of which spare, given the path below it, says so are left out,
// and note is told so before. The error is a [TooLargeError] if even that is too much;
// nothing has been printed by then.
func Send(w io.Writer, runID, dir string, spare func(name string) bool, note func(string)) error {
	return send(w, runID, dir, MostPacked, spare, note)
}

func send(w io.Writer, runID, dir string, most int, spare func(string) bool, note func(string)) error {
	archive, err := packed(dir, most, All)
	if errors.As(err, new(*TooLargeError)) {
		note(err.Error() + ", which is what a log holds: what can be spared of it is left out")
		archive, err = packed(dir, most, spare)
	}
	if err != nil {
		return fmt.Errorf("sending the report: %w", err)
	}
	sum := sha256.Sum256(archive)
	var b bytes.Buffer
	fmt.Fprintf(&b, beginFormat+"\n", runID, len(archive), hex.EncodeToString(sum[:]))
	text := base64.StdEncoding.EncodeToString(archive)
	for len(text) > 0 {
		n := min(lineLength, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	fmt.Fprintf(&b, endFormat+"\n", runID)
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("sending the report: %w", err)
	}
	return nil
}

// Receiver reads a log, line by line, and finds the parcel of a run in it. The zero
// value with a run's ID is ready to be used. It believes nothing that it has not
// checked: see [Receiver.Archive].
type Receiver struct {
	RunID string

	begun, ended bool
	size         int
	sum          string
	text         []byte
	failed       error
}

// Line takes the next line of the log, without its end. It reports whether the line is
// for people: neither of the parcel nor after it.
func (r *Receiver) Line(line string) (forPeople bool) {
	switch m := beginLine.FindStringSubmatch(line); {
	case r.ended, r.failed != nil:
		return false
	case r.begun && line == fmt.Sprintf(endFormat, r.RunID):
		r.ended = true
	case r.begun && len(r.text)+len(line) > base64.StdEncoding.EncodedLen(r.size):
		r.failed = fmt.Errorf("the report in the log is longer than the %d bytes that it says", r.size)
	case r.begun:
		r.text = append(r.text, line...)
	case m == nil:
		return true
	default:
		r.begin(m[1], m[2], m[3])
	}
	return false
}

func (r *Receiver) begin(runID, size, sum string) {
	r.begun, r.sum = true, sum
	var err error
	if r.size, err = strconv.Atoi(size); err != nil || r.size > MostPacked {
		r.failed = fmt.Errorf("the report in the log says that it has %s bytes, and more than %d are not taken", size, MostPacked)
	}
	if runID != r.RunID {
		r.failed = fmt.Errorf("the report in the log is of the run %s and not of %s", runID, r.RunID)
	}
}

// Whole reports whether the last line of the parcel was read, so that nothing more is to
// be waited for.
func (r *Receiver) Whole() bool { return r.ended || r.failed != nil }

// Archive is what was received, if it is all of what was sent. The error says what is
// amiss with it.
func (r *Receiver) Archive() ([]byte, error) {
	switch {
	case r.failed != nil:
		return nil, r.failed
	case !r.begun:
		return nil, fmt.Errorf("the log has no report of the run %s", r.RunID)
	case !r.ended:
		return nil, fmt.Errorf("the log is cut off: it has %d of the %d bytes of the report", base64.StdEncoding.DecodedLen(len(r.text)), r.size)
	}
	archive, err := base64.StdEncoding.Strict().DecodeString(string(r.text))
	if err != nil {
		return nil, fmt.Errorf("the report in the log is not whole: it is no base64: %w", err)
	}
	if sum := sha256.Sum256(archive); len(archive) != r.size || hex.EncodeToString(sum[:]) != r.sum {
		return nil, fmt.Errorf("the report in the log is not whole: it has %d bytes and the digest %x, and was sent with %d and %s", len(archive), sum, r.size, r.sum)
	}
	return archive, nil
}
