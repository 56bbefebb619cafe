// Package recorded holds observations of the real stack, for tests: what a check
// or a rule says of them is what it says of the real thing.
//
// Nothing but tests imports it. To renew one, run the suite and keep its
// observation: gzip -9n < reports/out/latest/observations/conformance.json.
package recorded

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

//go:embed *.json.gz
var files embed.FS

// Good is the guide's set-up in order: every profile, with a rotation watched, the
// root replaced, and each disruption survived.
const Good = "good"

// Load decodes a recording anew, so that a test may spoil it. It panics if there
// is none of that name or if it is damaged: both are mistakes in this repository.
func Load(name string) observe.Observation {
	content, err := files.ReadFile(name + ".json.gz")
	if err != nil {
		panic(err)
	}
	o, err := Unpack(content)
	if err != nil {
		panic(fmt.Sprintf("the recording %s: %v", name, err))
	}
	return o
}

// Unpack decodes a recording that is kept elsewhere.
func Unpack(content []byte) (observe.Observation, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return observe.Observation{}, err
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return observe.Observation{}, err
	}
	return observe.Decode(text)
}
