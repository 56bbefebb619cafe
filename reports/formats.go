package reports

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
)

// Format is one way to show a report, as a file beside report.json.
type Format struct {
	// File is its name in the directory of a run.
	File string
	// Render makes the content from the report alone: it concludes a copy of it, as
	// [Encode] does, and reads no clock and no other file. It must cope with any
	// report that [Decode] accepts, also one that [Report.Validate] finds fault with.
	Render func(Report) ([]byte, error)
}

// Formats lists the formats that [WriteAll] writes, in that order. This is the one
// place where a format is made known.
func Formats() []Format {
	return []Format{
		{JUnitFile, JUnit},
		{HTMLFile, HTML},
		{MarkdownFile, Markdown},
		{BadgeFile, Badge},
		{MetricsFile, Metrics},
	}
}

// WriteAll writes report.json, every other format and the attestation into dir, which
// it creates if need be, and returns the names of the files that it wrote. report.json
// comes first, and a format that fails keeps no other from being written: the error
// names all that failed. A reader finds the old file or the new one, never a part: each
// is written under another name, flushed to the disk and renamed. The observations must
// be there by then, since the attestation is about them as well; it is signed if there
// is a key, see [SigningKey].
func WriteAll(dir string, r Report, key ed25519.PrivateKey) ([]string, error) {
	data, err := Encode(r)
	if err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(dir, FileName), data); err != nil {
		return nil, err
	}
	written := []string{FileName}
	var failed []error
	for _, f := range Formats() {
		data, err := f.Render(r)
		if err != nil {
			failed = append(failed, fmt.Errorf("cannot render %s of run %q: %w; %s has all of it", f.File, r.RunID, err, FileName))
			continue
		}
		if err := replace(filepath.Join(dir, f.File), data); err != nil {
			failed = append(failed, err)
			continue
		}
		written = append(written, f.File)
	}
	if err := Attest(dir, key); err != nil {
		failed = append(failed, err)
	} else {
		written = append(written, AttestationFile)
	}
	return written, errors.Join(failed...)
}
