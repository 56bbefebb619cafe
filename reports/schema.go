package reports

import (
	_ "embed"
	"slices"
)

//go:embed schema/report.schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of report.json, for whoever reads reports in
// another language.
func Schema() []byte { return slices.Clone(schema) }
